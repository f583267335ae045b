"""`ExecutingRun`: a run that a `Runner` started, while it goes on and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from rayflow.runner.process import FlowProcess
from rayflow.runner.relay import Relay, lines_from, say

if TYPE_CHECKING:
    from types import TracebackType

    from rayflow.client import Run, Task
    from rayflow.runner.runner import Runner

_POLL_S = 0.05


class ExecutingRun:
    """`run` is the client's object, in no namespace; `runner` who started it; `command_obj` its process.

    A context manager like its `Runner`: at the end of the block the run is ended if it still goes on, and the output's files are removed.
    """

    def __init__(self, runner: Runner, command_obj: FlowProcess, run_obj: Run) -> None:
        self.runner = runner
        self.command_obj = command_obj
        self.run = run_obj

    @property
    def returncode(self) -> int | None:
        """The exit code of the flow's command line; None while it runs."""
        return self.command_obj.returncode

    @property
    def status(self) -> str:
        """`running`, `successful`, `failed`, or `timeout` where `wait` ended it because its time was up."""
        if self.command_obj.timeout:
            return "timeout"
        code = self.returncode
        return "running" if code is None else "failed" if code else "successful"

    @property
    def stdout(self) -> str:
        """What the command line has written to its standard output so far."""
        return self.command_obj.text("stdout")

    @property
    def stderr(self) -> str:
        """What the command line has written to its standard error so far."""
        return self.command_obj.text("stderr")

    async def wait(self, timeout: float | None = None, stream: str | None = None) -> ExecutingRun:
        """Returns itself when the run is over. After `timeout` seconds it is ended, and `status` is `timeout`. `stream` ("stdout" or
        "stderr") is printed meanwhile. Where the wait is cancelled the run goes on."""
        deadline = None if timeout is None else time.monotonic() + timeout
        shown = (stream,) if stream else ()
        for each in shown:
            self.command_obj.log_file(each)  # the ValueError of a stream that does not exist, before anything is waited for
        relay = Relay(self.command_obj, is_merged=True)
        while True:
            is_over = self.returncode is not None
            relay.look(shown, is_over=is_over)
            if is_over:
                return self
            if deadline is not None and time.monotonic() >= deadline:
                await self._end(timeout)
                continue
            await asyncio.sleep(_POLL_S)

    async def _end(self, timeout_s: float | None) -> None:
        self.command_obj.timeout = True
        say(
            f"Timeout: The process with PID {self.command_obj.pid}; command: '{self.command_obj.command_line}' did not complete "
            f"within {timeout_s} seconds."
        )
        with contextlib.closing(self.command_obj.ending()) as steps:
            for _ in steps:
                await asyncio.sleep(_POLL_S)

    async def stream_log(self, stream: str, position: int | None = None) -> AsyncIterator[tuple[int, str]]:
        """(position, line) of "stdout" or "stderr" as they are written, until the run is over. A position that was given goes on
        there: the lines after it."""
        path = self.command_obj.log_file(stream)
        at = position or 0
        while True:
            is_over = self.returncode is not None
            for after, line in lines_from(path, at, is_over=is_over):
                at = after
                yield after, line
            if is_over:
                return
            await asyncio.sleep(_POLL_S)

    def __enter__(self) -> ExecutingRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.runner.cleanup()

    async def __aenter__(self) -> ExecutingRun:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.runner.async_cleanup()


class ExecutingTask(ExecutingRun):
    """A step that a `Runner` spins. `run` is the spin's run, which has no other task of its own."""

    @property
    def task(self) -> Task:
        """The task that is spun. RayflowNotFound where it has not begun, or was not kept (`persist=True` keeps it)."""
        from rayflow.model.errors import RayflowNotFound

        try:
            for step in self.run:
                for task in step:
                    if "origin-task-id" not in task.metadata_dict:
                        return task
        except RayflowNotFound:
            raise RayflowNotFound("The spin was not kept, so that it has no task. Spin with persist=True.") from None
        raise RayflowNotFound("The spin has not begun its task yet. Wait for it.")
