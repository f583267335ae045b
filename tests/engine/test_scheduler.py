from __future__ import annotations

import pytest

from rayflow.engine import Scheduler, StepProgress
from rayflow.engine.sizing import FEW_TASKS
from rayflow.model.commands import Batch, Cancel, Finish, Launch
from rayflow.model.events import BatchEnded, BatchFreed, BatchLost, CapacityChanged, Completed, Interrupted, TaskFailed, Ticked
from rayflow.model.indexes import IndexSet, Lane, TaskKey
from rayflow.model.records import Failure, FailureKind, Outcome
from rayflow.model.spec import Catch, Retry, StepSpec

from .bench import FANNED, FORKED, Bench, batch_of, fanned
from .flows import Each, Linear, Loop, Switch, flow_of

RAISED = Failure(FailureKind.EXCEPTION, "boom", type="builtins.ValueError")
DIED = Failure(FailureKind.DIED, "killed by signal 9", exit_code=-9)
LOST = Failure(FailureKind.LOST, "the node went away")


def test_a_join_waits_for_the_slowest_arm() -> None:
    bench = Bench(FORKED)
    bench.done("start")
    bench.done("fork")

    bench.done("b")
    is_early = "merge" in bench.batches
    bench.done("a")

    assert (is_early, bench.last("merge").parent) == (False, "fork")


def test_an_empty_foreach_goes_straight_to_its_join() -> None:
    bench = fanned(0)

    assert ("train" in bench.batches, bench.last("join").indices, bench.last("join").parent) == (False, IndexSet.single(0), "fan")


def test_no_more_batches_are_in_flight_than_slots_and_those_ahead() -> None:
    bench = fanned(100, slots=3)
    few = len(bench.batches["train"])

    bench.tell(CapacityChanged(3, {"train": 5}, ahead=2))

    assert (few, len(bench.batches["train"])) == (3, 7)


def test_max_workers_bounds_all_batches_in_flight() -> None:
    assert len(fanned(100, slots=8, max_workers=2).batches["train"]) == 2


def test_batches_grow_when_splits_are_quick() -> None:
    bench = fanned(1000, slots=1)

    for _ in range(4):
        bench.done("train")

    assert [len(batch.indices) for batch in bench.batches["train"]] == [1, 8, 64, 512, 415]


def test_a_step_of_few_tasks_has_one_per_batch() -> None:
    bench = fanned(FEW_TASKS, slots=1)

    for _ in range(FEW_TASKS):
        bench.done("train")

    assert [len(batch.indices) for batch in bench.batches["train"]] == [1] * FEW_TASKS


def test_an_isolated_step_has_one_task_per_batch() -> None:
    bench = fanned(1000, slots=1, specs={"train": StepSpec(is_isolated=True)})

    for _ in range(3):
        bench.done("train")

    assert [len(batch.indices) for batch in bench.batches["train"]] == [1, 1, 1, 1]


def test_task_ids_and_indices_of_fan_outs_do_not_overlap() -> None:
    scheduler = Scheduler(FANNED.graph, {})
    first = scheduler.reserve("fan", IndexSet.single(0), [5])

    second = scheduler.reserve("fan", IndexSet.span(1, 3), [2, 3])

    assert [(fanout.base, fanout.stop, fanout.first_id) for fanout in (first, second)] == [(0, 5, 5), (5, 10, 10)]


def test_a_loop_runs_its_next_lap() -> None:
    bench = Bench(flow_of(Loop("again", "after")))
    bench.done("start")

    bench.done("again", case="again")
    bench.done("again", case="after")

    assert ([batch.lap for batch in bench.batches["again"]], bench.last("after").lap, bench.last("after").parent) == ([0, 1], 0, "again")


def test_a_switch_runs_one_arm() -> None:
    bench = Bench(flow_of(Switch("pick", ((Linear("a"),), (Linear("b"),)), "meet")))
    bench.done("start")
    bench.done("pick", case="b")

    bench.done("b")

    assert ("a" in bench.batches, bench.last("meet").parent) == (False, "b")


def test_a_task_is_done_once() -> None:
    bench = fanned(2)
    batch = bench.batches["train"][0]
    event = Completed(batch.id, bench.segment(batch, batch.indices, (), None))

    again = [
        bench.tell(event),
        bench.tell(event),
        bench.tell(BatchEnded(batch.id)),
        bench.tell(event),
        bench.tell(BatchLost(batch.id, DIED)),
    ]

    assert (again, bench.scheduler.progress()["train"].done) == ([[], [], [], [], []], 1)


def test_rows_of_a_batch_that_is_over_are_not_expected() -> None:
    bench = fanned(2)
    batch = bench.last("train")
    before = bench.scheduler.expects(batch.id, batch.lane, batch.indices)

    bench.tell(BatchLost(batch.id, LOST))

    assert (before, bench.scheduler.expects(batch.id, batch.lane, batch.indices)) == (True, False)


def test_a_freed_slot_is_used_while_the_rows_are_committed() -> None:
    bench = fanned(3, slots=1, max_workers=1)
    first = bench.last("train")

    launched = bench.tell(BatchFreed(first.id, 1, 0.5, 0.5))
    bench.done("train", ends=False)
    bench.tell(Interrupted(2))
    late = bench.tell(Completed(first.id, bench.segment(first, first.indices, (), None)))

    assert [command.batch.step for command in launched if isinstance(command, Launch)] == ["train"]
    assert (late, bench.scheduler.progress()["train"].done) == ([], 2)
    assert [command.batch_id for command in bench.commands if isinstance(command, Cancel)] == [bench.last("train").id]


def test_what_a_worker_hands_back_goes_first() -> None:
    bench = fanned(100, slots=1)
    batch = batch_of(bench, 8)

    bench.done("train", *batch.indices.values[:2])

    again = bench.last("train")
    assert (again.indices, bench.whys[-1]) == (batch.indices.take(2)[1], "handed back by its worker")


def test_the_suspect_pays_and_runs_alone_while_its_neighbours_do_not() -> None:
    bench = fanned(100, slots=1, specs={"train": StepSpec(Retry(1))})
    batch = batch_of(bench, 8)
    suspect = batch.indices[3]

    bench.tell(BatchLost(batch.id, DIED, suspect, 0, is_exact=True))
    alone = bench.last("train")
    bench.done("train")

    assert (alone.indices, alone.attempts) == (IndexSet.single(suspect), {suspect: 1})
    assert (len(bench.last("train").indices), bench.last("train").attempts) == (len(batch.indices) - 1, {})


def test_a_worker_that_is_ahead_of_its_reports_dies_at_nobodys_expense() -> None:
    flow = flow_of(Each("fan", (Linear("train"), Linear("test")), "join", (100,)))
    bench = Bench(flow, 1, specs={"train": StepSpec(Retry(1)), "test": StepSpec(Retry(1))})
    bench.done("start")
    bench.done("fan", counts=[100])
    batch = bench.last("train")
    lost = BatchLost(batch.id, DIED, batch.indices[0], 0, is_exact=True, suspect_step="test")

    is_charged = bench.scheduler.blames(lost)
    bench.tell(lost)

    again = bench.last("train")
    assert (batch.goes_on, is_charged, again.indices, again.attempts, again.goes_on) == (True, None, batch.indices, {}, False)


def test_a_task_that_followed_in_the_same_go_is_charged_once_its_input_is_done() -> None:
    flow = flow_of(Each("fan", (Linear("train"), Linear("test")), "join", (100,)))
    bench = Bench(flow, 1, specs={"test": StepSpec(Retry(1))})
    bench.done("start")
    bench.done("fan", counts=[100])
    batch = bench.last("train")
    bench.done("train", ends=False)
    lost = BatchLost(batch.id, DIED, batch.indices[0], 0, is_exact=True, suspect_step="test")

    charged = bench.scheduler.blames(lost)
    bench.tell(lost)

    alone = bench.last("test")
    assert (charged, alone.indices, alone.attempts) == (Lane("test", 0, "train"), batch.indices, {batch.indices[0]: 1})


def test_a_suspect_that_is_handed_back_stays_alone() -> None:
    bench = fanned(100, slots=1, specs={"train": StepSpec(Retry(1))})
    batch = batch_of(bench, 8)
    bench.tell(BatchLost(batch.id, DIED, batch.indices[3], 0, is_exact=True))
    alone = bench.last("train")

    bench.tell(BatchEnded(alone.id))

    assert (bench.last("train").indices, bench.last("train").attempts) == (alone.indices, alone.attempts)


def test_what_is_lost_with_a_node_runs_again_together_and_uncharged() -> None:
    bench = fanned(100, slots=1)
    batch = batch_of(bench, 8)

    bench.tell(BatchLost(batch.id, LOST, batch.indices[0]))

    again = bench.last("train")
    assert (again.indices, again.attempts, again.goes_on) == (batch.indices, {}, False)


def test_what_killed_a_worker_is_found_by_halving() -> None:
    bench = fanned(1000, slots=1, specs={"train": StepSpec(Retry(1))})
    batch = batch_of(bench, 8)
    culprit, sizes = batch.indices[5], []

    bench.tell(BatchLost(batch.id, DIED))
    while len(bench.last("train").indices) > 1:
        sizes.append(len(bench.last("train").indices))
        if culprit in bench.last("train").indices:
            bench.tell(BatchLost(bench.last("train").id, DIED))
        else:
            bench.done("train")
    while culprit not in bench.last("train").indices:
        bench.done("train")
    bench.tell(BatchLost(bench.last("train").id, DIED))

    assert (len(batch.indices), sizes) == (64, [32, 32, 16, 16, 8, 8, 4, 4, 2, 2])
    assert bench.scheduler.states["train"].trouble(culprit, 0).attempt == 1


def test_a_task_is_not_lost_for_ever() -> None:
    bench = Bench(FORKED)

    for _ in range(6):
        bench.tell(BatchLost(bench.last("start").id, LOST))

    finish = bench.finish()
    assert (finish.outcome, finish.failed, finish.failure, finish.why) == (
        Outcome.FAILED,
        TaskKey("start", 0),
        LOST,
        "'start' was lost 6 times with its worker",
    )


def test_a_stated_delay_is_waited_for() -> None:
    bench = Bench(FORKED, specs={"start": StepSpec(Retry(1, 30.0, delay_is_stated=True))})
    first = bench.last("start")
    bench.tell(TaskFailed(first.id, 0, 0, RAISED))
    bench.tell(BatchEnded(first.id))

    due, bench.now = bench.scheduler.next_wakeup, 29.0
    early = bench.tell(Ticked())
    bench.now = 30.0

    assert (due, early, bench.tell(Ticked())) == (
        30.0,
        [],
        [Launch(Batch(2, "start", IndexSet.single(0), attempts={0: 1}), "retry 1 of 1 after ValueError")],
    )


def test_the_death_of_a_caught_task_gets_a_fallback() -> None:
    bench = Bench(FORKED, specs={"start": StepSpec(Retry(0), Catch())})

    bench.tell(BatchLost(bench.last("start").id, DIED, 0, 0, is_exact=True))

    assert (bench.last("start").fallback_for, bench.last("start").attempts) == (DIED, {0: 1})


def test_a_failure_ends_the_run_and_what_completes_meanwhile_counts() -> None:
    bench = Bench(FORKED, grace_s=5.0)
    bench.done("start")
    bench.done("fork")
    a, b = bench.last("a"), bench.last("b")

    soft = bench.tell(TaskFailed(a.id, 0, 0, RAISED))
    bench.tell(BatchEnded(a.id))
    nothing = bench.done("b", ends=False)
    bench.now = 5.0
    hard = bench.tell(Ticked())
    bench.tell(BatchEnded(b.id))

    assert soft == [Cancel(a.id, False, "'a' failed"), Cancel(b.id, False, "'a' failed")]
    assert (nothing, hard) == ([], [Cancel(b.id, True, "still running when the grace period was over: 'a' failed")])
    assert bench.finish() == Finish(Outcome.FAILED, "'a' failed", TaskKey("a", 0), RAISED)
    assert bench.scheduler.progress()["b"].done == 1


def test_a_second_interrupt_kills_at_once() -> None:
    bench = Bench(FORKED)
    batch = bench.last("start")
    bench.tell(Interrupted(2))

    hard = bench.tell(Interrupted(2))

    assert [(command.batch_id, command.is_hard) for command in hard if isinstance(command, Cancel)] == [(batch.id, True)]


def test_a_batch_that_does_not_die_is_not_waited_for() -> None:
    bench = Bench(FORKED, grace_s=5.0)
    bench.tell(Interrupted(15))

    for bench.now in (5.0, 10.0):
        bench.tell(Ticked())

    assert bench.finish() == Finish(Outcome.INTERRUPTED, "interrupted by SIGTERM")


def test_progress_knows_the_size_of_a_fan_out_downstream() -> None:
    bench = Bench(flow_of(Each("fan", (Linear("train"), Linear("score")), "join", ())))
    bench.done("start")
    bench.done("fan", counts=[50])

    assert bench.scheduler.progress()["score"] == StepProgress(total_known=50, done=0, running=0, failed=0, retrying=0)


def test_a_flow_that_cannot_go_on_fails_and_says_so() -> None:
    bench = Bench(FORKED)
    bench.done("start")

    bench.scheduler.frontier.after = lambda *_: iter(())  # what a graph that lint refuses would do
    bench.done("fork")

    assert bench.finish().why == "nothing is left to run, but 'end' was not reached"


@pytest.mark.parametrize("splits", [1, 7, 500])
def test_a_foreach_is_joined_once(splits: int) -> None:
    bench = fanned(splits, slots=2)

    while bench.scheduler.progress()["train"].done < splits:
        for batch in [b for b in bench.batches["train"] if b.id in bench.scheduler.flights]:
            bench.tell(Completed(batch.id, bench.segment(batch, batch.indices, (), None)))
            bench.tell(BatchEnded(batch.id))

    assert [list(batch.indices) for batch in bench.batches["join"]] == [[0]]
