"""Switches and loops."""

from __future__ import annotations

import pytest

from scenarios.flows import choices


@pytest.mark.parametrize(("value", "went"), [('"a"', "text"), ("1", "number"), ("true", "number"), ("0", "no")])
def test_a_switch_goes_where_the_value_says(play, value, went):
    played = play(choices.Switch, value=value)

    assert (played.data.went, {step.id for step in played.run}) == (went, {"start", went, "end"})


def test_a_value_without_a_case_fails_the_step_naming_the_cases(play):
    played = play(choices.Switch, value='"z"', fails=True)

    assert (played.failure.type, "'z'" in played.failure.message, "'a', 1, False" in played.failure.message) == (
        "builtins.RuntimeError",
        True,
        True,
    )


def test_alternating_arms_within_a_foreach_meet_again(play):
    def expected(i):
        arm = "even" if i % 3 == 0 else ("odd", "third")[i % 2]
        return (arm, i, i)

    assert play(choices.AlternatingArms).data.got == [expected(i) for i in range(30)]


def test_arms_that_enter_the_join_come_in_index_order(play):
    assert play(choices.ArmsIntoJoin).data.got == [-i if i % 2 else i for i in range(9)]


def test_a_loop_is_a_task_per_lap(play):
    played = play(choices.Loop)
    laps = list(played.run["turn"])

    assert played.data.seen == (5, [1, 2, 3, 4, 5], "kept")
    assert sorted(task.data.count for task in laps) == [1, 2, 3, 4, 5]


def test_loops_within_a_foreach_turn_independently(play):
    played = play(choices.LoopsInForeach)

    laps = [3, 1, 4, 1, 5]
    assert played.data.got == [(count, count, [(i, lap) for lap in range(1, count + 1)]) for i, count in enumerate(laps)]
    assert sum(1 for _ in played.run["turn"]) == sum(laps)


@pytest.mark.parametrize(("animal", "went"), [("hare", "runs"), ("tortoise", "walks")])
def test_a_case_may_be_what_a_config_says(play, animal, went):
    assert play(choices.Configured, animal=animal).data.went == went


def test_choices_splits_and_fan_outs_nest(play):
    played = play(choices.Nesting)

    assert played.data.got == [(0, ["even", "right"]), (1, "one"), (2, [(1, 2), (2, 2), (3, 2)]), (3, None)]
    counts = {step.id: sum(1 for _ in step) for step in played.run}
    once = dict.fromkeys("start split left even landed right unsplit one fan unfan join end".split(), 1)
    assert counts == {**once, "choose": 4, "size": 2, "part": 3, "meet": 4}


def test_a_loop_below_a_branch_ends_at_its_join(play):
    played = play(choices.LoopInBranch)

    assert (played.data.got, sum(1 for _ in played.run["turn"])) == ((2, 4, 0), 4)
