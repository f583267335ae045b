"""`Runner`: a flow file, run from a program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayflow.runner.executing import ExecutingRun, ExecutingTask
from rayflow.runner.process import STREAMS, FlowProcess, end_together, ended_together
from rayflow.runner.relay import Relay
from rayflow.runner.surveyed import CommandLine, failed_to_start

if TYPE_CHECKING:
    from types import TracebackType

    from rayflow.client import Run

_POLL_S = 0.02
_ATTRIBUTE_FILE = "runner_attribute_file"


class Runner:
    """Runs the flow of a file: `Runner("train.py").run(alpha=0.5)`. A context manager, at whose end runs that still go on are ended and
    the files with their output removed.

    `top_level_options` are those that stand before a command, with underscores: `quiet=True`, `root="s3://..."`, `decospecs=["retry"]`.
    With `show_output` a blocking call prints what the flow's command line says. `env` is added to this process's environment, `cwd` is
    where the flow file and relative paths are looked for. `file_read_timeout` is how many seconds a run may take to get its id.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **top_level_options: Any,
    ) -> None:
        self.show_output = show_output
        self.cwd = None if cwd is None else os.fspath(cwd)
        self.file_read_timeout = file_read_timeout
        self.flow_file = found_file(os.fspath(flow_file), self.cwd)
        self._line = CommandLine(self.flow_file, top_level_options, environment_of(env, profile), self.cwd, file_read_timeout)
        self._processes: list[FlowProcess] = []

    def run(self, **arguments: Any) -> ExecutingRun:
        """Runs the flow and returns when it is over, in whatever way. `arguments` are the flow's Parameters and the options of `run`, such
        as `tags` and `max_workers`.

        ValueError and TypeError for wrong arguments; RuntimeError, with the command and its output, where it ended before there was a run.
        """
        return self._perform("run", arguments)

    def resume(self, **arguments: Any) -> ExecutingRun:
        """Continues a run (`origin_run_id`, else the newest one) from where it stopped or from `step_to_rerun`; otherwise like `run`."""
        return self._perform("resume", arguments)

    def spin(self, pathspec: str, **arguments: Any) -> ExecutingTask:
        """Runs one step again by itself, with the inputs of an earlier task: `pathspec` is "step" (of the newest run), "run/step" or
        "run/step/task". `arguments` are the options of `spin`: `artifacts_module`, `persist`, `skip_decorators`; without `persist=True`
        nothing is kept, and the result has no `task`."""
        executing = self._perform("spin", {"pathspec": pathspec, **arguments})
        assert isinstance(executing, ExecutingTask)
        return executing

    async def async_run(self, **arguments: Any) -> ExecutingRun:
        """Like `run`, but returns as soon as the run has its id. Shows no output: see `stream_log` and `wait` of what it returns."""
        return await self._begin("run", arguments)

    async def async_resume(self, **arguments: Any) -> ExecutingRun:
        """Like `resume`, but returns as soon as the new run has its id."""
        return await self._begin("resume", arguments)

    async def async_spin(self, pathspec: str, **arguments: Any) -> ExecutingTask:
        """Like `spin`, but returns as soon as the spin has its id."""
        executing = await self._begin("spin", {"pathspec": pathspec, **arguments})
        assert isinstance(executing, ExecutingTask)
        return executing

    def cleanup(self) -> None:
        """Ends what still runs, and removes the files with the output."""
        processes, self._processes = self._processes, []
        end_together(processes)

    async def async_cleanup(self) -> None:
        """The same, without holding up the event loop."""
        processes, self._processes = self._processes, []
        with contextlib.closing(ended_together(processes)) as steps:
            for _ in steps:
                await asyncio.sleep(_POLL_S)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.cleanup()

    async def __aenter__(self) -> Runner:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.async_cleanup()

    def _perform(self, name: str, arguments: Mapping[str, Any]) -> ExecutingRun:
        start = self._start(self._line.command(name, _without_file(arguments)), arguments)
        relay = Relay(start.process)
        streams = STREAMS if self.show_output else ()
        with start.ended_by_an_exception():
            while start.process.returncode is None:
                start.look()
                relay.look(streams)
                time.sleep(_POLL_S)
            relay.look(streams, is_over=True)
        return self._executing(name, start)

    async def _begin(self, name: str, arguments: Mapping[str, Any]) -> ExecutingRun:
        command = await asyncio.to_thread(self._line.command, name, _without_file(arguments))
        start = self._start(command, arguments)
        with start.ended_by_an_exception():
            while not start.look() and start.process.returncode is None:
                await asyncio.sleep(_POLL_S)
        return self._executing(name, start)

    def _executing(self, name: str, start: _Start) -> ExecutingRun:
        return (ExecutingTask if name == "spin" else ExecutingRun)(self, start.process, start.found())

    def _start(self, command: Sequence[str], arguments: Mapping[str, Any]) -> _Start:
        process = FlowProcess(command, self._line.env, self.cwd, arguments.get(_ATTRIBUTE_FILE))
        self._processes.append(process)
        return _Start(process, time.monotonic() + self.file_read_timeout, self.file_read_timeout)


def _without_file(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != _ATTRIBUTE_FILE}


@dataclass
class _Start:
    """A command until it is known which run it is."""

    process: FlowProcess
    deadline: float
    timeout_s: float
    _attributes: dict[str, str] | None = None

    def look(self) -> bool:
        """Whether it is known by now. TimeoutError where that takes too long."""
        if self._attributes is None:
            with contextlib.suppress(OSError, ValueError), open(self.process.attribute_file, encoding="utf-8") as file:
                self._attributes = json.load(file)  # a ValueError: it is just being written
        if self._attributes is None and time.monotonic() > self.deadline:
            raise TimeoutError(
                f"'{self.process.command_line}' was ended: it had no run after {self.timeout_s} seconds (file_read_timeout)."
            )
        return self._attributes is not None

    @contextlib.contextmanager
    def ended_by_an_exception(self) -> Generator[None]:
        """Whatever is raised in the block, Ctrl-C included, ends the process first."""
        try:
            yield
        except BaseException:
            self.process.kill()
            raise

    def found(self) -> Run:
        """The run. RuntimeError where the process ended without one."""
        from rayflow.client import Run, open_pathspec

        self.look()
        if self._attributes is None:
            process = self.process
            raise failed_to_start(process.command_line, process.returncode, process.text("stdout"), process.text("stderr"))
        run = open_pathspec(self._attributes["metadata"], f"{self._attributes['flow_name']}/{self._attributes['run_id']}")
        assert isinstance(run, Run)
        return run


def found_file(flow_file: str, cwd: str | None) -> str:
    """The flow file as seen from `cwd`, which comes first, or from here."""
    if os.path.isfile(os.path.join(cwd or "", flow_file)):
        return flow_file
    if os.path.isfile(flow_file):
        return os.path.abspath(flow_file)
    raise FileNotFoundError(f"There is no flow file {flow_file!r} in {os.path.abspath(cwd or '.')}.")


def environment_of(env: Mapping[str, str] | None, profile: str | None) -> dict[str, str]:
    """That of the flow's processes: this one's, without the id of the run that this may be a task of, and what was given."""
    own = {name: value for name, value in os.environ.items() if name != "RAYFLOW_RUN_ID"}  # a Parameter `id` of the flow would take it
    return {**own, **({"RAYFLOW_PROFILE": profile} if profile else {}), **(env or {})}
