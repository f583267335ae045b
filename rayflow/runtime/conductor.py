"""The one loop: commands of the scheduler go out to the crew, reports come back, are committed, and become the scheduler's next facts.

It decides nothing itself. What may be said is said after the commit; what must be said at once (a task began, a line of output) says
nothing that a crash could take back.
"""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from types import FrameType
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.journal import JournalWriter
from rayflow.catalog.scope import ancestors, scope_of
from rayflow.catalog.view import RunView
from rayflow.engine.retry import Catch, Fallback, GiveUp, RetryAfter, RetryNow, after_failure
from rayflow.engine.scheduler import Scheduler
from rayflow.model.commands import Batch, Cancel, Command, Drop, Finish, Launch, Reuse
from rayflow.model.events import BatchFreed, Event, Interrupted, Offered, Ticked
from rayflow.model.indexes import ROOT_SPACE
from rayflow.model.ports import Interpreter, Store, Work
from rayflow.model.records import Segment
from rayflow.model.reports import AttemptFailed, BatchOver, BatchStarted, Report, RowOffered, RowsDone, WorkerDied
from rayflow.model.spec import StepSpec
from rayflow.runtime.committer import Committed, Committer
from rayflow.runtime.crew import Crew
from rayflow.runtime.gangs import Gangs
from rayflow.runtime.holding import Holding, Lendings, with_offered
from rayflow.runtime.narrator import Narrator
from rayflow.runtime.obituary import refined
from rayflow.runtime.repairs import Repairs
from rayflow.runtime.shared import Assignment, Shared

POLL_S = 0.05
LOGS_S = 5.0
"""How long the end of a run on a bucket waits for output that workers are storing."""


@dataclass(slots=True)
class _Paced:
    """What a batch did since its last commit: the scheduler sizes batches by it before the commit."""

    count: int = 0
    spent_s: float = 0.0
    slowest_s: float = 0.0


@dataclass
class Conductor:
    """Drives one run to its `Finish`. `shared` is what every batch gets; `view` what is committed so far; `is_fenced` tells that another
    driver was seen to own the run."""

    scheduler: Scheduler
    crew: Crew
    store: Store
    journal: JournalWriter
    shared: Shared
    view: RunView
    narrator: Narrator
    epoch: int
    specs: dict[str, StepSpec]
    repairs: Repairs
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict[str, Interpreter])
    is_fenced: Callable[[], bool] = lambda: False
    finish: Finish | None = None
    caught_signal: int | None = None
    batches: dict[int, Batch] = field(default_factory=dict[int, Batch])
    holding: Holding = field(default_factory=Holding)
    lendings: Lendings = field(default_factory=Lendings)
    gangs: Gangs = field(default_factory=Gangs)
    _started: dict[int, BatchStarted] = field(default_factory=dict[int, BatchStarted])
    _paced: dict[int, _Paced] = field(default_factory=dict[int, _Paced])
    _outer: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])
    _signals: list[int] = field(default_factory=list[int])
    _is_ending: bool = False
    _killed: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        record = self.shared.record
        self._handlers = _Handlers(self._signals, is_inline=self.crew.is_inline)
        self.committer = Committer(
            store=self.store,
            layout=record.layout,
            journal=self.journal,
            run_id=record.run_id,
            epoch=self.epoch,
            reserve=self.scheduler.reserve,
            expects=self.scheduler.expects,
            batches=self.batches,
            decides_final=self._is_final,
            steps=tuple(node.name for node in self.shared.record.graph),
        )

    def run(self) -> Finish:
        """Returns when the run is over. RunFenced, StoreFault and ClusterFault end it early; whoever calls closes the crew."""
        with self._handlers:
            self.scheduler.capacity = self.crew.first_capacity()  # known before the first launch: its needs may have to wait for a cluster
            self._obey(self.scheduler.start(time.monotonic()))
            while self.finish is None:
                try:
                    self._turn()
                except KeyboardInterrupt:
                    self._signals.append(signal.SIGINT)
        self._gather_logs()
        return self.finish

    def _gather_logs(self) -> None:
        """On a bucket workers store what was printed after they report what was done: that is waited for. Of those that are too slow, or
        are to be ended, it is stored here."""
        deadline = time.monotonic() + (0.0 if self.store.can_append or self.caught_signal is not None else LOGS_S)
        while self._started and self.crew.is_busy and time.monotonic() < deadline:
            for report in self.crew.poll(POLL_S):
                if isinstance(report, (BatchOver, WorkerDied)):
                    self._started.pop(report.batch_id, None)
        for started in self._started.values():
            if started.log_name is not None:
                self.narrator.files.keep(started.log_name)

    def _turn(self) -> None:
        if self.is_fenced():
            self.journal.check_fence()
        self.crew.consider(lambda: self.scheduler.are_tasks_waiting)
        capacity = self.crew.capacity()
        if capacity is not None:
            self._handlers.install()
            self._tell(capacity)
        while self._signals:
            self.caught_signal = self._signals.pop(0)
            self._tell(Interrupted(self.caught_signal))
        for report in self.crew.poll(self._timeout()):
            self._hear(report)
        if self._is_commit_due():
            self._commit()
        wakeup = self.scheduler.next_wakeup
        if wakeup is not None and time.monotonic() >= wakeup:
            self._tell(Ticked())
        self.narrator.look(self.scheduler.progress(), self.crew.waits_for_ray and not self._started)

    def _timeout(self) -> float:
        now, limits = time.monotonic(), [POLL_S]
        due, wakeup = self.committer.due_at(now), self.scheduler.next_wakeup
        limits.extend(moment - now for moment in (due, wakeup) if moment is not None)
        return max(0.0, min(limits))

    # -- commands ----------------------------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        self._obey(self.scheduler.on(event, time.monotonic()))

    def _obey(self, commands: Iterable[Command]) -> None:
        reused: list[Segment] = []
        for command in commands:
            match command:
                case Launch(batch=batch):
                    self._launch(batch, command.why)
                case Reuse(segment=segment):
                    reused.append(segment)
                    self.view.add(segment)
                case Cancel(batch_id=batch_id, is_hard=is_hard):
                    for node in self.gangs.nodes_of(batch_id) or (batch_id,):
                        self.crew.cancel(node, is_hard=is_hard)
                        if is_hard:
                            self._killed[node] = command.why
                    if not self._is_ending:
                        self._is_ending = True
                        self.narrator.draining(command.why, len(self.scheduler.flights))
                case Drop(batch_id=batch_id):
                    self.crew.cancel(batch_id, is_hard=True)
                    self.holding.release(batch_id)
                    self._forget(batch_id)
                case Finish():
                    self.finish = command
        if reused:
            self._take_over(reused)

    def _take_over(self, segments: list[Segment]) -> None:
        """Records what is reused: a line a segment, no byte of data."""
        self.journal.commit([{"e": "rows", **wire.segment_to_json(segment)} for segment in segments])
        self.narrator.reused(segments)

    def _launch(self, batch: Batch, why: str) -> None:
        self.batches[batch.id] = batch
        self._paced[batch.id] = _Paced()
        spec = self.specs[batch.step]
        shared_id, shared = self._shared_for(batch)
        view = self.view if batch.after is None else with_offered(self.view, self.holding.offered[batch.after])
        without = self._without(batch.step)
        scope = scope_of(view, batch.step, batch.indices, without=without)
        outer = (segment for step in without if step in view.steps for segment in view.steps[step].all)
        lent = self.lendings.for_rows_of(chain(scope.segments, outer))
        first = batch.indices[0]
        name = batch.step if self._is_lone(batch.step) else f"{batch.step}[{first}:{first + len(batch.indices)}]"
        payload = pickle.dumps(Assignment(scope), protocol=5)
        python = self.interpreters.get(batch.step)
        work = Work(batch, payload, shared, shared_id, name, spec.resources, spec.environment, spec.is_isolated, lent, python=python)
        self.crew.submit(self._nodes_of(work) if batch.is_gang else [work])

    def _nodes_of(self, work: Work) -> list[Work]:
        """The work of each node of a gang."""
        nodes = self.gangs.open(work.batch)
        self.batches.update((node.id, node) for node, _ in nodes)
        return [replace(work, batch=node, name=f"{node.step}[{node.indices[0]}]", seat=seat) for node, seat in nodes]

    def _is_lone(self, step: str) -> bool:
        return self.view.graph[step].space == ROOT_SPACE

    def _without(self, step: str) -> frozenset[str]:
        """The lone ancestors of a fan-out's step: they are done before it begins, and travel once, in the shared part."""
        if self._is_lone(step):
            return frozenset()
        return frozenset(name for name in ancestors(self.view.graph, step) if self._is_lone(name))

    def _shared_for(self, batch: Batch) -> tuple[str, bytes]:
        key = "" if self._is_lone(batch.step) else batch.step
        known = self._outer.get(key)
        if known is None:
            outer = [
                segment for name in sorted(self._without(batch.step)) if name in self.view.steps for segment in self.view.steps[name].all
            ]
            content = pickle.dumps(replace(self.shared, outer=tuple(outer)), protocol=5)
            known = self._outer[key] = (f"{self.shared.record.run_id}:{self.epoch}:{key}", content)
        return known

    # -- reports -----------------------------------------------------------------------------------------------------

    def _hear(self, report: Report) -> None:
        batch = self.batches.get(report.batch_id)
        if batch is None:
            return
        if batch.after is not None and self.scheduler.is_ahead(batch.id):
            self.holding.hold(report)
            return
        if self.gangs.has_node(batch.id) and not isinstance(report, BatchStarted):
            self._hear_node(batch, report)
            return
        match report:
            case BatchStarted():
                self._started[batch.id] = report
                if len(batch.indices) == 1:
                    self._note_launch(batch, report)
                self.narrator.started(batch, report)
                return
            case RowsDone():
                self.narrator.stopped(batch, report.rows)
                if report.lane is None:
                    paced = self._paced[batch.id]
                    paced.count += len(report.indices)
                    paced.spent_s += report.spent_s
                    paced.slowest_s = max(paced.slowest_s, report.slowest_s)
            case RowOffered():
                self._offered(batch, report)
                return
            case AttemptFailed():
                self.narrator.stopped(batch, (report.row,), is_retried=report.is_retried)
            case BatchOver():
                self._free(batch)
            case WorkerDied():
                report = self._buried(batch, report)
                self._free(batch)
        self.committer.take(report, time.monotonic())

    def _hear_node(self, node: Batch, report: Report) -> None:
        """What a node of a gang says is kept until its gang can say something."""
        row = None
        match report:
            case RowsDone():
                self.narrator.stopped(node, report.rows)
            case AttemptFailed():
                self.narrator.stopped(node, (report.row,))
            case WorkerDied():
                started = self._started.get(node.id)
                report = self._explained(report, started, node.step)
                report = replace(report, suspect=node.indices[0], suspect_attempt=node.attempt_of(node.indices[0]))
                row = self.narrator.died(node, report, started)
            case _:
                pass
        for said in self.gangs.hear(report, row):
            if isinstance(said, (BatchOver, WorkerDied)):
                self._free(self.batches[said.batch_id])
            self.committer.take(said, time.monotonic())
        for other in self.gangs.to_stop(node.id):
            self.crew.cancel(other, is_hard=True)

    def _offered(self, batch: Batch, report: RowOffered) -> None:
        """Large values of a lone task can be had before they are stored."""
        self.lendings.keep(report)
        if report.target is not None:
            self.holding.offered[batch.id] = self.committer.provisional(report.done)
            self._tell(Offered(batch.id, report.target))

    def _free(self, batch: Batch) -> None:
        paced = self._paced.pop(batch.id, _Paced())
        self._tell(BatchFreed(batch.id, paced.count, paced.spent_s, paced.slowest_s))

    def _buried(self, batch: Batch, report: WorkerDied) -> WorkerDied:
        """A death, with what the dead left in its log, recorded as a failed attempt where it is one task's."""
        if not self.committer.is_empty:
            self._commit()  # what was reported before the death decides whom the scheduler charges
        started = self._started.get(batch.id)
        step = self.committer.step_of(report)
        report = self._explained(report, started, step)
        row = self.narrator.died(batch, report, started)
        lane = self.scheduler.blames(self.committer.lost(report))
        if row is not None and report.suspect is not None and lane is not None:
            decision = after_failure(self.specs[step], report.suspect_attempt, report.failure)
            is_retried = isinstance(decision, (RetryNow, RetryAfter, Fallback))
            failed = AttemptFailed(batch.id, report.suspect, report.suspect_attempt, report.failure, row, is_retried, True, lane)
            self.committer.take(failed, time.monotonic())
        return report

    def _explained(self, report: WorkerDied, started: BatchStarted | None, step: str) -> WorkerDied:
        """A death, with its cause: this driver's own doing, or what the dead left in its log, which is kept."""
        if started is not None and started.log_name is not None:
            self.narrator.files.keep(started.log_name)
        why = self._killed.pop(report.batch_id, None)
        if why is not None:
            return replace(report, failure=replace(report.failure, message=f"Its process was ended: {why}."))
        return refined(report, self.narrator.files, started, step, self.specs[step])

    def _is_final(self, report: AttemptFailed) -> bool:
        step = report.lane.step if report.lane else self.batches[report.batch_id].step
        cause = self.gangs.cause_of(report.batch_id)
        decision = after_failure(self.specs[step], report.attempt, cause or report.failure)
        if cause is not None:
            return isinstance(decision, GiveUp)  # @catch falls back
        return isinstance(decision, (GiveUp, Catch))

    def _note_launch(self, batch: Batch, report: BatchStarted) -> None:
        self.journal.note(
            [
                {
                    "e": "launched",
                    "step": batch.step,
                    "idx": batch.indices.to_json(),
                    "lap": batch.lap,
                    "parent": batch.parent,
                    "log": report.log_name,
                    "out": report.out_begin,
                    "err": report.err_begin,
                    "pid": report.pid,
                    "node": report.node,
                }
            ]
        )

    # -- commits -----------------------------------------------------------------------------------------------------

    def _is_commit_due(self) -> bool:
        """In time; and at once when slots stand empty that the committed tasks' successors could use."""
        if self.committer.is_empty:
            return False
        due = self.committer.due_at(time.monotonic())
        is_idle = not any(not flight.is_freed for flight in self.scheduler.flights.values())
        return is_idle or (due is not None and time.monotonic() >= due)

    def _commit(self) -> None:
        committed = self.committer.commit()
        for segment in committed.segments:
            self.view.add(segment)
        for failed in committed.failed:
            self.view.add_failed(failed)
        self._announce(committed)
        for event in committed.events:
            self._tell(self.repairs.judged(event))
        self._forget_over()
        for batch_id in self.holding.batches:
            if not self.scheduler.is_ahead(batch_id):
                for report in self.holding.release(batch_id):
                    self._hear(report)

    def _announce(self, committed: Committed) -> None:
        for failed in committed.failed:
            self.narrator.attempt_failed(failed)
        for segment in committed.segments:
            self.narrator.done(segment)

    def _forget_over(self) -> None:
        for batch_id in [batch_id for batch_id in self.batches if batch_id >= 0 and batch_id not in self.scheduler.flights]:
            if not self.scheduler.is_ahead(batch_id):
                for node in self.gangs.nodes_of(batch_id):
                    self._forget(node)
                self.gangs.close(batch_id)
                self._forget(batch_id)

    def _forget(self, batch_id: int) -> None:
        self.batches.pop(batch_id, None)
        self._started.pop(batch_id, None)
        self.narrator.forget(batch_id)
        self._paced.pop(batch_id, None)
        self.holding.offered.pop(batch_id, None)


class _Handlers:
    """SIGINT and SIGTERM become facts while a run is driven. In an inline run Ctrl-C interrupts the user's code, as in a debugger."""

    def __init__(self, signals: list[int], *, is_inline: bool) -> None:
        self._signals = signals
        self._numbers = (signal.SIGTERM,) if is_inline else (signal.SIGINT, signal.SIGTERM)
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> None:
        self.install()

    def install(self) -> None:
        """Again, once Ray is there: it puts a handler of its own in place, which aborts the process at a SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                before = signal.signal(number, lambda caught, _frame: self._signals.append(caught))
                self._before.setdefault(number, before)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
