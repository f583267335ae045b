"""Group commits: what workers reported becomes packs and journal lines, and only then events for the scheduler.

Everything that a worker says is kept in its order: a batch's rows are committed before its end is told. Rows of lone tasks are in
their journal line; rows of fan-outs go to packs, one file for all that came in since the last commit, so that neither ten splits nor
ten million make a file each. The driver writes the packs, on every kind of root: rows are small (large artifacts were
stored by the workers), one writer needs no fence, and a bucket needs nothing else. Measured: 1,000,000 rows with two scalars are 60 MB,
0.2 s of the driver's time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.journal import JournalWriter
from rayflow.model.commands import Batch
from rayflow.model.events import BatchEnded, BatchLost, Completed, Event, TaskFailed
from rayflow.model.indexes import Fanout, IndexSet, Lane, TaskKey
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import FailedAttempt, Segment
from rayflow.model.reports import OWN, AttemptFailed, BatchOver, Report, RowsDone, WorkerDied

FIRST_HOLD_S, LONGEST_HOLD_S = 0.1, 1.0
"""How long rows of a fan-out wait for others to be committed with: longer as the run goes on (a kill costs at most this much)."""

Reserve = Callable[[str, IndexSet, "tuple[int, ...] | list[int]"], Fanout]


@dataclass
class Committed:
    """What a group commit made true: events for the scheduler, segments and failures for the view."""

    events: list[Event] = field(default_factory=list[Event])
    segments: list[Segment] = field(default_factory=list[Segment])
    failed: list[FailedAttempt] = field(default_factory=list[FailedAttempt])


@dataclass
class Committer:
    """`reserve` and `expects` are the scheduler's: the range of a fan-out's children, and whether tasks of a batch are still wanted.
    `steps` are the graph's, in order."""

    store: Store
    layout: RunLayout
    journal: JournalWriter
    run_id: str
    epoch: int
    reserve: Reserve
    expects: Callable[[int, Lane, IndexSet], bool]
    batches: Mapping[int, Batch]
    decides_final: Callable[[AttemptFailed], bool]
    steps: Sequence[str] = ()
    _queue: list[Report] = field(default_factory=list[Report])
    _oldest: float | None = None
    _packs: int = 0
    _begun: float | None = None
    _refused: set[int] = field(default_factory=set[int])

    def take(self, report: Report, now: float) -> None:
        """Queues a report for the next commit."""
        self._queue.append(report)
        if self._oldest is None:
            self._oldest = now
        if self._begun is None:
            self._begun = now

    @property
    def is_empty(self) -> bool:
        return not self._queue

    def due_at(self, now: float) -> float | None:
        """When the next commit is to happen, at the latest; None when there is nothing. At once for lone tasks and failures."""
        if self._oldest is None or self._begun is None:
            return None
        if any(isinstance(report, RowsDone) and report.columns is not None for report in self._queue):
            return self._oldest + min(LONGEST_HOLD_S, FIRST_HOLD_S + (now - self._begun) / 20)
        return now

    def commit(self) -> Committed:
        """Makes everything that is queued durable. RunFenced, StoreFault: then nothing of it may be told."""
        queue, self._queue, self._oldest = self._queue, [], None
        committed = Committed()
        segments = self._segments(queue)
        events: list[dict[str, Any]] = []
        for position, report in enumerate(queue):
            match report:
                case RowsDone():
                    segment = segments.get(position)
                    if segment is not None:
                        committed.segments.append(segment)
                        committed.events.append(Completed(report.batch_id, segment, report.spent_s, report.slowest_s))
                        events.append({"e": "rows", **wire.segment_to_json(segment)})
                case AttemptFailed():
                    self._failed(report, committed, events)
                case WorkerDied():
                    committed.events.append(self.lost(report))
                case BatchOver():
                    committed.events.append(BatchEnded(report.batch_id))
                case _:
                    pass
        if events:
            self.journal.commit(events)
        return committed

    def lost(self, report: WorkerDied) -> BatchLost:
        """The event that a death becomes."""
        lost = BatchLost(report.batch_id, report.failure, report.suspect, report.suspect_attempt, report.is_exact)
        if report.suspect_step == OWN:
            return lost
        return replace(lost, suspect_step=self.step_of(report), suspect_lap=report.suspect_lap)

    def step_of(self, report: WorkerDied) -> str:
        """The step of the suspect."""
        return self.batches[report.batch_id].step if report.suspect_step == OWN else self.steps[report.suspect_step]

    def _lane_of(self, report: RowsDone | AttemptFailed) -> Lane:
        return report.lane or self.batches[report.batch_id].lane

    def _failed(self, report: AttemptFailed, committed: Committed, events: list[dict[str, Any]]) -> None:
        is_final = not report.is_retried and self.decides_final(report)
        lane = self._lane_of(report)
        key = TaskKey(lane.step, report.index, lane.lap)
        failed = FailedAttempt(key, report.row, is_final, lane.parent)
        committed.failed.append(failed)
        events.append({"e": "failed", **wire.failed_attempt_to_json(failed)})
        if not report.is_retried and not report.is_death:
            committed.events.append(TaskFailed(report.batch_id, report.index, report.attempt, report.failure, report.lane))

    def _segments(self, queue: list[Report]) -> dict[int, Segment]:
        """The segment of each `RowsDone` by its position in the queue, its rows in a durable pack."""
        wanted: dict[int, RowsDone] = {}
        for position, report in enumerate(queue):
            if isinstance(report, RowsDone) and report.batch_id not in self._refused:
                if self.expects(report.batch_id, self._lane_of(report), report.indices):
                    wanted[position] = report
                else:
                    self._refused.add(report.batch_id)
        places = self._write_packs({position: report for position, report in wanted.items() if report.columns is not None})
        return {position: self._segment(report, places.get(position)) for position, report in wanted.items()}

    def _write_packs(self, reports: dict[int, RowsDone]) -> dict[int, tuple[str, int]]:
        """(pack, first row) of each report's rows."""
        from rayflow.store.packs import merge, write_pack

        places: dict[int, tuple[str, int]] = {}
        by_step: dict[str, list[int]] = {}
        for position, report in reports.items():
            by_step.setdefault(self._lane_of(report).step, []).append(position)
        for step, positions in by_step.items():
            streams = [columns for position in positions if (columns := reports[position].columns) is not None]
            for part in merge(streams):
                self._packs += 1
                name = write_pack(self.store, self.layout, step, f"{self.epoch:04d}-{self._packs:06d}", part)
                for span in part.spans:
                    places[positions[span.stream]] = (name, span.first_row)
        return places

    def provisional(self, report: RowsDone) -> Segment:
        """The segment that this report of a lone task will become, once it is committed."""
        return self._segment(report, None)

    def _segment(self, report: RowsDone, place: tuple[str, int] | None) -> Segment:
        lane = self._lane_of(report)
        fanout = self.reserve(lane.step, report.indices, list(report.counts)) if report.counts is not None else None
        segment = Segment(
            step=lane.step,
            indices=report.indices,
            lap=lane.lap,
            parent=lane.parent,
            taken=report.taken,
            fanout=fanout,
            run=self.run_id,
            rows=report.rows,
            busy_s=report.busy_s,
            caught=report.caught,
        )
        return segment if place is None else replace(segment, pack=place[0], pack_row=place[1])
