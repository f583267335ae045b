"""What is an artifact, when it is loaded, and what a change of it means."""

from __future__ import annotations

import pytest

from rayflow.store import open_root
from scenarios.flows import artifacts


def test_artifacts_travel_change_in_place_and_stay_private(play):
    played = play(artifacts.Artifacts)
    start, middle, end = (played.run[step].task for step in ("start", "middle", "end"))

    assert end.data.seen == ([1, 2, 3], "mine", "żółć 🚀", [1, 2, 3], {"deep": [1]}, {"k": [1]}, 7)
    assert (start.data.numbers, start["_private"].data, middle.data.later) == ([1, 2], "mine", "default")
    assert middle.data.has == {"numbers": True, "function": False, "lambda_": False, "method": False, "dropped": False, "later": False}
    assert (middle.data.is_model, middle.data.prediction, middle.data.constant_here) == (True, 6, {"k": [1]})
    assert ("not modifiable" in middle.data.refusal, "not modifiable" in middle.data.second_refusal) == (True, True)
    assert end.data.missing == "Flow Artifacts has no attribute 'nowhere'"
    assert {artifact.id for artifact in start} >= {"loud", "numbers", "untouched", "ünïcode", "model", "constant", "number", "alpha"}
    assert {artifact.id for artifact in start}.isdisjoint({"_private", "_hidden_constant", "function", "lambda_", "method", "dropped"})
    assert isinstance(start.data.model, artifacts.Model)


def test_an_artifact_that_nobody_reads_is_not_loaded(play):
    played = play(artifacts.Artifacts)

    assert [step.id for step in played.run if "LOADED" in step.task.stdout] == []


def test_what_cannot_be_stored_fails_its_task_with_name_type_and_attribute(play):
    played = play(artifacts.Unserialisable, fails=True)
    task = played.run["start"].task

    assert "'bad' (dict) cannot be stored: its part ['inner'].lock is a _thread.lock" in played.failure.message
    assert (task.finished, task.exception is not None, "end" in played.run) == (False, True, False)
    assert "'bad'" in task.stderr


def test_storing_self_fails_with_the_advice_to_store_its_attributes(play):
    played = play(artifacts.Unserialisable, kind="self", fails=True)

    assert "input.some_var" in played.failure.message


def test_what_one_split_does_to_its_element_no_other_sees(play):
    assert play(artifacts.SharedElement).data.got == [([i], [i], ["c", i]) for i in range(60)]


def test_a_derived_flow_runs_its_own_steps_and_those_it_inherits(play):
    data = play(artifacts.Derived, own=5).data

    assert data.trail == ["base start", "derived middle base 5 1", "extra", "mixin helper"]


def test_a_flow_of_several_families_has_the_steps_of_all(play):
    diamond, several = play(artifacts.Diamond, younger=5), play(artifacts.Several, strange=6)

    word = "elder of younger of family"
    assert diamond.data.trail == ["family start", 1, "elder middle", ("r", word, ["elder", "root", "younger"])]
    assert several.data.trail == [
        *("family start", 1, "several middle", "stranger extra"),
        ("r", word, ["elder", "root", "strange", "younger"]),
    ]
    assert (diamond.data.younger, several.data.strange) == (5, 6)


def test_a_hundred_megabytes_are_a_blob_and_arrive_writable(play):
    played = play(artifacts.Big)

    assert (played.data.sum, played.data.raw_size, played.data.is_writable) == (sum(range(100 * 2**20 // 8)), 20 * 2**20, 5)
    assert int(played.run["middle"].task.data.big[0]) == 0
    blobs = open_root(play.root, create=False).entries(f"Big/runs/{played.run.id}/blobs")
    assert max(entry.nbytes for entry in blobs if entry.key.endswith(".npy")) >= 100 * 2**20


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_more_than_four_gigabytes_are_an_artifact_like_any(play):
    played = play(artifacts.Huge)

    assert (played.data.nbytes, played.run["start"].task["huge"].size >= 2**32) == (2**32 + 1, True)
