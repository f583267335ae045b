"""`logs`, `dump` and `path`: what tasks printed and stored."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.locating import Place, in_order, place_named
from rayflow.cli.options import quiet_option, root_option, stated
from rayflow.cli.reporting.text import harmless
from rayflow.model.errors import RayflowInvalidPathspec, RayflowNotFound, UsageError, UserError

if TYPE_CHECKING:
    from rayflow.client.tasks import Task

Greeting = Callable[[Mapping[str, Any]], None]

_FOLLOW_EVERY_S = 0.3
_STREAMS = ("stdout", "stderr")
_TOO_LARGE = "< artifact too large >"


def flow_logs_command(flow_call: FlowCall) -> click.Command:
    return logs_command(flow_call.call, flow_call.flow_class.__name__, flow_call.greet)


def flow_dump_command(flow_call: FlowCall) -> click.Command:
    return dump_command(flow_call.call, flow_call.flow_class.__name__, flow_call.greet)


def _no_greeting(_: Mapping[str, Any]) -> None:
    return None


# -- logs --------------------------------------------------------------------------------------------------------------


def logs_command(call: Call, flow: str | None = None, greet: Greeting = _no_greeting) -> click.Command:
    """`logs` of the runs of one flow, or of any."""

    def run(target: str, rest: str | None, **_: Any) -> None:
        options = stated(click.get_current_context())
        if rest is not None and target != "show":
            raise UsageError(f"Got an unexpected argument '{rest}'.")
        greet(options)
        wanted = rest or target  # `logs show RUN/step` is how Metaflow writes it in full
        url = call.surroundings.root(options.get("root"))
        _LogPrinter(call, options, url).print(lambda: place_named(url, wanted, flow))

    params: list[click.Parameter] = [
        click.Argument(["target"], metavar="RUN[/STEP[/TASK]]"),
        click.Argument(["rest"], required=False, metavar=""),
        click.Option(["--stdout", "stream"], flag_value="stdout", help="Only what was printed."),
        click.Option(["--stderr", "stream"], flag_value="stderr", help="Only what went to standard error."),
        click.Option(["--both", "stream"], flag_value="both", help="Both, task by task (default)."),
        click.Option(["--timestamps"], is_flag=True, help="Begin each line with its local time."),
        click.Option(["--attempt"], type=click.IntRange(min=0), metavar="N", help="That attempt of the task. Default: the latest."),
        click.Option(["-f", "--follow"], is_flag=True, help="Go on as long as the run does."),
        root_option(),
        quiet_option("Only the lines, without saying whose they are."),
    ]
    return click.Command("logs", callback=run, params=params, help="Show what tasks printed, as it was printed.")


class _LogPrinter:
    """Writes the lines of tasks to stdout, and to stderr whose they are. Says each line once, however often it looks."""

    def __init__(self, call: Call, options: Mapping[str, Any], root_url: str) -> None:
        self._call, self._options, self._root_url = call, options, root_url
        stream = options["stream"]
        self._streams = _STREAMS if stream in (None, "both") else (stream,)
        self._told: dict[tuple[str, str], int] = {}
        self._is_terminal = call.out.isatty()
        self._header = ""

    def print(self, find: Callable[[], Place]) -> None:
        place = find()
        is_following = self._options["follow"]
        tasks = _tasks_of(place)
        if not tasks and not is_following:
            raise RayflowNotFound("No tasks were found at the given path: none have started yet.")
        while is_following and place.run.state == "running":
            self._print_new(_tasks_of(place), is_over=False)
            time.sleep(_FOLLOW_EVERY_S)
        self._print_new(_tasks_of(find()), is_over=True)

    def _print_new(self, tasks: list[Task], *, is_over: bool) -> None:
        for task in tasks:
            for stream in self._streams:
                self._print_stream(task, stream, is_over=is_over)

    def _print_stream(self, task: Task, stream: str, *, is_over: bool) -> None:
        lines = list(self._attempt_of(task).loglines(stream))
        if not is_over and not task.finished:
            del lines[-1:]  # it may be half a line as yet
        begin = self._told.get((task.pathspec, stream), 0)
        self._told[task.pathspec, stream] = len(lines)
        header = f"Dumping {stream} of {'/'.join(task.path_components[1:])}"
        if lines[begin:] and not self._options["quiet"] and header != self._header:
            self._call.err.write(f"{header}\n")
            self._call.err.flush()
            self._header = header
        for moment, text in lines[begin:]:
            shown = harmless(text) if self._is_terminal else text
            stamp = moment.replace(tzinfo=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            self._call.out.write(f"{stamp} {shown}\n" if self._options["timestamps"] else f"{shown}\n")
        self._call.out.flush()

    def _attempt_of(self, task: Task) -> Task:
        from rayflow.client.base import reference
        from rayflow.client.roots import root_at

        number = self._options["attempt"]
        return task if number is None else reference(type(task), root_at(self._root_url), tuple(task.path_components), None, number)


def _tasks_of(place: Place) -> list[Task]:
    if place.task is not None:
        return [place.task]
    steps = [place.step] if place.step is not None else list(place.run)[::-1]
    return [task for step in steps for task in in_order(step)]


# -- dump --------------------------------------------------------------------------------------------------------------


def dump_command(call: Call, flow: str | None = None, greet: Greeting = _no_greeting) -> click.Command:
    """`dump` of the runs of one flow, or of any."""

    def run(target: str, **_: Any) -> None:
        options = stated(click.get_current_context())
        greet(options)
        place = place_named(call.surroundings.root(options.get("root")), target, flow)
        if place.step is None:
            raise RayflowInvalidPathspec(f"Expects RUN/step or RUN/step/task; got '{target}'.")
        if options["file"]:
            _dump_to_file(call, place, options)
        else:
            _dump_as_text(call, place, options)

    params: list[click.Parameter] = [
        click.Argument(["target"], metavar="RUN/STEP[/TASK]"),
        click.Option(["--private/--no-private"], default=False, help="Artifacts that begin with '_' too."),
        click.Option(
            ["--max-value-size"],
            type=click.IntRange(min=0),
            default=1000,
            show_default=True,
            metavar="BYTES",
            help="Show values up to this size; 0: names only.",
        ),
        click.Option(["--include"], metavar="A,B", help="Only these artifacts."),
        click.Option(["--file"], type=click.Path(dir_okay=False), metavar="FILE", help="Pickle {pathspec: {name: value}} to it."),
        root_option(),
        quiet_option("Only the artifacts."),
    ]
    return click.Command("dump", callback=run, params=params, help="Show the artifacts of a task, or of all tasks of a step.")


def _names(task: Task, options: Mapping[str, Any]) -> list[str]:
    """Which artifacts of the task are asked for, sorted."""
    known = sorted({*task.record.names()} if options["private"] else {artifact.id for artifact in task})
    if not options["include"]:
        return known
    wanted = [name.strip() for name in options["include"].split(",") if name.strip()]
    return sorted(name for name in wanted if name in task)


def _dump_as_text(call: Call, place: Place, options: Mapping[str, Any]) -> None:
    for task in _tasks_of(place):
        if not options["quiet"]:
            _, run_id, step, task_id = task.path_components
            call.err.write(f"Dumping output of run_id=*{run_id}* step=*{step}* task_id=*{task_id}*\n")
        for name in _names(task, options):
            call.out.write(_artifact_line(task, name, options["max_value_size"]) + "\n")


def _artifact_line(task: Task, name: str, most_nbytes: int) -> str:
    artifact = task[name]
    if not most_nbytes:
        return name
    if artifact.size > most_nbytes:
        return f"{name} [size: {artifact.size} type: <class '{artifact.type}'>] = {_TOO_LARGE}"
    value = artifact.data
    return f"{name} [size: {artifact.size} type: {type(value)}] = {value!r}"


def _dump_to_file(call: Call, place: Place, options: Mapping[str, Any]) -> None:
    content = {"/".join(task.path_components[1:]): {name: task[name].data for name in _names(task, options)} for task in _tasks_of(place)}
    try:
        with open(options["file"], "wb") as file:
            pickle.dump(content, file)
    except OSError as error:
        raise UserError(f"File {options['file']} could not be written: {error.strerror}.") from error
    if not options["quiet"]:
        call.err.write(f"Artifacts written to *{options['file']}*\n")


# -- path --------------------------------------------------------------------------------------------------------------


def path_command(call: Call) -> click.Command:
    def run(target: str, json: bool, root: str | None) -> None:
        _print_path(call, target, call.surroundings.root(root), is_json=json)

    params: list[click.Parameter] = [
        click.Argument(["target"], metavar="RUN/STEP[/TASK]/NAME"),
        click.Option(["--json"], is_flag=True, help="As JSON, with codec, type and size."),
        root_option(),
    ]
    return click.Command("path", callback=run, params=params, help="Show which file holds an artifact, for other tools to open.")


def _print_path(call: Call, target: str, root_url: str, *, is_json: bool) -> None:
    import json

    from rayflow.client.lookup import locate
    from rayflow.client.roots import root_at

    found = locate(root_at(root_url).store, target)
    artifact = found.artifact
    if is_json:
        facts = {"name": found.name, "url": found.url, "codec": artifact.codec, "type": artifact.type, "nbytes": artifact.nbytes}
        call.out.write(json.dumps({**facts, "row": found.row, "is_in_record": found.is_in_record}) + "\n")
        return
    call.out.write(f"{found.url}\n")
    if found.row is not None:
        call.err.write(f"column '{found.name}', row {found.row}\n")
    elif found.is_in_record:
        call.err.write(f"'{found.name}' is small: it is kept in that record, not in a file of its own\n")
