"""What a join can do with its inputs."""

from __future__ import annotations

from scenarios.flows import joins


def test_artifacts_that_agree_are_merged_and_others_are_named(play):
    played = play(joins.Merge)
    join = played.run["join"].task.data
    meet = played.run["meet"].task

    assert (join.conflicts, join.nothing_was_set, join.missing) == (["changed", "changed"], True, ["nowhere"])
    assert "mutually exclusive" in join.refusal
    assert (join.changed, join.after) == ("left", ({"a": 1}, 1, [1, 2], 0.5, [1, 2]))
    assert (meet.data.seen, "common" in meet, "heavy" in meet) == ((False, False, 1), False, True)
    assert "is not a join" in played.data.refused_outside


def test_what_is_merged_is_not_loaded(play):
    played = play(joins.Merge)

    assert [step.id for step in played.run if "LOADED" in step.task.stdout] == []
    assert isinstance(played.data.heavy, joins.Untouchable)


def test_an_unhandled_conflict_fails_the_join_with_the_artifacts_name(play):
    played = play(joins.Conflict, fails=True)

    assert (played.failure.type.rpartition(".")[2], "'join' cannot merge x" in played.failure.message) == (
        "UnhandledInMergeArtifactsException",
        True,
    )


def test_a_foreach_is_a_table_in_its_join(play):
    data = play(joins.Table).data

    assert data.columns == {
        "lr": [0.1, 0.2, 0.4],
        "score": [0.9, 0.8, 0.6],
        "passed": [True, True, False],
        "label": ["lr=0.1", "lr=0.2", "lr=0.4"],
        "grid": [[0.1, 0.2, 0.4]] * 3,
    }
    assert (data.best, "nope" in data.refusal) == (0.1, True)
