"""Performs a batch: the one place where user code runs, whatever executor called it.

For each task: the attempt, its artifacts encoded, its row; exceptions are retried here by the same pure function that the engine
uses. What leaves is a stream of reports; nothing is committed here, and nothing needs to be fenced.
"""

from __future__ import annotations

import os
import pickle
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.engine.retry import Catch, RetryNow, after_failure
from rayflow.flow.binding import instance_of, read_only_names
from rayflow.flow.current import TaskContext, current
from rayflow.flow.transition import Transition, check_taken, static_transition
from rayflow.model.caught import FALLBACK_TYPE, CaughtException
from rayflow.model.commands import Batch
from rayflow.model.errors import ArtifactUnserializable, InvalidNextException
from rayflow.model.graph import Node
from rayflow.model.indexes import ROOT_SPACE, IndexSet, TaskKey
from rayflow.model.ports import Work
from rayflow.model.records import Artifact, Failure, FailureKind, LogSpan, Row, Status, Taken
from rayflow.model.reports import AttemptFailed, BatchOver, BatchStarted, Report, RowsDone
from rayflow.model.spec import StepSpec
from rayflow.runtime.bind import ITEMS, Inputs, StepContext, TaskBinding
from rayflow.runtime.capture import Capture, Copied
from rayflow.runtime.deadline import Deadline
from rayflow.runtime.failures import describe, failure_of
from rayflow.runtime.session import Session, lineage_of, session_of, shared_of
from rayflow.runtime.shared import Assignment, Shared
from rayflow.store.packs import RowsEncoder

FLUSH_S = 0.08
FLUSH_NBYTES = 8 << 20


def perform(work: Work, is_cancelled: Callable[[], bool]) -> Iterator[Report]:
    """Performs the batch and yields its reports; the last is `BatchOver`."""
    shared = shared_of(work.shared_id, work.shared)
    assignment: Assignment = pickle.loads(work.payload)
    try:
        session = session_of(shared)
    except Exception as error:  # noqa: BLE001 - the user's module runs when it is imported: its failure is that of the tasks
        yield from _not_begun(work.batch, failure_of(error))
        return
    runner = _BatchRunner(session, shared, assignment, work, is_cancelled)
    yield from runner.run()


def _not_begun(batch: Batch, failure: Failure) -> Iterator[Report]:
    """The flow could not be loaded in this process, so that no task of the batch began."""
    failure = replace(failure, message=f"The flow could not be loaded by a worker: {failure.message}")
    yield BatchStarted(batch.id, os.getpid(), "")
    for index in batch.indices:
        attempt = batch.attempt_of(index)
        row = Row(status=Status.FAILED, attempt=attempt, started_us=time.time_ns() // 1000, pid=os.getpid(), failure=failure)
        yield AttemptFailed(batch.id, index, attempt, failure, row)
    yield BatchOver(batch.id)


@dataclass
class _Pending:
    """What the next report will say: tasks done since the last one."""

    indices: list[int] = field(default_factory=list[int])
    targets: list[str] = field(default_factory=list[str])
    counts: list[int] = field(default_factory=list[int])
    rows: list[Row] = field(default_factory=list[Row])
    busy_s: float = 0.0
    slowest_s: float = 0.0
    caught: int = 0


@dataclass(slots=True)
class _Attempt:
    """One attempt as it went: how it ended, where it went, what it stores."""

    started_us: int
    seconds: float = 0.0
    failure: Failure | None = None
    transition: Transition | None = None
    artifacts: dict[str, Any] = field(default_factory=dict[str, Any])
    is_caught: bool = False


class _BatchRunner:
    def __init__(self, session: Session, shared: Shared, assignment: Assignment, work: Work, is_cancelled: Callable[[], bool]) -> None:
        batch = work.batch
        self.session = session
        self.shared = shared
        self.work = work
        self.batch = batch
        self.is_cancelled = is_cancelled
        self.node: Node = shared.record.graph[batch.step]
        self.spec: StepSpec = shared.specs[batch.step]
        self.lineage = lineage_of(session, shared, assignment.scope)
        self.context = StepContext(self.node, session.bound, self.lineage, session.blobs, batch.parent, batch.lap)
        self.is_lone = self.node.space == ROOT_SPACE
        self.encoder = RowsEncoder(session.blobs.put)
        self.pending = _Pending()
        self.read_only = read_only_names(session.bound)
        self.function = getattr(session.flow_class, batch.step)
        self.capture: Capture | Copied | None = None

    def run(self) -> Iterator[Report]:
        capture = self.capture = self.session.capture(self.shared, self.batch.step) if self.shared.keeps_logs else None
        progress = self.session.progress
        begin = capture.sizes() if capture else (0, 0)
        yield BatchStarted(
            self.batch.id, os.getpid(), self.session.node, capture.name if capture else None, *begin, progress.path if progress else ""
        )
        if capture:
            capture.resume()
        surroundings = _Surroundings(self.work.environment)
        try:
            yield from self._tasks(surroundings)
        finally:
            current._leave()  # pyright: ignore[reportPrivateUsage] - the worker is whom it is for
            surroundings.leave()
            if capture:
                capture.pause()
        yield BatchOver(self.batch.id)

    def _tasks(self, surroundings: _Surroundings) -> Iterator[Report]:
        progress, batch = self.session.progress, self.batch
        flushed_at = time.perf_counter()
        for index in batch.indices:
            attempt = batch.attempt_of(index)
            if progress:
                progress.set(batch.id, index, attempt)
            yield from self._task(index, attempt, surroundings)
            surroundings.restore()
            now = time.perf_counter()
            if now - flushed_at >= FLUSH_S or self.encoder.nbytes > FLUSH_NBYTES:
                yield from self._flush()
                if self.is_cancelled():
                    break
                flushed_at = time.perf_counter()
        if progress:
            progress.set(batch.id, -1, 0)
        yield from self._flush()

    def _task(self, index: int, attempt: int, surroundings: _Surroundings) -> Iterator[Report]:
        """Attempts until the task is done, or is for the driver to decide about."""
        while True:
            tried = self._attempt(index, attempt)
            if tried.failure is None and self._accept(index, attempt, tried):
                return
            assert tried.failure is not None
            decision = after_failure(self.spec, attempt, tried.failure)
            if isinstance(decision, Catch) and self._accept_caught(index, attempt, tried):
                return
            is_retried = isinstance(decision, RetryNow)
            row = self._row(index, attempt, tried, Status.FAILED)
            yield from self._flush()
            yield AttemptFailed(self.batch.id, index, attempt, tried.failure, row, is_retried)
            if not is_retried:
                return
            surroundings.restore()
            attempt += 1
            if self.session.progress:
                self.session.progress.set(self.batch.id, index, attempt)

    def _attempt(self, index: int, attempt: int) -> _Attempt:
        """Runs the step's code once. Nothing that it raises gets out."""
        session, node = self.session, self.node
        binding = TaskBinding(self.context, index, attempt)
        flow = instance_of(session.bound, binding)
        lap = self.batch.lap
        current._enter(  # pyright: ignore[reportPrivateUsage] - the worker is whom it is for
            TaskContext(session.run_context, node.name, lambda: self.lineage.view.task_id(TaskKey(node.name, index, lap)), attempt)
        )
        if self.capture:
            self.capture.begin()
        tried = _Attempt(time.time_ns() // 1000)
        begun = time.perf_counter()
        try:
            if self.batch.fallback_for is not None:
                self._fall_back(tried, self.batch.fallback_for)
            else:
                self._call(flow, index)
                tried.transition = binding.taken
                check_taken(node, binding.taken)
                self._check_width(binding.taken)
        except SystemExit as exit_:
            tried.transition = binding.taken
            tried.failure = self._exited(exit_, binding)
            if self.capture:
                self.capture.repair()
        except BaseException as error:  # noqa: BLE001 - the fence around user code: whatever it raises is the task's failure
            tried.failure = failure_of(error)
            self._print_failure(flow, error)
        tried.seconds = time.perf_counter() - begun
        self._gather(tried, binding, flow, index)
        return tried

    def _call(self, flow: Any, index: int) -> None:
        arguments = (flow, Inputs(self.context, index)) if self.node.takes_inputs else (flow,)
        if self.spec.timeout_s:
            with Deadline(self.node.name, self.spec.timeout_s, can_end_process=not self.shared.is_inline):
                self.function(*arguments)
        else:
            self.function(*arguments)

    def _check_width(self, taken: Transition | None) -> None:
        limit = self.shared.max_num_splits
        if limit is not None and taken is not None and (taken.count or 0) > limit:
            raise InvalidNextException(
                f"Foreach in step '{self.node.name}' yielded {taken.count} child steps, which is more than the current maximum of {limit}. "
                "Raise it with --max-num-splits, or leave that out.",
                line=self.node.next_line or self.node.line,
                file=self.node.file,
            )

    def _exited(self, exit_: SystemExit, binding: TaskBinding) -> Failure | None:
        """`sys.exit(0)` ends a step like a return; everything else is a failed attempt."""
        if exit_.code not in (None, 0):
            return failure_of(exit_)
        try:
            check_taken(self.node, binding.taken)
        except Exception as error:  # noqa: BLE001 - a wrong transition, told as any other failure
            return failure_of(error)
        return None

    def _fall_back(self, tried: _Attempt, failure: Failure) -> None:
        """No user code: the task's processes died, and `@catch` records that."""
        tried.is_caught = True
        tried.transition = static_transition(self.node)
        if self.spec.catch is not None and self.spec.catch.var:
            tried.artifacts[self.spec.catch.var] = CaughtException(failure.message, FALLBACK_TYPE)

    def _gather(self, tried: _Attempt, binding: TaskBinding, flow: Any, index: int) -> None:
        """Collects what the attempt stores. Comparing inherited values may meet ones that cannot be encoded any more."""
        try:
            tried.artifacts.update(binding.stored(flow, self.read_only))
        except Exception as error:  # noqa: BLE001 - encoding calls the user's own __reduce__ and the like
            if tried.failure is None:
                tried.failure = failure_of(error)
            return
        taken = tried.transition
        if taken is not None and taken.items is not None:
            tried.artifacts[ITEMS] = taken.items
        if self.batch.lap > 0:
            self._flatten(tried, index)
        if self.spec.catch is not None and self.spec.catch.var and not tried.is_caught:
            tried.artifacts[self.spec.catch.var] = None

    def _flatten(self, tried: _Attempt, index: int) -> None:
        """A later lap repeats what earlier laps stored, by reference."""
        before = self.lineage.view.find(self.node.name, index, self.batch.lap - 1)
        if before is None:
            return
        for name in self.session.reader.names(before, index):
            if name not in tried.artifacts:
                artifact = self.session.reader.artifact(before, index, name)
                if artifact is not None:
                    tried.artifacts[name] = artifact.owned_by(before.run)

    def _accept(self, index: int, attempt: int, tried: _Attempt) -> bool:
        """Takes the finished attempt into the next report. False when it failed at the last moment: an artifact cannot be stored."""
        status = Status.CAUGHT if tried.is_caught else Status.OK
        try:
            if self.is_lone:
                self.pending.rows.append(self._row(index, attempt, tried, status))
            else:
                self._add(index, attempt, tried, status)
        except ArtifactUnserializable as error:
            tried.failure = failure_of(error)
            self._print_failure(None, error)
            return False
        self._note(index, tried, status)
        return True

    def _accept_caught(self, index: int, attempt: int, tried: _Attempt) -> bool:
        """`@catch` swallows the failure: the task is done with what it stored so far."""
        failure, catch = tried.failure, self.spec.catch
        if failure is None or catch is None:
            return False
        if catch.print_exception:
            text = (failure.traceback or failure.message).rstrip().replace("\n", "\n>  ")
            print(f"@catch caught an exception from <flow {self.shared.record.flow} step {self.node.name}>\n>  {text}", file=sys.stderr)  # noqa: T201
        tried.transition = static_transition(self.node)
        tried.is_caught = True
        if catch.var:
            tried.artifacts[catch.var] = CaughtException.of(failure)
        if failure.kind is FailureKind.ARTIFACT:
            tried.artifacts = {name: value for name, value in tried.artifacts.items() if self._can_store(name, value)}
        tried.failure = None
        return self._accept(index, attempt, tried)

    def _can_store(self, name: str, value: Any) -> bool:
        try:
            self.session.blobs.put(name, value)
        except ArtifactUnserializable:
            return False
        return True

    def _add(self, index: int, attempt: int, tried: _Attempt, status: Status) -> None:
        begin, end = self.capture.end() if self.capture else ((0, 0), (0, 0))
        self.encoder.add(
            index,
            attempt,
            tried.started_us,
            tried.seconds,
            status,
            0,
            begin[0],
            end[0],
            begin[1],
            end[1],
            tried.artifacts,
        )

    def _note(self, index: int, tried: _Attempt, status: Status) -> None:
        pending, transition = self.pending, tried.transition
        pending.indices.append(index)
        pending.busy_s += tried.seconds
        pending.slowest_s = max(pending.slowest_s, tried.seconds)
        pending.caught += status is Status.CAUGHT
        if self.node.is_switch and transition is not None:
            pending.targets.append(transition.targets[0])
        if self.node.is_foreach and transition is not None:
            pending.counts.append(transition.count or 0)

    def _row(self, index: int, attempt: int, tried: _Attempt, status: Status) -> Row:
        """The whole record of an attempt: of a lone task, or of one that failed."""
        stored: dict[str, Artifact] = {}
        for name, value in tried.artifacts.items():
            try:
                stored[name] = self.session.blobs.put(name, value, tables_as_files=True)
            except ArtifactUnserializable:
                if status is not Status.FAILED:
                    raise
        span: LogSpan | None = self.capture.span() if self.capture else None
        return Row(
            status=status,
            attempt=attempt,
            started_us=tried.started_us,
            seconds=tried.seconds,
            peak_nbytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            pid=os.getpid(),
            node=self.session.node,
            artifacts=stored,
            logs=span,
            failure=tried.failure,
        )

    def _flush(self) -> Iterator[Report]:
        """The report of what is done since the last one."""
        pending = self.pending
        if not pending.indices:
            return
        columns = None
        if not self.is_lone:
            columns = self.encoder.flush(os.getpid(), self.session.node, self.capture.name if self.capture else None)
        self.pending = _Pending()
        yield RowsDone(
            batch_id=self.batch.id,
            indices=IndexSet.of(pending.indices),
            rows=tuple(pending.rows),
            columns=columns,
            taken=_taken(pending.targets) if self.node.is_switch else None,
            counts=tuple(pending.counts) if self.node.is_foreach else None,
            busy_s=pending.busy_s,
            slowest_s=pending.slowest_s,
            caught=pending.caught,
        )

    def _print_failure(self, flow: Any, error: BaseException) -> None:
        if self.capture:
            self.capture.repair()
        with suppress(OSError, ValueError):
            print(f"{flow if flow is not None else self.shared.record.flow} failed:", file=sys.stderr)  # noqa: T201
            describe(error)


def _taken(targets: list[str]) -> Taken:
    names = tuple(dict.fromkeys(targets))
    if len(names) == 1:
        return Taken(names)
    code = {name: number for number, name in enumerate(names)}
    return Taken(names, bytes(code[target] for target in targets))


class _Surroundings:
    """The process as a task finds it: environment and directory. What one task changes, the next does not see."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._outside = dict(os.environ)
        os.environ.update(environment)
        self._environ = dict(os.environ)
        self._raw = dict(_raw_environ())
        self._cwd = os.getcwd()

    def restore(self) -> None:
        if _raw_environ() != self._raw:
            _set_environ(self._environ)
        try:
            has_moved = os.getcwd() != self._cwd
        except OSError:
            has_moved = True
        if has_moved:
            with suppress(OSError):
                os.chdir(self._cwd)

    def leave(self) -> None:
        self.restore()
        if self._environ != self._outside:
            _set_environ(self._outside)


def _raw_environ() -> Any:
    """The dictionary under os.environ: comparing it costs 1 us, comparing os.environ itself (which decodes) 30 us, per task."""
    return getattr(os.environ, "_data", os.environ)


def _set_environ(wanted: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)
