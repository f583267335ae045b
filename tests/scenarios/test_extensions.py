"""Step decorators and mutators of the user's own."""

from __future__ import annotations

from scenarios.flows import extensions


def test_wrappers_go_around_the_body_and_take_its_place(play):
    played = play(extensions.Wrapped)
    run = played.run

    assert run["start"].task.data.trail == [("before", "start", "start", False), ("after", "start", "start")]
    assert "temporary" not in run["start"].task
    join = run["join"].task.data
    assert (join.values, join.forgiven) == ([1, 2, 3], [None, "not two", None])
    assert join.trail[-2:] == [("before", "join", "join", True), ("after", "join", "join")]
    skipped, raising = run["skipped"].task.data, run["raising"].task.data
    assert (skipped.count, skipped.skipped, skipped.seen) == (11, True, "None")
    assert (raising.count, raising.skipped, raising.seen) == (1, False, "ValueError('swallowed')")
    assert run["replaced"].task.data.replaced == ("a function", 0)
    assert run["last"].task.data.replaced == ("a function of the inputs", 1)
    assert (len(list(run["split"])), run["fan"].task.data.is_left_out) == (2, True)
    assert not any("never" in step.task for step in run)


def test_what_a_wrapper_raises_is_the_failure_of_each_attempt(play):
    played = play(extensions.Renamed, fails=True)

    assert (played.failure.type, played.failure.message) == ("builtins.KeyError", "'renamed'")
    assert played.run["start"].task.stdout == "attempt 1\n"


def test_mutators_change_parameters_and_decorators_before_the_run(play):
    played = play(extensions.Mutated)

    assert [played.run[name].task.data.trail[-1] for name in ("start", "show", "end")] == [
        ("after", "start", "its own"),
        ("after", "show", "added to show"),
        ("after", "end", "added to end"),
    ]
    show = played.run["show"].task.data
    assert (show.level, show.has_unwanted, played.data.twice, played.data.added) == ("high", False, 6, 3)
    assert play(extensions.Mutated, added=5).data.twice == 10


def test_a_wrapper_is_added_by_its_name(play):
    played = play(extensions.Renamed, decospecs=("scenarios.flows.extensions.forgiving", "extensions.noted:as_=with"), fails=True)

    assert played.failure.type == "builtins.KeyError"
    assert played.run["start"].task.data.trail[-1] == ("before", "start", "with", False)
