"""Performs batches in child processes of this machine, which are reused."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayflow.executors import pipes
from rayflow.executors.deaths import death_of, failure_of_exit, oom_kills
from rayflow.executors.entry import ENVIRONMENT_VARIABLES
from rayflow.executors.progress import read_progress
from rayflow.model.ports import Capabilities, Seat, Work
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import BatchOver, BatchStarted, Report, RowsDone, WorkerDied
from rayflow.model.spec import Resources


@dataclass(frozen=True, slots=True)
class _Kind:
    """What makes children unlike each other: the Python that performs the work, and the step's environment variables."""

    python: str
    variables: tuple[tuple[str, str], ...]


@dataclass(eq=False)
class _Child:
    process: subprocess.Popen[bytes]
    writing: int
    reading: int
    kind: _Kind
    work: Work | None = None
    started: BatchStarted | None = None
    ending: int | None = None
    """The batch whose tasks are all reported, and whose last word is still to come: the child has other work already, or none."""
    left: int = 0
    is_used: bool = False
    is_killed: bool = False
    """It may still be heard of: what it had said before."""
    oom_kills: int = field(default_factory=oom_kills)
    """How many processes the system had killed for want of memory when this one was started."""


@dataclass(eq=False)
class ProcessExecutor:
    """At most `max_children` children at once; one batch each. A step with variables or a Python of its own gets children of its own.

    The first child is started by `warm_up`, so that its start overlaps with what the launcher still has to do.
    """

    entry: str
    max_children: int
    capabilities: Capabilities = Capabilities(can_kill=True, can_isolate=True, can_fan_out=True)
    _children: list[_Child] = field(default_factory=list[_Child])
    _waiting: deque[Work] = field(default_factory=deque[Work])
    _untold: list[Report] = field(default_factory=list[Report])
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def warm_up(self) -> None:
        """Starts one child without work."""
        self._spawn(_Kind(sys.executable, ()))

    def submit(self, work: Work) -> None:
        self._waiting.append(work)
        self._assign()

    def _assign(self) -> None:
        while self._waiting:
            head = self._waiting[0]
            if head.seat is None:
                child = self._child_for(head)
                if child is None:
                    return
                self._give(child, self._waiting.popleft())
            elif self._has_room(head.seat):
                for work in [self._waiting.popleft() for _ in range(head.seat.size)]:
                    self._give(self._idle_for(work) or self._spawn(_kind_of(work)), work)
            else:
                return

    def _give(self, child: _Child, work: Work) -> None:
        child.work, child.started, child.left = work, None, len(work.batch.indices)
        with contextlib.suppress(OSError):  # it died idle: its end of file is read as this batch's loss
            pipes.send(child.writing, ("work", work))

    def _has_room(self, seat: Seat) -> bool:
        """Whether the nodes of a gang may begin, which are the first that wait: all are there, and find a child each; more than
        `max_children` where the gang runs alone."""
        waiting = sum(work.seat is not None and work.seat.gang == seat.gang for work in self._waiting)
        return waiting == seat.size and (not self._busy or self._busy + seat.size <= self.max_children)

    @property
    def _busy(self) -> int:
        return sum(child.work is not None for child in self._children)

    def _idle_for(self, work: Work) -> _Child | None:
        kind = _kind_of(work)
        for child in self._children:
            is_idle = child.work is None and not child.is_killed
            if is_idle and child.kind == kind and not (work.is_isolated and child.is_used):
                return child
        return None

    def _child_for(self, work: Work) -> _Child | None:
        """A child for a batch that is of no gang; None while `max_children` are busy. A gang may have started more."""
        if self._busy >= self.max_children:
            return None
        idle = self._idle_for(work)
        while idle is None and len(self._children) >= self.max_children:
            done = next((child for child in self._children if child.work is None and child.ending is None), None)
            if done is None:
                return None
            self._end(done)
        return idle or self._spawn(_kind_of(work))

    def _spawn(self, kind: _Kind) -> _Child:
        child_reads, parent_writes = os.pipe()
        parent_reads, child_writes = os.pipe()
        command = [kind.python, "-m", "rayflow.executors.child", self.entry, str(child_reads), str(child_writes)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(child_reads, child_writes),
            env={**_child_environment(), **dict(kind.variables)},
            start_new_session=True,  # Ctrl-C is the launcher's to handle; killing the group takes what user code started along
        )
        os.close(child_reads)
        os.close(child_writes)
        child = _Child(process, parent_writes, parent_reads, kind)
        self._children.append(child)
        self._selector.register(parent_reads, selectors.EVENT_READ, child)
        return child

    def poll(self, timeout_s: float) -> Sequence[Report]:
        reports, self._untold = self._untold, []
        ready = self._selector.select(0 if reports else timeout_s)
        for key, _ in ready:
            reports.extend(self._read(key.data))
        if not ready:
            for child in [child for child in self._children if _is_over(child)]:
                reports.extend(self._buried(child))  # what it forked holds its pipe open: no end of file will come
        if reports:
            self._assign()
        return reports

    def _read(self, child: _Child) -> Sequence[Report]:
        try:
            reports: Sequence[Report] = pipes.receive(child.reading)
        except (EOFError, OSError):
            return self._buried(child)
        for report in reports:
            self._heard(child, report)
        return reports

    def _heard(self, child: _Child, report: Report) -> None:
        work = child.work
        if isinstance(report, BatchStarted):
            child.started, child.is_used = report, True
        elif isinstance(report, RowsDone) and work is not None and report.batch_id == work.batch.id and not work.is_isolated:
            child.left -= len(report.indices)
            if child.left == 0:  # it is as good as idle: what follows from its last rows need not wait for its last word
                child.work, child.ending = None, report.batch_id
        elif isinstance(report, BatchOver) and report.batch_id == child.ending:
            child.ending = None
        elif isinstance(report, BatchOver) and work is not None and report.batch_id == work.batch.id:
            child.work = None
            if work.is_isolated:
                self._end(child)

    def _buried(self, child: _Child) -> list[Report]:
        """What is to be said of a child that is gone."""
        code, peak_nbytes = _last_of(child)
        _kill(child)
        self._forget(child)
        reports: list[Report] = [] if child.ending is None else [BatchOver(child.ending)]
        work, started = child.work, child.started
        if work is None:
            return reports
        batch = work.batch
        if started is None and child.is_used:
            lost = Failure(FailureKind.LOST, "The process that was to perform it ended before it began.")
            return [*reports, WorkerDied(batch.id, lost)]
        word = read_progress(started.progress, batch.id) if started and started.progress else None
        failure = failure_of_exit(code, was_memory_out=oom_kills() > child.oom_kills)
        return [*reports, death_of(batch, failure, word, peak_nbytes)]

    def cancel(self, batch_id: int, *, is_hard: bool) -> None:
        for work in [work for work in self._waiting if work.batch.id == batch_id]:
            self._waiting.remove(work)
            self._untold.append(BatchOver(batch_id))
        for child in self._children:
            if child.work is not None and child.work.batch.id == batch_id:
                if is_hard:
                    child.is_killed = True
                    _kill(child)
                else:
                    with contextlib.suppress(OSError):  # it died: its end of file is read
                        pipes.send(child.writing, ("cancel", batch_id))

    def slots(self, resources: Resources) -> int:
        """Children are counted, and CPUs as far as a need of several is concerned; GPUs are not handed out here."""
        return max(1, int(self.max_children / max(1.0, resources.cpus)))

    def close(self) -> None:
        children = list(self._children)
        for child in children:
            with contextlib.suppress(OSError):
                pipes.send(child.writing, ("end", None))  # so that it takes the end of file for no death of ours
            os.close(child.writing)  # an idle child ends at the end of file
            child.writing = -1
        deadline = time.monotonic() + 1.0
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(child)
            self._forget(child)
        self._waiting.clear()
        self._selector.close()

    def _end(self, child: _Child) -> None:
        os.close(child.writing)
        child.writing = -1
        try:
            child.process.wait(1.0)
        except subprocess.TimeoutExpired:
            _kill(child)
        self._forget(child)

    def _forget(self, child: _Child) -> None:
        self._selector.unregister(child.reading)
        os.close(child.reading)
        if child.writing >= 0:
            os.close(child.writing)
        self._children.remove(child)


def _kind_of(work: Work) -> _Kind:
    if work.python is None:
        return _Kind(sys.executable, tuple(sorted(work.environment.items())))
    return _Kind(work.python.path, tuple(sorted({**ENVIRONMENT_VARIABLES, **work.environment}.items())))


def _is_over(child: _Child) -> bool:
    """Whether the child has ended; it stays to be waited for."""
    if child.process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # who started this program has it ignore SIGCHLD: the system does not keep what ended
        return True


def _last_of(child: _Child) -> tuple[int | None, int]:
    """Exit code and peak memory of a child that can speak no more; None and 0 where they are not known: it may live on, and user code
    have closed its pipes."""
    deadline = time.monotonic() + 1.0
    while not _is_over(child):
        if time.monotonic() > deadline:
            return None, 0
        time.sleep(0.001)
    if child.process.returncode is not None:
        return child.process.returncode, 0
    try:
        _, status, usage = os.wait4(child.process.pid, 0)  # what Popen would keep to itself
    except ChildProcessError:
        return None, 0
    child.process.returncode = os.waitstatus_to_exitcode(status)
    return child.process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kill(child: _Child) -> None:
    """Kills the child and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()


def _child_environment() -> Mapping[str, str]:
    """This process's environment; children write bytecode caches, since they would otherwise compile at every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
