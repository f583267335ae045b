"""Transitions that cannot be followed, and the limits of a run."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from rayflow.exception import RayflowException
from scenarios.flows import transitions
from scenarios.playing import cannot, not_on_buckets


def test_a_step_that_returns_before_its_next_fails_with_the_line_of_it(play):
    _check_wrong(play, "early return", "expected to transition to 'middle', but self.next() was never called")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("elsewhere", "expected to transition to 'middle', but self.next() was called with 'other'"),
        ("twice", "was called more than once"),
        ("not a step", "'helper', which is not a step"),
        ("no artifact", "there is no artifact of that name"),
        ("not iterable", "is not iterable"),
    ],
)
@cannot("process", "it can, and does: played once, by the scenario above")
@cannot("ray", "it can, and does: played once, by the scenario above")
def test_a_transition_that_cannot_be_followed_fails_the_step_with_its_line(play, how, words):
    _check_wrong(play, how, words)


def _check_wrong(play, how, words):
    played = play(transitions.Wrong, how=how, fails=True)

    assert (words in played.failure.message, "transitions.py on line" in played.failure.message) == (True, True), played.failure.message
    assert (played.failure.type.rpartition(".")[2], [step.id for step in played.run]) == ("InvalidNextException", ["start"])


def test_a_wrong_transition_is_not_retried_and_leaves_its_neighbours_done(play):
    played = play(transitions.WrongSplit, decospecs=("retry:times=3",), fails=True)

    done = {task.index: (task.finished, task.current_attempt) for task in played.run["body"]}
    assert (done, "join" in played.run) == ({0: (True, 0), 1: (True, 0), 2: (False, 0)}, False)


def test_a_foreach_wider_than_allowed_fails_naming_the_option(play):
    played = play(transitions.Clocked, max_num_splits=5, fails=True)

    assert ("6 child steps" in played.failure.message, "--max-num-splits" in played.failure.message) == (True, True)


def test_with_one_worker_never_two_tasks_run_at_once(play):
    assert _overlaps(play(transitions.Clocked, max_workers=1).data.spans) == 0


@cannot("inline", "one task at a time, whatever is asked for")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU")
def test_with_free_slots_tasks_run_side_by_side(play):
    assert _overlaps(play(transitions.Clocked, count=12).data.spans) > 0


@cannot("inline", "one task at a time, whatever is asked for")
@cannot("process", "it counts children, of which a machine with many CPUs has room for several")
def test_tasks_that_need_both_cpus_never_run_two_at_once(play):
    assert _overlaps(play(transitions.Greedy).data.spans) == 0


def _overlaps(spans):
    ordered = sorted(spans)
    return sum(later[0] < earlier[1] for earlier, later in pairwise(ordered))


@cannot("inline", "needs are not looked at")
@cannot("process", "needs are not looked at")
@not_on_buckets("there the cluster is joined by its address, and not the run's own")
def test_a_need_beyond_the_own_cluster_is_cut_with_one_warning(play):
    played = play(transitions.TooMuch)

    assert [warning.partition(":")[0] for warning in played.warnings] == [
        "Step 'start' needs 1000 CPU, 8 GPU, and the cluster has 2 CPU at most"
    ]


@cannot("inline", "needs are not looked at")
@cannot("process", "needs are not looked at")
def test_a_need_beyond_the_cluster_is_refused_when_asked_to_be_strict(play):
    with pytest.raises(RayflowException, match="needs 1000 CPU, 8 GPU"):
        play(transitions.TooMuch, is_strict=True)
