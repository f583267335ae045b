"""`logs show` and `logs scrub`: what tasks printed."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.locating import Place, place_named, tasks_of
from rayflow.cli.options import quiet_option, root_option, stated
from rayflow.cli.reporting.text import counted, harmless
from rayflow.model.errors import RayflowNotFound, UsageError

if TYPE_CHECKING:
    from rayflow.client.attempts import Attempt
    from rayflow.client.following import Line
    from rayflow.client.runs import Run
    from rayflow.client.tasks import Task

Greeting = Callable[[Mapping[str, Any]], None]

_FOLLOW_EVERY_S = 0.2
_LOOK_FOR_DRIVER_EVERY_S = 1.0
_STREAMS = ("stdout", "stderr")
_SHOW, _SCRUB = "show", "scrub"

_HELP = """Show what tasks printed, as it was printed; or take it back.

`logs RUN[/STEP[/TASK]]` is `logs show RUN[/STEP[/TASK]]`.
"""
_SHOW_HELP = """Show what tasks printed, as it was printed.

With --follow what a run in progress prints is shown as it arrives (of fan-outs, as their tasks are done), until the task, or the run, has
ended, or its driver is gone. A step or a task that was not reached yet is waited for.
"""
_SCRUB_HELP = """Overwrite what tasks printed with "[REDACTED]".

It cannot be brought back. What a task took over from another run is overwritten there. What the record of a failure says (its exception and
traceback) stays: `rayflow rm` removes it with the run.
"""


def flow_logs_command(flow_call: FlowCall) -> click.Command:
    return logs_command(flow_call.call, flow_call.flow_class.__name__, flow_call.greet)


def _no_greeting(_: Mapping[str, Any]) -> None:
    return None


class _LogsGroup(click.Group):
    """Its subcommand `show` need not be named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


def logs_command(call: Call, flow: str | None = None, greet: Greeting = _no_greeting) -> click.Command:
    """`logs` of the runs of one flow, or of any."""
    commands = {_SHOW: _show_command(call, flow, greet), _SCRUB: _scrub_command(call, flow, greet)}
    return _LogsGroup("logs", commands=commands, help=_HELP)


def _target() -> click.Argument:
    return click.Argument(["target"], metavar="RUN[/STEP[/TASK]]")


def _stream_options(deed: str) -> list[click.Option]:
    return [
        click.Option(["--stdout", "stream"], flag_value="stdout", help=f"{deed} only what was printed."),
        click.Option(["--stderr", "stream"], flag_value="stderr", help=f"{deed} only what went to standard error."),
        click.Option(["--both", "stream"], flag_value="both", help=f"{deed} both (default)."),
    ]


def _streams(options: Mapping[str, Any]) -> tuple[str, ...]:
    stream = options["stream"]
    return _STREAMS if stream in (None, "both") else (stream,)


# -- show --------------------------------------------------------------------------------------------------------------


def _show_command(call: Call, flow: str | None, greet: Greeting) -> click.Command:
    def run(target: str, **_: Any) -> None:
        options = stated(click.get_current_context())
        greet(options)
        url = call.surroundings.root(options.get("root"))
        printer = _LogPrinter(call, options)
        if options["follow"]:
            printer.follow(url, target, flow)
        else:
            printer.print(place_named(url, target, flow))

    params: list[click.Parameter] = [
        _target(),
        *_stream_options("Show"),
        click.Option(["--timestamps"], is_flag=True, help="Begin each line with its local time."),
        click.Option(["--attempt"], type=click.IntRange(min=0), metavar="N", help="That attempt of the task. Default: the latest."),
        click.Option(["-f", "--follow"], is_flag=True, help="Go on as long as the task, or the run, does."),
        root_option(),
        quiet_option("Only the lines, without saying whose they are."),
    ]
    return click.Command(_SHOW, callback=run, params=params, help=_SHOW_HELP)


class _LogPrinter:
    """Writes the lines of tasks to stdout, and to stderr whose they are."""

    def __init__(self, call: Call, options: Mapping[str, Any]) -> None:
        from rayflow.client.following import LogFollower

        self._call, self._options = call, options
        self._follower = LogFollower(_streams(options), options["attempt"])
        self._is_terminal = call.out.isatty()
        self._header = ""

    def print(self, place: Place) -> None:
        tasks = tasks_of(place)
        if not tasks:
            raise RayflowNotFound("No tasks were found at the given path: none have started yet.")
        self._write(self._follower.read_new(tasks))
        self._write(self._follower.read_rest())

    def follow(self, root_url: str, target: str, flow: str | None) -> None:
        """Prints until the task or the run has ended. RayflowNotFound where it ended without what is asked for."""
        run, names = _begin_of(root_url, target, flow)
        watch = _DriverWatch(run)
        place: Place | None = None
        while True:
            is_over = watch.is_over
            place = place or _place_now(root_url, run, names, flow, is_over=is_over)
            self._write(self._follower.read_new(tasks_of(place) if place is not None else []))
            if is_over or (place is not None and place.task is not None and _has_ended(place.task)):
                break
            time.sleep(_FOLLOW_EVERY_S)
        self._write(self._follower.read_rest())
        if run.handle.opened.ending is None and is_over:
            self._call.err.write(f"Nobody drives run {run.pathspec} any more. Continue it: {self._call.prompt.resume(run.id)}\n")

    def _write(self, lines: Iterable[Line]) -> None:
        for task, stream, moment, text in lines:
            header = f"Dumping {stream} of {'/'.join(task.path_components[1:])}"
            if not self._options["quiet"] and header != self._header:
                self._call.out.flush()
                self._call.err.write(f"{header}\n")
                self._call.err.flush()
                self._header = header
            shown = harmless(text) if self._is_terminal else text
            stamp = moment.replace(tzinfo=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            self._call.out.write(f"{stamp} {shown}\n" if self._options["timestamps"] else f"{shown}\n")
        self._call.out.flush()


class _DriverWatch:
    """Whether a run is over: it has ended, or its driver is gone. Where only a heartbeat can tell the latter that takes seconds, so it is
    asked for beside."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_gone = threading.Event()
        threading.Thread(target=self._look, name="rayflow-driver-watch", daemon=True).start()

    @property
    def is_over(self) -> bool:
        # Whether the driver is gone is asked first: what it recorded last is then read.
        return self._is_gone.is_set() or self._run.handle.opened.ending is not None

    def _look(self) -> None:
        while self._run.handle.is_alive():
            time.sleep(_LOOK_FOR_DRIVER_EVERY_S)
        self._run.handle.look()
        self._is_gone.set()


def _begin_of(root_url: str, target: str, flow: str | None) -> tuple[Run, list[str]]:
    """The run that the target names, and the step and task after it. RayflowNotFound for a step that its flow does not have."""
    from rayflow.client.roots import root_at

    parts = target.strip("/").split("/")
    count = 2 if len(parts) > 1 and parts[0] in root_at(root_url).flows() else 1
    run = place_named(root_url, "/".join(parts[:count]), flow).run
    names = parts[count:]
    if names and names[0] not in run.handle.record.graph:
        place_named(root_url, target, flow)  # says what else was near
    return run, names


def _place_now(root_url: str, run: Run, names: list[str], flow: str | None, *, is_over: bool) -> Place | None:
    """What is followed; None where it was not reached yet."""
    try:
        return place_named(root_url, "/".join([run.pathspec, *names]), flow)
    except RayflowNotFound:
        if is_over:
            raise
        return None


def _has_ended(task: Task) -> bool:
    """Whether no attempt of the task is to come."""
    key = task.key
    failed = task.handle.view.failed.get(key, []) if key is not None else []
    return task.finished or any(each.is_final for each in failed)


# -- scrub -------------------------------------------------------------------------------------------------------------


def _scrub_command(call: Call, flow: str | None, greet: Greeting) -> click.Command:
    def run(target: str, **_: Any) -> None:
        options = stated(click.get_current_context())
        greet(options)
        _scrub(call, options, place_named(call.surroundings.root(options.get("root")), target, flow))

    params: list[click.Parameter] = [
        _target(),
        *_stream_options("Overwrite"),
        click.Option(["--latest/--all"], default=True, help="The latest attempt of each task (default), or all attempts."),
        click.Option(["--include-not-done"], is_flag=True, help="Also what tasks in progress have printed so far."),
        root_option(),
        quiet_option("Say nothing."),
    ]
    return click.Command(_SCRUB, callback=run, params=params, help=_SCRUB_HELP)


def _scrub(call: Call, options: Mapping[str, Any], place: Place) -> None:
    from rayflow.client.logs import log_of
    from rayflow.store.scrubbing import scrub

    tasks = tasks_of(place)
    if not tasks:
        raise RayflowNotFound("No tasks were found at the given path: none have started yet.")
    ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    left: list[str] = []
    for task in tasks:
        for attempt in _attempts_of(task, is_latest=options["latest"]):
            if not attempt.is_recorded and not options["include_not_done"]:
                left.append(task.pathspec)
                continue
            for log in filter(None, (log_of(attempt, stream, 0) for stream in _streams(options))):
                ranges[log.layout.log(log.name, log.stream)].append((log.begin, log.begin + log.nbytes))
    if left and len(left) == len(tasks):
        raise UsageError(f"{', '.join(left[:5])} is not done yet. Say --include-not-done to overwrite what it has printed so far.")
    nbytes = sum(scrub(place.run.handle.store, key, found) for key, found in ranges.items())
    if not options["quiet"]:
        call.err.write("".join(f"Logs of {pathspec} stay: it is not done (--include-not-done).\n" for pathspec in left))
        call.err.write(f"Logs have been scrubbed: {counted(len(tasks) - len(left), 'task')}, {nbytes:,} bytes.\n")


def _attempts_of(task: Task, *, is_latest: bool) -> list[Attempt]:
    from rayflow.client.attempts import Attempt, attempt_of

    key = task.key
    if key is None:
        return []
    newest = attempt_of(task.handle, key)
    if is_latest:
        return [newest]
    failed = task.handle.view.failed.get(key, [])
    return [*(Attempt(task.handle, key, None, each.row, each.parent) for each in failed), newest]
