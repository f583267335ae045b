from __future__ import annotations

from rayflow.model.commands import Finish
from rayflow.model.events import BatchEnded, BatchLost, TaskFailed
from rayflow.model.indexes import IndexSet, TaskKey
from rayflow.model.records import Failure, FailureKind, Outcome
from rayflow.model.spec import Catch, Retry, StepSpec

from .bench import Bench
from .flows import Each, Linear, flow_of

RAISED = Failure(FailureKind.EXCEPTION, "boom", type="builtins.ValueError")
LOST = Failure(FailureKind.LOST, "the node went away")
GANG = flow_of(Each("gang", (Linear("node"),), "join", (), is_gang=True))
GANGS = flow_of(Each("each", (*GANG.tree[1:-1],), "all", ()))


def called(nodes: int, **options: object) -> Bench:
    """A gang of so many nodes, in flight."""
    bench = Bench(GANG, 1, **options)
    bench.done("start")
    bench.done("gang", counts=[nodes])
    return bench


def failed(bench: Bench, index: int) -> None:
    batch = bench.last("node")
    bench.tell(TaskFailed(batch.id, index, batch.attempt_of(index), RAISED))
    bench.tell(BatchEnded(batch.id))


def test_the_nodes_of_a_gang_are_launched_together_whatever_the_slots() -> None:
    bench = called(5)

    assert [(list(batch.indices), batch.is_gang) for batch in bench.batches["node"]] == [([0, 1, 2, 3, 4], True)]


def test_gangs_of_a_foreach_are_apart() -> None:
    bench = Bench(GANGS, 8)
    bench.done("start")
    bench.done("each", counts=[3])

    for batch in list(bench.batches["gang"]):
        segment = bench.segment(batch, batch.indices, [2], None)
        bench.tell(bench.completed(batch, segment))
        bench.tell(BatchEnded(batch.id))

    assert [list(batch.indices) for batch in bench.batches["node"]] == [[0, 1], [2, 3], [4, 5]]


def test_the_failure_of_one_node_is_an_attempt_of_all() -> None:
    bench = called(3, specs={"node": StepSpec(Retry(1))})

    failed(bench, 1)

    again = bench.last("node")
    assert (list(again.indices), dict(again.attempts), again.is_gang) == ([0, 1, 2], {0: 1, 1: 1, 2: 1}, True)


def test_a_gang_without_attempts_left_ends_the_run_by_the_node_that_failed() -> None:
    bench = called(3)

    failed(bench, 1)

    finish = bench.finish()
    assert (finish.outcome, finish.failed) == (Outcome.FAILED, TaskKey("node", 1, 0))
    assert bench.scheduler.progress()["node"].failed == 3


def test_a_caught_gang_falls_back_together() -> None:
    bench = called(2, specs={"node": StepSpec(catch=Catch())})

    failed(bench, 0)
    bench.done("node")

    assert (list(bench.last("node").indices), bench.last("node").fallback_for) == ([0, 1], RAISED)
    assert bench.last("join").indices == IndexSet.single(0)


def test_a_gang_that_is_lost_is_launched_again_together_and_uncharged() -> None:
    bench = called(3)

    bench.tell(BatchLost(bench.last("node").id, LOST))

    assert [(list(batch.indices), dict(batch.attempts)) for batch in bench.batches["node"]] == [([0, 1, 2], {})] * 2


def test_a_gang_that_is_lost_too_often_ends_the_run() -> None:
    bench = called(3)

    for _ in range(6):
        bench.tell(BatchLost(bench.last("node").id, LOST))

    assert [command.why for command in bench.commands if isinstance(command, Finish)] == ["'node' was lost 6 times with its worker"]


def test_a_resume_takes_over_a_gang_as_a_whole_or_not_at_all() -> None:
    bench = called(3)
    bench.done("node")
    journal = bench.journal
    node = journal[-1]

    whole = Bench(GANG, reusable=journal, is_resume=True)
    part = Bench(GANG, reusable=[*journal[:-1], node.part(IndexSet.of([0, 2]))], is_resume=True)
    pieces = [node.part(IndexSet.of([0])), node.part(IndexSet.of([1, 2]))]
    torn = Bench(GANG, reusable=[*journal[:-1], *pieces], is_resume=True)

    assert [list(bench.batches) for bench in (whole, part, torn)] == [["join"], ["node"], ["node"]]
    assert [list(bench.last("node").indices) for bench in (part, torn)] == [[0, 1, 2]] * 2


def test_a_gang_whose_data_is_damaged_is_performed_again_and_what_follows_stays_where_it_comes_out_the_same() -> None:
    bench = called(2)
    bench.done("node")
    bench.done("join")
    rest = [segment for segment in bench.journal if segment.step != "node"]
    lost = [segment for segment in bench.journal if segment.step == "node"]

    again = Bench(GANG, reusable=rest, lost=lost, is_resume=True)
    batch = again.last("node")
    segment = again.segment(batch, batch.indices, (), None)
    again.tell(again.completed(batch, segment, unchanged=segment.indices))
    again.tell(BatchEnded(batch.id))

    assert (list(batch.indices), list(again.batches)) == ([0, 1], ["node", "end"])
