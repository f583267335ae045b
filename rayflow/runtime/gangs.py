"""The nodes of gangs under way: a gang is one batch for the scheduler, and a batch of one task for each worker that performs a node.

What nodes say becomes what their gang says. Rows are held until all are there, so that a gang is committed by one event: a crash leaves
all of it or none. When a node fails the others are ended, since they may wait for it for ever, and the failure is told once all are over:
so no node of the next attempt meets one of the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rayflow.model.commands import Batch
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Seat
from rayflow.model.records import Failure, FailureKind, Row, Status
from rayflow.model.reports import AttemptFailed, BatchOver, Report, RowsDone, WorkerDied

_MOST_NODES = 1 << 20


@dataclass
class _Gang:
    """A gang under way. `cause` is the first failure; `stopped` are the nodes that were ended since."""

    batch: Batch
    nodes: dict[int, Batch]
    rows: dict[int, Row] = field(default_factory=dict[int, Row])
    failed: dict[int, Row] = field(default_factory=dict[int, Row])
    over: set[int] = field(default_factory=set[int])
    busy_s: float = 0.0
    caught: int = 0
    cause: AttemptFailed | WorkerDied | None = None
    is_told: bool = False


@dataclass
class Gangs:
    """The gangs of a run, by batch. Node batches have ids below zero, the scheduler's lie above."""

    _gangs: dict[int, _Gang] = field(default_factory=dict[int, _Gang])

    def open(self, batch: Batch) -> Sequence[tuple[Batch, Seat | None]]:
        """What is to be submitted for the batch of a gang: a batch for each node, with its seat; of a fallback, which runs no user code,
        one for all of them."""
        if batch.fallback_for is not None:
            node = replace(batch, id=_node_id(batch.id, 0))
            self._gangs[batch.id] = _Gang(batch, {node.id: node})
            return [(node, None)]
        nodes = [replace(batch, id=_node_id(batch.id, k), indices=IndexSet.single(index)) for k, index in enumerate(batch.indices)]
        self._gangs[batch.id] = _Gang(batch, {node.id: node for node in nodes})
        return [(node, Seat(batch.id, len(nodes))) for node in nodes]

    def has_node(self, batch_id: int) -> bool:
        """Whether this is the batch of a node whose gang is under way."""
        return _gang_id(batch_id) in self._gangs

    def nodes_of(self, batch_id: int) -> Mapping[int, Batch]:
        """The batches of the nodes by id, where this is the batch of a gang."""
        gang = self._gangs.get(batch_id)
        return {} if gang is None else gang.nodes

    def cause_of(self, batch_id: int) -> Failure | None:
        """The failure by which the gang failed."""
        gang = self._gangs.get(batch_id)
        return None if gang is None or gang.cause is None else gang.cause.failure

    def hear(self, report: Report, row: Row | None = None) -> Sequence[Report]:
        """Takes what a node said (`row`: the record of its attempt, where it died), and returns what its gang says by that."""
        gang = self._gangs[_gang_id(report.batch_id)]
        match report:
            case RowsDone():
                gang.rows.update(zip(report.indices, report.rows, strict=True))
                gang.busy_s += report.busy_s
                gang.caught += report.caught
            case AttemptFailed():
                gang.failed[report.index] = report.row
                gang.cause = gang.cause or report
            case WorkerDied():
                gang.over.add(report.batch_id)
                node = gang.nodes[report.batch_id]
                is_done = all(index in gang.rows or index in gang.failed for index in node.indices)
                if not is_done:
                    if row is not None:
                        gang.failed[node.indices[0]] = row
                    gang.cause = gang.cause or report
            case BatchOver():
                gang.over.add(report.batch_id)
            case _:
                pass
        return list(self._said(gang))

    def to_stop(self, batch_id: int) -> Sequence[int]:
        """The nodes that are to be ended, since the gang of this node has failed."""
        gang = self._gangs.get(_gang_id(batch_id))
        if gang is None or gang.cause is None:
            return ()
        return [node for node in gang.nodes if node not in gang.over]

    def _said(self, gang: _Gang) -> Iterator[Report]:
        batch = gang.batch
        if not gang.is_told and gang.cause is None and len(gang.rows) == len(batch.indices):
            gang.is_told = True
            rows = tuple(gang.rows[index] for index in batch.indices)
            yield RowsDone(batch.id, batch.indices, rows, busy_s=gang.busy_s, caught=gang.caught)
        if len(gang.over) < len(gang.nodes):
            return
        if gang.cause is None or gang.is_told:
            yield BatchOver(batch.id)
        elif not gang.cause.failure.is_charged:
            yield WorkerDied(batch.id, gang.cause.failure)
        else:
            yield from _failures(gang, gang.cause)
            yield BatchOver(batch.id)

    def close(self, batch_id: int) -> None:
        """Forgets the gang."""
        self._gangs.pop(batch_id, None)


def _failures(gang: _Gang, cause: AttemptFailed | WorkerDied) -> Iterator[AttemptFailed]:
    """The failed attempt of every node: first the culprit's, which the scheduler answers and users are told as the reason."""
    batch, culprit = gang.batch, _culprit(gang, cause)
    attempt = batch.attempt_of(culprit)
    row = gang.failed.get(culprit) or Row(status=Status.FAILED, attempt=attempt, failure=cause.failure)
    yield AttemptFailed(batch.id, culprit, attempt, cause.failure, row)
    place = list(batch.indices).index(culprit)
    stopped = Failure(FailureKind.LOST, f"It was stopped, since node {place} of its gang failed.")
    for index in batch.indices:
        if index == culprit:
            continue
        attempt = batch.attempt_of(index)
        row = gang.failed.get(index) or gang.rows.get(index) or Row(attempt=attempt)
        failure = row.failure if row.failure is not None and row.failure.type else stopped
        row = replace(row, status=Status.FAILED, failure=failure, artifacts=dict(row.artifacts) if row.failure else {})
        yield AttemptFailed(batch.id, index, attempt, failure, row, is_death=True)


def _culprit(gang: _Gang, cause: AttemptFailed | WorkerDied) -> int:
    return cause.index if isinstance(cause, AttemptFailed) else gang.nodes[cause.batch_id].indices[0]


def _node_id(gang_id: int, position: int) -> int:
    return -(gang_id * _MOST_NODES + position)


def _gang_id(node_id: int) -> int:
    return -node_id // _MOST_NODES
