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
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from rayflow.engine.retry import Catch, RetryNow, after_failure
from rayflow.executors.progress import IDLE
from rayflow.flow.binding import instance_of, read_only_names
from rayflow.flow.current import current
from rayflow.flow.transition import Transition, check_taken, static_transition
from rayflow.model.caught import FALLBACK_TYPE, CaughtException
from rayflow.model.commands import Batch
from rayflow.model.errors import InvalidNextException, RayflowException, SystemFault, TimeoutException
from rayflow.model.graph import Node
from rayflow.model.indexes import Lane
from rayflow.model.ports import Work
from rayflow.model.records import Failure, FailureKind, LogSpan, Row, Status
from rayflow.model.reports import AttemptFailed, BatchOver, BatchStarted, Report, RowOffered
from rayflow.runtime.bind import ITEMS, Before, Inputs, StepContext, TaskBinding
from rayflow.runtime.capture import Capture, Copied
from rayflow.runtime.checkpointing import checkpoints_of
from rayflow.runtime.deadline import Deadline
from rayflow.runtime.environments import entered, fault_of
from rayflow.runtime.failures import describe, failure_of
from rayflow.runtime.session import Session, lineage_of, session_of, shared_of
from rayflow.runtime.shared import Assignment, Shared
from rayflow.runtime.stage import Attempt, Stage
from rayflow.runtime.surroundings import Surroundings
from rayflow.settings.here import ROOT_VARIABLE
from rayflow.store.checkpoints import Checkpoints
from rayflow.store.codecs import Encoded

FLUSH_S, LONGEST_FLUSH_S = 0.08, 0.4
FLUSH_SHARE = 0.01
"""How often rows are reported: so that reports take this share of the time, within these bounds. One costs 1 ms for a single row, some
more for thousands or where several steps are performed in one go: at a fixed 0.08 s that was 2 to 5 % of the time."""
FLUSH_NBYTES = 8 << 20
HAND_BACK_S = 2.0
"""A batch is meant to take 0.5 to 1 s. One that takes this long holds slower tasks than was known: the rest goes back."""

LEND_FROM_NBYTES = 1 << 20
"""What is smaller is read from the store as fast as it is fetched from another worker."""

_NO_SPANS = (0, 0, 0, 0)


def prepare() -> None:
    """Imports what the first report of a fan-out needs: pyarrow takes a second where its files are not in memory yet, 0.3 s where they
    are, which every worker and the driver would take in turn after the first split."""
    for name in ("pyarrow", "rayflow.store.packs.columns", "rayflow.store.packs.merging"):
        import_module(name)


def perform(work: Work, is_cancelled: Callable[[], bool]) -> Iterator[Sequence[Report]]:
    """Performs the batch and yields its reports, those of one moment together; the last is `BatchOver`."""
    fault = fault_of(work.python)
    if fault is not None:
        yield list(_not_begun(work.batch, Failure(FailureKind.DIED, fault)))
        return
    work = replace(work, environment={**entered(work.python), **work.environment})
    shared = shared_of(work.shared_id, work.shared)
    assignment: Assignment = pickle.loads(work.payload)
    try:
        session = session_of(shared, work)
    except Exception as error:  # noqa: BLE001 - the user's module runs when it is imported: its failure is that of the tasks
        failure = failure_of(error)
        said = f"The flow could not be loaded by a worker: {failure.message}{_lacking(error, work)}"
        yield list(_not_begun(work.batch, replace(failure, message=said)))
        return
    runner = _BatchRunner(session, shared, assignment, work, is_cancelled)
    yield from runner.run()


def _not_begun(batch: Batch, failure: Failure) -> Iterator[Report]:
    """No task of the batch can begin in this process."""
    yield BatchStarted(batch.id, os.getpid(), "")
    for index in batch.indices:
        attempt = batch.attempt_of(index)
        row = Row(status=Status.FAILED, attempt=attempt, started_us=time.time_ns() // 1000, pid=os.getpid(), failure=failure)
        yield AttemptFailed(batch.id, index, attempt, failure, row)
    yield BatchOver(batch.id)


def _lacking(error: Exception, work: Work) -> str:
    """What to do where a module is missing in an environment of a step's own."""
    if not isinstance(error, ModuleNotFoundError) or work.python is None:
        return ""
    return (
        f". The environment of step '{work.batch.step}' has no {error.name}: add the package that brings it to those of the step, or "
        "import it in the steps that use it."
    )


class _BatchRunner:
    def __init__(self, session: Session, shared: Shared, assignment: Assignment, work: Work, is_cancelled: Callable[[], bool]) -> None:
        self.session = session
        self.shared = shared
        self.work = work
        self.batch = work.batch
        self.is_cancelled = is_cancelled
        self.lineage = lineage_of(session, shared, assignment.scope)
        self.read_only = read_only_names(session.bound) | {"_rayflow"}
        self.capture: Capture | Copied | None = None
        self.stages: dict[Lane, Stage] = {}
        self.own = self._stage(self.batch.lane)
        self.flushed_at = 0.0
        self.flush_every_s = FLUSH_S
        self.slowest_s = 0.0
        self.unstored: dict[str, Encoded] = {}
        session.blobs.lend(work.lent)

    def _stage(self, lane: Lane) -> Stage:
        stage = self.stages.get(lane)
        if stage is None:
            node = self.shared.record.graph[lane.step]
            context = StepContext(node, self.session.bound, self.lineage, self.session.blobs, lane, self.batch.lane)
            stage = self.stages[lane] = Stage(self.session, self.shared, self.batch, lane, context)
        return stage

    def run(self) -> Iterator[Sequence[Report]]:
        capture = self.capture = self.session.capture(self.shared, self.batch.step) if self.shared.keeps_logs else None
        progress = self.session.progress
        begin = capture.sizes() if capture else (0, 0)
        log = capture.name if capture else None
        yield [BatchStarted(self.batch.id, os.getpid(), self.session.node, log, *begin, progress.path if progress else "")]
        if capture:
            capture.resume()
        # The client looks where the run is, in user code and in what that starts.
        surroundings = Surroundings({ROOT_VARIABLE: self.shared.root, **self.work.environment})
        try:
            yield from self._splits(surroundings)
            if progress:
                progress.set(self.batch.id, IDLE, 0)
            rest = self._flush()
            if not self.session.store.can_append:  # of a batch on a bucket the logs follow, and need not be waited for
                yield rest
                rest = []
        finally:
            current._leave()  # pyright: ignore[reportPrivateUsage] - the worker is whom it is for
            surroundings.leave()
            if capture:
                capture.pause()
        yield [*rest, BatchOver(self.batch.id)]

    def _splits(self, surroundings: Surroundings) -> Iterator[Sequence[Report]]:
        """Task after task of the batch, of each also what follows it in the same go; until it is asked to stop, or has taken so long that
        the rest is better shared out again."""
        batch, own, clock = self.batch, self.own, time.perf_counter
        attempts = batch.attempts
        begun = now = self.flushed_at = clock()
        for index in batch.indices:
            stage: Stage | None = own
            attempt, before, split_begun = attempts.get(index, 0) if attempts else 0, None, now
            while stage is not None:
                tried = self._attempt(stage, index, attempt, before)
                kept = self._accept(stage, index, attempt, tried) if tried.failure is None else None
                if kept is None:
                    tried, kept = yield from self._after_failure(stage, index, attempt, tried, before, surroundings)
                surroundings.restore()
                if self.unstored:
                    yield from self._store_late(stage, index, tried)
                now = clock()
                is_full = stage.encoder.sized_nbytes > FLUSH_NBYTES
                stage = stage.follower(tried.transition, self._stage) if kept is not None and stage.goes_on else None
                if stage is None or kept is None:
                    self.slowest_s = max(self.slowest_s, now - split_begun)
                else:
                    attempt, before = 0, Before({**before.values, **kept} if before else kept, kept)
                if now - self.flushed_at >= self.flush_every_s or is_full:
                    yield self._flush()
                    if self.is_cancelled():
                        return
                    now = clock()
                    self.flush_every_s = min(max(FLUSH_S, (now - self.flushed_at) / FLUSH_SHARE), LONGEST_FLUSH_S)
            if now - begun >= HAND_BACK_S:
                break

    def _store_late(self, stage: Stage, index: int, tried: Attempt) -> Iterator[Sequence[Report]]:
        """Stores the values of a lone task that is done, after offering them: who waits for them need not wait for the store."""
        unstored, self.unstored = self.unstored, {}
        values, left = dict[str, Encoded](), self.work.lend_nbytes
        for blob, encoded in unstored.items():
            if LEND_FROM_NBYTES <= encoded.nbytes <= left:
                values[blob] = encoded
                left -= encoded.nbytes
        taken = tried.transition
        if values and taken is not None:
            target = taken.targets[0] if len(taken.targets) == 1 else None
            yield [RowOffered(self.batch.id, stage.last(index), target, values, 2 * self.work.lend_nbytes)]
        self.session.blobs.write(unstored)

    def _after_failure(
        self, stage: Stage, index: int, attempt: int, tried: Attempt, before: Before | None, surroundings: Surroundings
    ) -> Generator[Sequence[Report], None, tuple[Attempt, Mapping[str, object] | None]]:
        """Further attempts until the task is done, or is for the driver to decide about: then nothing is kept."""
        while True:
            assert tried.failure is not None
            decision = after_failure(stage.spec, attempt, tried.failure)
            if isinstance(decision, Catch) and not self.batch.is_gang:
                kept = self._accept_caught(stage, index, attempt, tried)
                if kept is not None:
                    return tried, kept
            is_retried = isinstance(decision, RetryNow) and not self.batch.is_gang  # all nodes of a gang begin again, or none
            row = self._row(index, attempt, tried, Status.FAILED)
            lane = None if stage.is_own else stage.lane
            yield [*self._flush(), AttemptFailed(self.batch.id, index, attempt, tried.failure, row, is_retried, lane=lane)]
            if not is_retried:
                return tried, None
            surroundings.restore()
            attempt += 1
            tried = self._attempt(stage, index, attempt, before)
            kept = self._accept(stage, index, attempt, tried) if tried.failure is None else None
            if kept is not None:
                return tried, kept

    def _attempt(self, stage: Stage, index: int, attempt: int, before: Before | None) -> Attempt:
        """Runs the step's code once. Nothing that it raises gets out."""
        session, clock = self.session, time.perf_counter
        binding = TaskBinding(stage.context, index, attempt, before)
        flow = instance_of(session.bound, binding)
        if session.progress:
            session.progress.set(self.batch.id, index, attempt, *stage.progress)
        checkpoints = self._enter(stage, binding)
        tried = Attempt(time.time_ns() // 1000)
        begun = clock()
        try:
            if self.batch.fallback_for is not None:
                self._fall_back(stage, tried, self.batch.fallback_for, is_bearer=binding.innermost_index() == 0 or not self.batch.is_gang)
            else:
                if stage.is_plain:
                    stage.function(flow)
                else:
                    self._call(stage, flow, index)
                taken = tried.transition = binding.taken
                stage.check(taken)
                if taken is not None and taken.count:
                    self._check_width(stage, taken.count)
        except SystemExit as exit_:
            tried.transition = binding.taken
            reason = _exited(stage.node, exit_, binding.taken)
            tried.failure = None if reason is None else failure_of(reason)
            if reason is not None and reason is not exit_:
                self._print_failure(flow, reason)
            elif self.capture:
                self.capture.repair()
        except BaseException as error:  # noqa: BLE001 - the fence around user code: whatever it raises is the task's failure
            tried.failure = failure_of(error)
            self._print_failure(flow, error)
        tried.seconds = clock() - begun
        if checkpoints is not None:
            checkpoints.close()
        self._gather(stage, tried, binding, flow, before)
        return tried

    def _enter(self, stage: Stage, binding: TaskBinding) -> Checkpoints | None:
        """Has `current` speak of the attempt."""
        task, kept = stage.task, None
        task.task_id, task.retry_count = binding.task_id, binding.attempt
        if self.batch.is_gang:
            task.extras = binding.gang_words(self.work.seat.main_address if self.work.seat else "127.0.0.1")
        if stage.spec.checkpoints_kept:
            kept = checkpoints_of(self.session, self.shared, self.lineage, stage.lane, binding.index)
            task.extras = {**(task.extras or {}), "checkpoint": kept}
        current._enter(task)  # pyright: ignore[reportPrivateUsage] - the worker is whom it is for
        return kept

    def _call(self, stage: Stage, flow: Any, index: int) -> None:
        arguments = (flow, Inputs(stage.context, index)) if stage.node.takes_inputs else (flow,)
        if stage.spec.timeout_s:
            with Deadline(stage.node.name, stage.spec.timeout_s, can_end_process=not self.shared.is_inline):
                stage.function(*arguments)
        else:
            stage.function(*arguments)

    def _check_width(self, stage: Stage, count: int) -> None:
        limit, node = self.shared.max_num_splits, stage.node
        if limit is not None and count > limit:
            raise InvalidNextException(
                f"Foreach in step '{node.name}' yielded {count} child steps, which is more than the current maximum of {limit}. "
                "Raise it with --max-num-splits, or leave that out.",
                line=node.next_line or node.line,
                file=node.file,
            )

    def _fall_back(self, stage: Stage, tried: Attempt, failure: Failure, *, is_bearer: bool) -> None:
        """No user code: the task's processes died, or its gang failed, and `@catch` records that. Of a gang the first node bears it."""
        tried.is_caught = True
        tried.transition = static_transition(stage.node)
        if stage.spec.catch is not None and stage.spec.catch.var:
            caught = CaughtException.of(failure) if failure.type else CaughtException(failure.message, FALLBACK_TYPE)
            tried.artifacts[stage.spec.catch.var] = caught if is_bearer else None

    def _gather(self, stage: Stage, tried: Attempt, binding: TaskBinding, flow: Any, before: Before | None) -> None:
        """Collects what the attempt stores. Comparing inherited values may meet ones that cannot be encoded any more."""
        try:
            stored = binding.stored(flow, self.read_only)
        except Exception as error:  # noqa: BLE001 - encoding calls the user's own __reduce__ and the like
            if tried.failure is None:
                tried.failure = failure_of(error)
            return
        tried.artifacts = {**tried.artifacts, **stored} if tried.artifacts else stored
        taken = tried.transition
        if taken is not None and taken.items is not None:
            tried.artifacts[ITEMS] = binding.sequence(flow, taken, tried.artifacts)
        if stage.lane.lap > 0:
            self._flatten(stage, tried, binding.index, before)
        if stage.caught_name and not tried.is_caught:
            tried.artifacts[stage.caught_name] = None

    def _flatten(self, stage: Stage, tried: Attempt, index: int, before: Before | None) -> None:
        """A later lap repeats what earlier laps stored, by reference."""
        if before is not None:
            tried.artifacts = {**before.row, **tried.artifacts}
            return
        found = self.lineage.view.find(stage.lane.step, index, stage.lane.lap - 1)
        if found is None:
            return
        for name in self.session.reader.names(found, index):
            if name not in tried.artifacts:
                artifact = self.session.reader.artifact(found, index, name)
                if artifact is not None:
                    tried.artifacts[name] = artifact.owned_by(found.run)

    def _accept(self, stage: Stage, index: int, attempt: int, tried: Attempt) -> Mapping[str, object] | None:
        """Takes the finished attempt into the next report, and returns what later tasks of the same go see of it. None when it failed at
        the last moment: an artifact cannot be stored."""
        try:
            if stage.keeps_rows:
                row = self._row(index, attempt, tried, Status.CAUGHT if tried.is_caught else Status.OK)
                stage.add_row(index, tried, row)
                return row.artifacts
            spans = self.capture.end() if self.capture else _NO_SPANS
            return stage.add(index, attempt, tried, spans)
        except RayflowException as error:
            if isinstance(error, (SystemFault, TimeoutException)):
                raise
            tried.failure = replace(failure_of(error), kind=FailureKind.ARTIFACT)  # a serializer of the user's may raise any of the family
            self._print_failure(f"<flow {self.shared.record.flow} step {stage.node.name}>", error)
            return None

    def _accept_caught(self, stage: Stage, index: int, attempt: int, tried: Attempt) -> Mapping[str, object] | None:
        """`@catch` swallows the failure: the task is done with what it stored so far."""
        failure, catch = tried.failure, stage.spec.catch
        if failure is None or catch is None:
            return None
        if catch.print_exception:
            text = (failure.traceback or failure.message).rstrip().replace("\n", "\n>  ")
            print(f"@catch caught an exception from <flow {self.shared.record.flow} step {stage.node.name}>\n>  {text}")  # noqa: T201
        tried.transition = static_transition(stage.node)
        tried.is_caught = True
        if catch.var:
            tried.artifacts[catch.var] = CaughtException.of(failure)
        if failure.kind is FailureKind.ARTIFACT:
            tried.artifacts = {name: value for name, value in tried.artifacts.items() if self._can_store(name, value)}
        tried.failure = None
        return self._accept(stage, index, attempt, tried)

    def _can_store(self, name: str, value: Any) -> bool:
        try:
            self.session.blobs.put(name, value)
        except RayflowException as error:
            if isinstance(error, SystemFault):
                raise
            return False
        return True

    def _row(self, index: int, attempt: int, tried: Attempt, status: Status) -> Row:
        """The whole record of an attempt: of a lone task, or of one that failed."""
        is_failed = status is Status.FAILED
        later = None if is_failed or not self._can_lend else dict[str, Encoded]()
        stored = self.session.blobs.put_all(tried.artifacts, tables_as_files=True, skips_unserializable=is_failed, later=later)
        self.unstored = later or {}
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

    @property
    def _can_lend(self) -> bool:
        """Whether others may want what this worker stores and cannot map it: on a bucket, or on other hosts."""
        return self.work.lend_nbytes > 0 and not self.batch.is_gang and (self.work.spans_hosts or not self.session.store.can_append)

    def _flush(self) -> list[Report]:
        """The reports of what is done since the last ones: in the graph's order, so that what follows from a task is told after it."""
        now = time.perf_counter()
        spent_s, self.flushed_at = now - self.flushed_at, now
        slowest_s, self.slowest_s = self.slowest_s, 0.0
        log = self.capture.name if self.capture else None
        stages = [self.own] if len(self.stages) == 1 else sorted(self.stages.values(), key=lambda stage: stage.order)
        found = [stage.report(self.session.node, log, spent_s, slowest_s) for stage in stages]
        reports: list[Report] = [report for report in found if report is not None]
        return reports

    def _print_failure(self, flow: Any, error: BaseException) -> None:
        if self.capture:
            self.capture.repair()
        with suppress(OSError, ValueError):
            print(f"{flow} failed:", file=sys.stderr)  # noqa: T201
            describe(error)


def _exited(node: Node, exit_: SystemExit, taken: Transition | None) -> BaseException | None:
    """What makes an exit a failed attempt: `sys.exit(0)` ends a step like a return, and may come before its `next`."""
    if exit_.code not in (None, 0):
        return exit_
    try:
        check_taken(node, taken)
    except Exception as error:  # noqa: BLE001 - a wrong transition, told as any other failure
        return error
    return None
