"""Turns what the conductor sees into notices for the Reporter. Keeps no state that the run depends on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rayflow.catalog.view import RunView
from rayflow.engine.steps import StepProgress as EngineProgress
from rayflow.model.commands import Batch
from rayflow.model.indexes import ROOT_SPACE, TaskKey
from rayflow.model.records import FailedAttempt, LogSpan, Row, Segment, Status
from rayflow.model.reports import BatchStarted, WorkerDied
from rayflow.model.spec import StepSpec
from rayflow.runtime.logfiles import LogFiles
from rayflow.runtime.notices import (
    Draining,
    FanoutOpened,
    Progressed,
    Reporter,
    StepProgress,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskLabel,
    TaskSaid,
    TaskStarted,
    Waiting,
)
from rayflow.runtime.tails import Tail

SHOWN_SPLITS = 32
"""Fan-outs of more are told in totals, and what their splits print goes to their logs."""

_LOOK_S = 0.1
_REPEAT_S = 30.0
"""Progress is told again after this long, so that a silent task does not look like a dead one."""


def is_shown(view: RunView, key: TaskKey) -> bool:
    """Whether the task is shown by itself: outside every fan-out, or in a narrow one."""
    space = view.graph[key.step].space
    return space == ROOT_SPACE or view.fanout_of(space, key.index).total <= SHOWN_SPLITS


def task_label(view: RunView, key: TaskKey, pid: int = 0) -> TaskLabel:
    """How the task is shown."""
    frames = view.frames(view.graph[key.step].space, key.index)
    where = f"[{','.join(str(frame.position) for frame in frames)}]" if frames else ""
    return TaskLabel(view.record.run_id, key.step, view.task_id(key), pid, where)


@dataclass
class _Shown:
    """A task that is shown by itself: its label, and its output as far as it was told."""

    label: TaskLabel
    tail: Tail
    started_us: int
    begin: tuple[int, int]
    log_name: str | None


@dataclass
class Narrator:
    """Tells one run. `is_inline`: output reaches the terminal by itself."""

    reporter: Reporter
    files: LogFiles
    view: RunView
    specs: Mapping[str, StepSpec]
    is_inline: bool = False
    _shown: dict[int, _Shown] = field(default_factory=dict[int, _Shown])
    _seconds: dict[str, float] = field(default_factory=dict[str, float])
    _reused: dict[str, int] = field(default_factory=dict[str, int])
    _looked: float = 0.0
    _told: float = 0.0
    _last: tuple[StepProgress, ...] = ()
    _is_waiting: bool = False

    def started(self, batch: Batch, report: BatchStarted) -> None:
        """The worker took the batch up."""
        if len(batch.indices) != 1 or not is_shown(self.view, TaskKey(batch.step, batch.indices[0])):
            return
        label = task_label(self.view, TaskKey(batch.step, batch.indices[0], batch.lap), report.pid)
        name = None if self.is_inline else report.log_name
        tail = Tail.of(self.files, name, report.out_begin, report.err_begin)
        begin = (report.out_begin, report.err_begin)
        self._shown[batch.id] = _Shown(label, tail, time.time_ns() // 1000, begin, report.log_name)
        self.reporter.tell(TaskStarted(label, batch.attempt_of(batch.indices[0]), batch.fallback_for is not None))

    def stopped(self, batch: Batch, rows: Iterable[Row], *, is_retried: bool = False) -> None:
        """An attempt is over: the rest of its output is told before anything that follows from it. What comes after it in the
        file, unless it is the next attempt's, is not the task's."""
        shown = self._shown.get(batch.id)
        if shown is None:
            return
        spans = [row.logs for row in rows if row.logs is not None]
        for span in spans:
            self._say(shown, shown.tail.read_to(span))
        if not spans:
            self._say(shown, shown.tail.read_all())
        if not is_retried:
            shown.tail = Tail()

    def died(self, batch: Batch, report: WorkerDied, started: BatchStarted | None) -> Row | None:
        """The record of an attempt whose process died; None where it is not known which task it was."""
        shown = self._shown.get(batch.id)
        if shown is not None:
            self._say(shown, shown.tail.read_all())
        if report.suspect is None or len(batch.indices) != 1 or started is None:
            if report.suspect is None:
                return None
            return Row(status=Status.FAILED, attempt=report.suspect_attempt, peak_nbytes=report.peak_nbytes, failure=report.failure)
        now_us = time.time_ns() // 1000
        begun_us = shown.started_us if shown else now_us
        return Row(
            status=Status.FAILED,
            attempt=report.suspect_attempt,
            started_us=begun_us,
            seconds=(now_us - begun_us) / 1e6,
            pid=started.pid,
            node=started.node,
            peak_nbytes=report.peak_nbytes,
            logs=self._whole_span(started),
            failure=report.failure,
        )

    def _whole_span(self, started: BatchStarted) -> LogSpan | None:
        if started.log_name is None:
            return None
        ends: list[int] = []
        for stream in ("out", "err"):
            path = self.files.path(started.log_name, stream)
            try:
                ends.append(os.path.getsize(path) if path is not None else 0)
            except OSError:
                ends.append(0)
        return LogSpan(started.log_name, started.out_begin, ends[0], started.err_begin, ends[1])

    def done(self, segment: Segment) -> None:
        """Tasks are committed."""
        self._seconds[segment.step] = self._seconds.get(segment.step, 0.0) + segment.busy_s
        alone = zip(segment.indices, segment.rows, strict=True) if segment.rows else [(segment.indices[0], None)]
        if (segment.rows or len(segment.indices) == 1) and is_shown(self.view, TaskKey(segment.step, segment.indices[0])):
            for index, row in alone:
                self._tell_done(segment, index, row)

    def _tell_done(self, segment: Segment, index: int, row: Row | None) -> None:
        label = task_label(self.view, TaskKey(segment.step, index, segment.lap), row.pid if row else 0)
        splits = segment.fanout.total if segment.fanout else None
        seconds, is_caught = (row.seconds, row.status is Status.CAUGHT) if row else (segment.busy_s, segment.caught > 0)
        self.reporter.tell(TaskDone(label, seconds, is_caught=is_caught, splits=splits))
        if splits is not None:
            self.reporter.tell(FanoutOpened(label, self.view.graph[segment.step].targets[0], splits))

    def attempt_failed(self, failed: FailedAttempt) -> None:
        """An attempt failed, and that is recorded."""
        key, row = failed.key, failed.row
        if row.failure is None:
            return
        retry = self.specs[key.step].retry
        self.reporter.tell(
            TaskAttemptFailed(
                label=task_label(self.view, key, row.pid),
                attempt=row.attempt,
                attempts_allowed=retry.times + 1,
                failure=row.failure,
                is_retried=not failed.is_final,
                seconds=row.seconds,
                peak_nbytes=row.peak_nbytes,
                node=row.node,
            )
        )

    def reused(self, segments: Iterable[Segment]) -> None:
        """A resume takes these over."""
        tasks: dict[str, int] = {}
        for segment in segments:
            tasks[segment.step] = tasks.get(segment.step, 0) + len(segment.indices)
        for step, count in tasks.items():
            self._reused[step] = self._reused.get(step, 0) + count
        self.reporter.tell(StepsReused(tasks, self.view.record.origin or ""))

    def draining(self, why: str, running: int) -> None:
        self.reporter.tell(Draining(why, running, 5.0))

    def look(self, progress: Mapping[str, EngineProgress], is_waiting_for_ray: bool) -> None:
        """Told often; tells at most ten times a second."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        for shown in self._shown.values():
            self._say(shown, shown.tail.read())
        if is_waiting_for_ray and not self._is_waiting:
            self.reporter.tell(Waiting("Ray is starting"))
        self._is_waiting = is_waiting_for_ray
        steps = self.steps(progress)
        if steps != self._last or now - self._told >= _REPEAT_S:
            self._last, self._told = steps, now
            self.reporter.tell(Progressed(self.view.graph, steps))

    def forget(self, batch_id: int) -> None:
        """The batch is over and told."""
        self._shown.pop(batch_id, None)

    def steps(self, progress: Mapping[str, EngineProgress]) -> tuple[StepProgress, ...]:
        """Where each step that has tasks stands."""
        return tuple(
            StepProgress(
                step=step,
                known=counts.total_known,
                done=counts.done,
                reused=self._reused.get(step, 0),
                running=counts.running,
                failed=counts.failed,
                seconds=self._seconds.get(step, 0.0),
            )
            for step, counts in progress.items()
            if counts.total_known
        )

    def _say(self, shown: _Shown, lines: list[tuple[bool, str]]) -> None:
        for is_error, text in lines:
            self.reporter.tell(TaskSaid(shown.label, text, is_error))
