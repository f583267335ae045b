"""What a worker performs in one go reads, and is seen, as if each step had had a worker of its own."""

from __future__ import annotations

import os

from rayflow.model.records import FailureKind
from rayflow.runtime.notices import TaskAttemptFailed
from scenarios.flows import chains
from scenarios.playing import cannot


def test_each_step_of_a_chain_sees_what_the_one_before_stored(play):
    data = play(chains.Chain).data

    assert data.seen == [["first", f"second {i + 100}", "third"] for i in range(chains.SPLITS)]
    assert data.base_seen == [[100, i] for i in range(chains.SPLITS)]


def test_each_task_of_a_chain_has_its_own_record(play):
    played = play(chains.Chain)
    first, second, third = (played.tasks(name) for name in ("first", "second", "third"))

    assert [len(tasks) for tasks in (first, second, third)] == [chains.SPLITS] * 3
    assert [task.data.seen for task in first] == [["first"]] * chains.SPLITS  # what came later changed a copy
    assert [len(task.data.seen) for task in second] == [2] * chains.SPLITS
    assert [task.stdout for task in first] == [f"first of {i}\n" for i in range(chains.SPLITS)]
    assert [task.stdout for task in second] == [f"second of {i}\n" for i in range(chains.SPLITS)]
    assert [task.data.where for task in first] == [task.pathspec for task in first]
    assert [task.data.then for task in third] == [task.pathspec for task in third]
    assert {task.data.same["never"] for task in third} == {"changed"}
    assert all(before.finished_at <= after.created_at or before.created_at <= after.created_at for before, after in zip(first, second))


def test_a_chain_is_performed_by_one_worker_split_by_split(play):
    played = play(chains.Chain)
    first, second, third = (played.tasks(name) for name in ("first", "second", "third"))

    places = [[task.record.row.logs for task in tasks] for tasks in zip(first, second, third)]
    assert {place.name for row in places for place in row} == {row[0].name for row in places}  # no log was begun for the later steps
    assert all(a.out_end <= b.out_begin and b.out_end <= c.out_begin for a, b, c in places)  # one after the other, in one log


def test_switches_and_loops_go_on_in_the_same_worker(play):
    def expected(i):
        arm = (["short"], ["long", "longer"], [])[i % 3]
        return ("choose", *arm, "meet", list(range(1, 2 + i % 4)))

    played = play(chains.ChainOfChoices)

    assert played.data.got == [expected(i) for i in range(chains.SPLITS)]
    assert sum(1 for _ in played.run["turn"]) == sum(1 + i % 4 for i in range(chains.SPLITS))
    assert {task.data.kind for task in played.run["short"]} == {"short"}


def test_a_failure_in_a_chain_repeats_its_own_step_alone(play, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()

    played = play(chains.ChainThatFails, marks=str(marks))

    assert played.data.got == [(i, int(i == 47)) for i in range(chains.SPLITS)]
    starts = {name: len((marks / name).read_text()) for name in os.listdir(marks)}
    assert {name: count for name, count in starts.items() if count != 1} == {"second-47": 2}


@cannot("inline", "the step's process is the test's: its death would be the test's")
def test_a_death_in_a_chain_costs_no_other_split_an_attempt(play, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()

    played = play(chains.ChainThatFails, marks=str(marks), how="die")

    attempts = dict(played.data.got)
    assert sorted(attempts) == list(range(chains.SPLITS))
    assert {i: attempt for i, attempt in attempts.items() if attempt and i != 47} == {}
    failed = [(notice.label.step, notice.failure.kind) for notice in played.notices if isinstance(notice, TaskAttemptFailed)]
    # Charged where what came before it had been reported; else nobody is, and it is performed once more.
    assert (attempts[47], failed) in [(1, [("second", FailureKind.DIED)]), (0, [])]
    assert len((marks / "second-47").read_text()) == 2
