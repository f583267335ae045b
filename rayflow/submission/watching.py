"""A run that somebody else drives, told to a Reporter as if it were ours: from what is committed, and from what tasks print."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from rayflow.catalog.ownership import last_epoch
from rayflow.catalog.reading import Ending, OpenedRun
from rayflow.client.following import LogFollower
from rayflow.client.runs import Run
from rayflow.client.tasks import Task
from rayflow.model.indexes import ROOT_SPACE, TaskKey
from rayflow.model.records import FailedAttempt, Outcome, Segment, Status
from rayflow.runtime.narrator import SHOWN_SPLITS, is_shown, task_label
from rayflow.runtime.notices import (
    FanoutOpened,
    Progressed,
    Reporter,
    RunEnded,
    RunStarted,
    StepProgress,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskLabel,
    TaskSaid,
    TaskStarted,
    Waiting,
    Warned,
)

_LOOK_S = 0.2
_LOOK_FOR_DRIVER_S = 5.0


def wait_for_driver(run: Run, epoch: int, is_over: Callable[[], bool]) -> None:
    """Returns when a driver later than `epoch` has begun, or none will: what is recorded of the run until then is of an earlier one."""
    handle = run.handle
    while last_epoch(handle.store, handle.layout) <= epoch and not is_over():
        time.sleep(_LOOK_FOR_DRIVER_S / 5)
    handle.look()


@dataclass
class Watch:
    """`is_over()` says whether nobody will go on with the run, as far as the place where its driver runs knows. It is asked now and then,
    beside; `waits_for()` says what a driver that has not started waits for. What was told already is kept by counts and keys: a look costs
    what is new."""

    run: Run
    reporter: Reporter
    is_over: Callable[[], bool]
    waits_for: Callable[[], str] = lambda: ""
    _seen: dict[str, int] = field(default_factory=dict[str, int])
    _seen_failed: dict[TaskKey, int] = field(default_factory=dict[TaskKey, int])
    _num_begun: int = 0
    _live: dict[str, set[TaskKey]] = field(default_factory=lambda: defaultdict[str, set[TaskKey]](set))
    _lost: dict[str, set[TaskKey]] = field(default_factory=lambda: defaultdict[str, set[TaskKey]](set))
    _reused: dict[str, int] = field(default_factory=dict[str, int])
    _last: tuple[StepProgress, ...] = ()
    _gone: threading.Event = field(default_factory=threading.Event)
    _left: threading.Event = field(default_factory=threading.Event)
    _follower: LogFollower = field(default_factory=lambda: LogFollower(("stdout", "stderr")))

    def follow(self) -> Outcome | None:
        """Tells the run to its end, and returns how it ended; None where its driver is gone, and recorded no end."""
        handle = self.run.handle
        record = handle.record
        self.reporter.tell(RunStarted(record, self.run.handle.store.url, record.origin))
        threading.Thread(target=self._look_for_driver, name="rayflow-driver-watch", daemon=True).start()
        begun, waits_for = time.monotonic(), ""
        try:
            while True:
                if self.waits_for() not in ("", waits_for):
                    waits_for = self.waits_for()
                    self.reporter.tell(Waiting(waits_for))
                is_gone = self._gone.is_set()  # asked first: what the driver recorded last is then read
                opened = handle.opened
                ending = opened.ending  # likewise: telling looks at tasks, which reads on, and may come upon the end half way
                self._tell(opened)
                if ending is not None:
                    self._tell_end(opened, ending, time.monotonic() - begun)
                    return ending.outcome
                if is_gone:
                    return None
                time.sleep(_LOOK_S)
        finally:
            self._left.set()

    def _look_for_driver(self) -> None:
        while not self._left.wait(_LOOK_FOR_DRIVER_S):
            if self.is_over() and not self.run.handle.is_alive():
                self.run.handle.look()
                self._gone.set()
                return

    def _tell(self, opened: OpenedRun) -> None:
        """What is new, step by step: of a task its start, what it printed, how it ended."""
        begun = self._begun(opened)
        for step in list(self.run)[::-1]:
            for key, pid in begun.get(step.id, ()):
                self.reporter.tell(TaskStarted(task_label(opened.view, key, pid)))
            for line in self._follower.read_new(list(step)[::-1]) if self._is_shown_step(opened, step.id) else ():
                self.reporter.tell(TaskSaid(self._label_of(line.task), line.text, line.stream == "stderr"))
            self._tell_attempts(opened, step.id)
        steps = tuple(self._progress(opened))
        if steps != self._last:
            self._last = steps
            self.reporter.tell(Progressed(opened.view.graph, steps))

    def _begun(self, opened: OpenedRun) -> dict[str, list[tuple[TaskKey, int]]]:
        """The tasks that began since the last look, and are shown: (key, pid) by step."""
        found: dict[str, list[tuple[TaskKey, int]]] = {}
        fresh = list(islice(opened.underway.items(), self._num_begun, None))
        self._num_begun += len(fresh)
        for key, underway in fresh:
            if opened.view.find(*key) is None:
                self._live[key.step].add(key)
            if is_shown(opened.view, key):
                found.setdefault(key.step, []).append((key, underway.pid))
        return found

    def _tell_attempts(self, opened: OpenedRun, step: str) -> None:
        """Those that are recorded since the last look."""
        failures = [(key, failed) for key, failed in list(opened.view.failed.items()) if key.step == step]
        for key, failed in failures:
            fresh = failed[self._seen_failed.get(key, 0) :]
            self._seen_failed[key] = self._seen_failed.get(key, 0) + len(fresh)
            for attempt in fresh:
                self._tell_failed(opened, attempt)
        segments = opened.view.steps.get(step)
        done = segments.all[self._seen.get(step, 0) :] if segments else ()
        self._seen[step] = self._seen.get(step, 0) + len(done)
        for segment in done:
            self._tell_segment(opened, segment)

    def _tell_segment(self, opened: OpenedRun, segment: Segment) -> None:
        self._live[segment.step].difference_update(TaskKey(segment.step, index, segment.lap) for index in segment.indices)
        if segment.run not in ("", self.run.id):
            self._reused[segment.step] = self._reused.get(segment.step, 0) + len(segment.indices)
            self.reporter.tell(StepsReused({segment.step: len(segment.indices)}, segment.run))
            return
        if not is_shown(opened.view, TaskKey(segment.step, segment.indices[0])):
            return
        for index in segment.indices:
            row = self.run.handle.reader.row(segment, index)
            label = task_label(opened.view, TaskKey(segment.step, index, segment.lap), row.pid)
            splits = segment.fanout.total if segment.fanout else None
            self.reporter.tell(TaskDone(label, row.seconds, is_caught=row.status is Status.CAUGHT, splits=splits))
            if splits is not None:
                self.reporter.tell(FanoutOpened(label, opened.view.graph[segment.step].targets[0], splits))

    def _tell_failed(self, opened: OpenedRun, failed: FailedAttempt) -> None:
        row = failed.row
        if failed.is_final:
            self._live[failed.key.step].discard(failed.key)
            self._lost[failed.key.step].add(failed.key)
        if row.failure is None:
            return
        self.reporter.tell(
            TaskAttemptFailed(
                label=task_label(opened.view, failed.key, row.pid),
                attempt=row.attempt,
                attempts_allowed=row.attempt + (1 if failed.is_final else 2),
                failure=row.failure,
                is_retried=not failed.is_final,
                seconds=row.seconds,
                peak_nbytes=row.peak_nbytes,
                node=row.node,
            )
        )

    def _progress(self, opened: OpenedRun) -> Iterator[StepProgress]:
        """Where the steps stand that have tasks. Known to be needed is what is done or under way, and the splits of its fan-outs."""
        view = opened.view
        for node in view.graph:
            segments = view.steps.get(node.name)
            done = segments.total if segments else 0
            running = 0 if opened.ending is not None else len(self._live[node.name])
            failed = len(self._lost[node.name])
            splits = sum(fanout.total for fanout in view.fanouts.get(node.space, ())) if node.space != ROOT_SPACE else 0
            known = max(done + running + failed, splits if done or running else 0)
            if known:
                seconds = sum(each.busy_s for each in segments.all) if segments else 0.0
                yield StepProgress(node.name, known, done, self._reused.get(node.name, 0), running, failed, seconds)

    def _tell_end(self, opened: OpenedRun, ending: Ending, seconds: float) -> None:
        if ending.why and ending.failure is None and ending.outcome is not Outcome.SUCCEEDED:
            self.reporter.tell(Warned(ending.why))
        label = task_label(opened.view, ending.failed_key) if ending.failed_key is not None else None
        took_s = (ending.ended_us - opened.record.created_us) / 1e6 if ending.ended_us else seconds
        self.reporter.tell(
            RunEnded(self.run.id, ending.outcome, took_s, tuple(self._progress(opened)), ending.failed_key, ending.failure, label)
        )

    def _is_shown_step(self, opened: OpenedRun, step: str) -> bool:
        space = opened.view.graph[step].space
        return space == ROOT_SPACE or sum(fanout.total for fanout in opened.view.fanouts.get(space, ())) <= SHOWN_SPLITS

    def _label_of(self, task: Task) -> TaskLabel:
        return task_label(task.handle.view, task.key) if task.key is not None else TaskLabel(self.run.id, task.parent.id, task.id)
