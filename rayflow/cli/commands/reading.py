"""`dump` and `path`: what tasks stored."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.locating import Place, place_named, tasks_of
from rayflow.cli.options import quiet_option, root_option, stated
from rayflow.cli.reporting.text import harmless
from rayflow.model.errors import RayflowInvalidPathspec, UserError

if TYPE_CHECKING:
    from rayflow.client.tasks import Task

Greeting = Callable[[Mapping[str, Any]], None]

_TOO_LARGE = "< artifact too large >"


def flow_dump_command(flow_call: FlowCall) -> click.Command:
    return dump_command(flow_call.call, flow_call.flow_class.__name__, flow_call.greet)


def _no_greeting(_: Mapping[str, Any]) -> None:
    return None


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
    for task in tasks_of(place):
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
    if artifact.encoding == "dataset" or artifact.encoding.startswith("custom:"):  # whose serializer need not be here
        return f"{name} [size: {artifact.size} type: <class '{artifact.type}'>] = {artifact.preview}"
    value = artifact.data
    shown = "\n".join(map(harmless, str(value).split("\n")))
    return f"{name} [size: {artifact.size} type: {type(value)}] = {shown}"


def _dump_to_file(call: Call, place: Place, options: Mapping[str, Any]) -> None:
    content = {"/".join(task.path_components[1:]): {name: task[name].data for name in _names(task, options)} for task in tasks_of(place)}
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
