"""One command of a flow in a process of its own, its output in two files; and that none of them outlives its caller."""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from types import FrameType

from rayflow.executors.guard import kill_bearers

STREAMS = ("stdout", "stderr")
URGENT_S, LAST_S = 2.0, 10.0
"""When a child that is to end is asked again, and when it is killed, in seconds after the first request."""
_GONE_S = 1.0
"""How long those that were killed may take to be gone."""
_POLL_S = 0.02
_OVER = object()
_VARIABLE = "RAYFLOW_RUNNER_{pid}"
"""Holds a token by which all processes of a run are found, where the system shows it; runners within runs each have their own."""


class FlowProcess:
    """Starts at once. `command_obj` of Metaflow's `ExecutingRun`: `process`, `command`, `log_files`, `timeout` and `kill` keep their names.

    `timeout` says that the process was ended because its time was up. `attribute_file` is where it writes which run it is.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: str | None = None, attribute_file: str | None = None) -> None:
        self.timeout = False
        self._token = os.urandom(16).hex()
        self.directory = _family.directory()
        self.attribute_file = os.path.join(cwd or "", attribute_file or os.path.join(self.directory, "attributes.json"))
        self.command = [*command, f"--runner-attribute-file={os.path.abspath(self.attribute_file)}"]
        self.log_files = {stream: os.path.join(self.directory, f"{stream}.log") for stream in STREAMS}
        try:
            with open(self.log_files["stdout"], "wb") as out, open(self.log_files["stderr"], "wb") as err:
                self.process = subprocess.Popen(
                    self.command,
                    env={**env, _VARIABLE.format(pid=os.getpid()): self._token},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
        except BaseException:
            _family.remove(self.directory)
            raise
        _family.add(self)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        code = self.process.poll()
        if code is not None:
            _family.discard(self)
        return code

    @property
    def command_line(self) -> str:
        return shlex.join(self.command)

    def text(self, stream: str) -> str:
        """All that it has written to the stream so far. FileNotFoundError after `cleanup`."""
        path = self.log_file(stream)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"The {stream} of process {self.pid} is gone: it was removed when its Runner was cleaned up. "
                "What tasks printed is kept with the run, in `task.stdout` and `task.stderr`."
            )
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_file(self, stream: str) -> str:
        """The file of the stream; ValueError for one that does not exist."""
        if stream not in self.log_files:
            raise ValueError(f"No log file found for '{stream}', valid values are: {', '.join(STREAMS)}")
        return self.log_files[stream]

    def kill(self, termination_timeout: float = LAST_S) -> None:
        """Ends it and what it started, if it still runs: it is asked, asked again, and `termination_timeout` seconds later killed."""
        with contextlib.closing(self.ending(termination_timeout)) as steps:
            for _ in steps:
                time.sleep(_POLL_S)

    def ending(self, patience_s: float = LAST_S) -> Generator[None]:
        """The same in steps: whoever iterates waits a moment between them. Killed too where the iteration is given up."""
        if self.returncode is not None:
            return
        begun = time.monotonic()
        urgent_at: float | None = begun + min(URGENT_S, patience_s)
        try:
            self._send(signal.SIGTERM)
            while self.returncode is None and time.monotonic() - begun < patience_s:
                yield
                if urgent_at is not None and time.monotonic() >= urgent_at:
                    self._send(signal.SIGTERM)
                    urgent_at = None
        finally:
            if self.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.process.wait()
                _family.discard(self)
        # One that is asked while it starts dies without a word, and its workers would notice that a moment later.
        gone_by = time.monotonic() + _GONE_S
        while kill_bearers(self._token) and time.monotonic() < gone_by:
            yield

    def _send(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def remove_files(self) -> None:
        """Removes what it wrote."""
        _family.remove(self.directory)


def ended_together(processes: Iterable[FlowProcess]) -> Generator[None]:
    """Ends those that still run side by side, and removes the files of all; in steps, between which whoever iterates waits a moment."""
    processes = list(processes)
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.remove_files)
        pending = [stack.enter_context(contextlib.closing(process.ending())) for process in processes]
        while pending := [steps for steps in pending if next(steps, _OVER) is not _OVER]:
            yield


def end_together(processes: Iterable[FlowProcess]) -> None:
    """The same, waited for."""
    with contextlib.closing(ended_together(processes)) as steps:
        for _ in steps:
            time.sleep(_POLL_S)


class _Family:
    """The processes of this one that still run, and the directories of all. While one runs, SIGTERM ends it before it ends us."""

    def __init__(self) -> None:
        self._members: dict[int, FlowProcess] = {}
        self._directories: set[str] = set()
        self._is_handling = False
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._forget)

    def directory(self) -> str:
        """A new directory, removed when this process ends at the latest."""
        path = tempfile.mkdtemp(prefix="rayflow-runner-")
        self._directories.add(path)
        return path

    def remove(self, directory: str) -> None:
        """Removes a directory and what is in it."""
        shutil.rmtree(directory, ignore_errors=True)
        self._directories.discard(directory)

    def add(self, member: FlowProcess) -> None:
        """Takes in a process that has just been started."""
        self._members[member.pid] = member
        if self._is_handling:
            return
        if threading.current_thread() is not threading.main_thread():
            warnings.warn(
                "A flow was started from a thread other than the main one: if this process gets a SIGTERM, the flow is not ended with it.",
                RuntimeWarning,
                stacklevel=4,
            )
        elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)
            self._is_handling = True

    def discard(self, member: FlowProcess) -> None:
        """Leaves out a process that has ended."""
        self._members.pop(member.pid, None)
        if not self._members and self._is_handling and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._is_handling = False

    def end(self) -> None:
        """Ends all, and removes their files."""
        end_together(list(self._members.values()))
        for directory in list(self._directories):
            self.remove(directory)

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        self.end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _forget(self) -> None:
        """A fork of this process owns none of its children."""
        self._members.clear()
        self._directories.clear()


_family = _Family()
