from __future__ import annotations

import pytest

from rayflow.model.commands import Batch
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Seat
from rayflow.model.records import Failure, FailureKind, Row, Status
from rayflow.model.reports import AttemptFailed, BatchOver, RowsDone, WorkerDied
from rayflow.runtime.gangs import Gangs

RAISED = Failure(FailureKind.EXCEPTION, "boom", type="builtins.ValueError")
KILLED = Failure(FailureKind.DIED, "killed by signal 9", exit_code=-9)
LOST = Failure(FailureKind.LOST, "the node went away")
GANG = Batch(7, "train", IndexSet.span(4, 7), parent="start", attempts={4: 1, 5: 1, 6: 1}, is_gang=True)


@pytest.fixture
def gangs():
    return Gangs()


@pytest.fixture
def nodes(gangs):
    """The ids of the batches of the three nodes."""
    return [node.id for node, _ in gangs.open(GANG)]


def done(node, index):
    return RowsDone(node, IndexSet.single(index), rows=(Row(pid=index),), busy_s=1.0)


def failed(node, index):
    return AttemptFailed(node, index, 1, RAISED, Row(status=Status.FAILED, attempt=1, failure=RAISED))


def test_a_gang_is_a_batch_for_each_node(gangs):
    opened = gangs.open(GANG)

    assert [(list(node.indices), node.attempt_of(node.indices[0]), seat) for node, seat in opened] == [
        ([index], 1, Seat(7, 3)) for index in (4, 5, 6)
    ]
    assert len({node.id for node, _ in opened}) == 3 and all(node.id < 0 and gangs.has_node(node.id) for node, _ in opened)
    assert not gangs.has_node(7) and list(gangs.nodes_of(7)) == [node.id for node, _ in opened]


def test_rows_are_told_together_in_order_when_the_last_is_there(gangs, nodes):
    said = [gangs.hear(done(nodes[k], 4 + k)) for k in (2, 0, 1)]

    assert said[:2] == [[], []]
    assert said[2] == [RowsDone(7, GANG.indices, (Row(pid=4), Row(pid=5), Row(pid=6)), busy_s=3.0)]


def test_a_gang_is_over_with_its_last_node(gangs, nodes):
    for k in range(3):
        gangs.hear(done(nodes[k], 4 + k))

    assert [gangs.hear(BatchOver(node)) for node in nodes] == [[], [], [BatchOver(7)]]
    assert gangs.to_stop(nodes[0]) == ()


def test_a_node_that_dies_after_its_row_harms_nobody(gangs, nodes):
    for k in range(3):
        gangs.hear(done(nodes[k], 4 + k))

    assert [gangs.hear(WorkerDied(node, KILLED), Row()) for node in nodes] == [[], [], [BatchOver(7)]]


def test_the_others_are_stopped_and_the_failure_is_told_when_all_are_over(gangs, nodes):
    gangs.hear(done(nodes[0], 4))
    first = gangs.hear(failed(nodes[1], 5))
    to_stop = list(gangs.to_stop(nodes[1]))
    gangs.hear(BatchOver(nodes[1]))
    gangs.hear(WorkerDied(nodes[0], KILLED), Row(attempt=1))
    said = gangs.hear(WorkerDied(nodes[2], KILLED), Row(attempt=1, pid=33))

    assert (first, to_stop) == ([], nodes)
    assert [(report.index, report.is_death, report.attempt, report.failure.kind) for report in said[:-1]] == [
        (5, False, 1, FailureKind.EXCEPTION),
        (4, True, 1, FailureKind.LOST),
        (6, True, 1, FailureKind.LOST),
    ]
    assert ([report.row.status for report in said[:-1]], said[-1]) == ([Status.FAILED] * 3, BatchOver(7))
    assert (said[1].failure.message, said[2].row.pid) == ("It was stopped, since node 1 of its gang failed.", 33)
    assert gangs.cause_of(7) == RAISED


def test_a_death_is_the_gangs_failure(gangs, nodes):
    gangs.hear(WorkerDied(nodes[0], KILLED), Row(attempt=1, pid=9))
    gangs.hear(BatchOver(nodes[1]))
    said = gangs.hear(BatchOver(nodes[2]))

    assert (said[0].index, said[0].failure, said[0].row.pid, said[0].is_death) == (4, KILLED, 9, False)


def test_what_nobody_is_to_blame_for_is_a_loss_of_the_gang(gangs, nodes):
    gangs.hear(WorkerDied(nodes[0], LOST))
    gangs.hear(WorkerDied(nodes[1], KILLED), Row())

    assert gangs.hear(WorkerDied(nodes[2], KILLED), Row()) == [WorkerDied(7, LOST)]


def test_nodes_that_were_asked_to_end_hand_the_gang_back(gangs, nodes):
    gangs.hear(done(nodes[0], 4))

    assert [gangs.hear(BatchOver(node)) for node in nodes] == [[], [], [BatchOver(7)]]


def test_a_fallback_needs_one_worker(gangs):
    fallback = Batch(8, "train", GANG.indices, parent="start", fallback_for=RAISED, is_gang=True)

    ((node, seat),) = gangs.open(fallback)
    gangs.hear(RowsDone(node.id, IndexSet.single(4), rows=(Row(),)))
    said = gangs.hear(RowsDone(node.id, IndexSet.span(5, 7), rows=(Row(), Row()), caught=2))

    assert (list(node.indices), seat, [list(report.indices) for report in said]) == ([4, 5, 6], None, [[4, 5, 6]])


def test_a_gang_that_is_forgotten_has_no_nodes(gangs, nodes):
    gangs.close(7)

    assert (gangs.has_node(nodes[0]), gangs.nodes_of(7), gangs.cause_of(7), gangs.to_stop(nodes[0])) == (False, {}, None, ())
