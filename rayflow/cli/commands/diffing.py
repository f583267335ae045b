"""`diff`: how two runs differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.fence import USAGE, block
from rayflow.cli.locating import place_named
from rayflow.cli.options import json_option, quiet_option, root_option
from rayflow.cli.reporting.drawing import draw_table
from rayflow.cli.reporting.text import duration, harmless, size
from rayflow.model.errors import RayflowException, UsageError

if TYPE_CHECKING:
    from rayflow.client.comparing import Comparison, StepTimes, ValueChange
    from rayflow.client.roots import RunHandle
    from rayflow.model.records import Artifact

_HELP = """Show how two runs differ.

That is: their parameters, their code function by function, the artifacts of each step, and how long the steps took.

Artifacts are compared by their digests, and shown by what was noted of them when they were stored: nothing is unpickled, so that a value
which is equal but was stored in other bytes counts as different. --values loads those that differ, says how, and leaves out the equal
ones; loading runs the code of their classes, so it is for runs that you trust. Of tasks that only one of the runs has their number is
compared.

Like diff, it ends with exit code 0 where the runs are the same, 1 where they differ, and 2 where they could not be compared. Times never
count.
"""


def diff_command(call: Call) -> click.Command:
    def run(runs: tuple[str, str], values: bool, code: bool, json: bool, quiet: bool, root: str | None) -> int:
        try:
            handles = [_run(call, text, root) for text in runs]
            found = _compare(*handles, loads_values=values)
        except UsageError:
            raise
        except RayflowException as error:  # 1 says that the runs differ
            call.err.write(block(error))
            return USAGE
        if json:
            call.out.write(_as_json(handles, found) + "\n")
        elif not quiet:
            _tell(call, handles, found, shows_code=code)
        return 0 if found.is_equal else 1

    params: list[click.Parameter] = [
        click.Argument(["runs"], nargs=2, metavar="RUN RUN"),
        click.Option(["--values"], is_flag=True, help="Load artifacts that differ, and say how. Runs the code of their classes."),
        click.Option(["--code"], is_flag=True, help="Show the lines of code that changed, as a unified diff."),
        json_option("As JSON, with the lines of code."),
        quiet_option("Only the exit code."),
        root_option(),
    ]
    return click.Command("diff", callback=run, params=params, help=_HELP)


def _run(call: Call, text: str, root: str | None) -> RunHandle:
    place = place_named(call.surroundings.root(root), text)
    if place.step is not None:
        raise UsageError(f"Runs are compared: '{text}' names a step or a task. Give RUN or Flow/RUN.")
    return place.run.handle


def _compare(a: RunHandle, b: RunHandle, *, loads_values: bool) -> Comparison:
    from rayflow.client.comparing import compare_runs

    return compare_runs(a, b, loads_values=loads_values)


# -- as text -----------------------------------------------------------------------------------------------------------


def _tell(call: Call, handles: list[RunHandle], found: Comparison, *, shows_code: bool) -> None:
    for mark, handle in zip("-+", handles, strict=True):
        call.out.write(f"{mark * 3} {handle.layout.flow}/{handle.layout.run}\n")
    sections: list[tuple[str, Callable[[], Iterator[str]], bool]] = [
        ("parameters", lambda: _of_values(found.parameters), bool(found.parameters)),
        ("code", lambda: _of_code(found, shows_code=shows_code), bool(found.code)),
        ("artifacts", lambda: _of_values(found.artifacts), bool(found.artifacts)),
    ]
    for title, lines, has_any in sections:
        if has_any:
            call.out.write(f"\n{title}\n")
            call.out.writelines(f"  {line}\n" for line in lines())
    if found.is_equal:
        call.out.write("\nparameters, code and artifacts are the same\n")
    if found.steps:
        call.out.write("\n")
        draw_table(call.out, ("step", "tasks", "", "took", "", "change"), [_of_step(step) for step in found.steps])


def _of_values(changes: list[ValueChange]) -> Iterator[str]:
    for change in changes:
        name = "/".join(part for part in (change.step, change.name) if part)
        index = f"[{change.index}]" if change.index is not None else ""
        many = f" ({change.tasks:,} of {change.of:,} tasks differ)" if change.of > 1 else ""
        yield harmless(f"{name}{index}: {_told(change)}{many}")
        yield from (f"    {harmless(detail)}" for detail in change.details if len(change.details) > 1)


def _told(change: ValueChange) -> str:
    a, b = change.a, change.b
    if a is None or b is None:
        return f"added: {_described(b)}" if b is not None else f"removed, was {_described(a)}"
    if len(change.details) == 1:
        return change.details[0]
    if a.type == b.type and a.preview == b.preview:
        return f"{_described(a)}, {_sizes(a, b)}"
    return f"{_described(a)} -> {_described(b)}"


def _described(artifact: Artifact | None) -> str:
    """Type and value, as noted when it was stored."""
    if artifact is None:
        return ""
    kind = artifact.type.rpartition(".")[2]
    return f"{kind} {artifact.preview}".strip() if not artifact.preview.startswith("<") else artifact.type


def _sizes(a: Artifact, b: Artifact) -> str:
    return f"{size(a.nbytes)}, other content" if a.nbytes == b.nbytes else f"{size(a.nbytes)} -> {size(b.nbytes)}"


def _of_code(found: Comparison, *, shows_code: bool) -> Iterator[str]:
    for change in found.code:
        yield f"{change.change:<7} {harmless(change.name)}"
        if shows_code:
            yield from (f"    {harmless(line)}" for line in change.diff.split("\n") if line)


def _of_step(step: StepTimes) -> tuple[object, ...]:
    (tasks, others), (before, after) = step.tasks, step.seconds
    arrow = "" if tasks == others else f"-> {others:,}"
    change = f"{(after - before) / before:+.0%}" if before and after else ""
    return step.step, f"{tasks:,}", arrow, duration(before) if tasks else "", f"-> {duration(after)}" if others else "", change


# -- as JSON -----------------------------------------------------------------------------------------------------------


def _as_json(handles: list[RunHandle], found: Comparison) -> str:
    form: dict[str, Any] = {
        "runs": [f"{handle.layout.flow}/{handle.layout.run}" for handle in handles],
        "is_equal": found.is_equal,
        "parameters": [_value_form(change, "name") for change in found.parameters],
        "code": [{"name": change.name, "change": change.change, "diff": change.diff} for change in found.code],
        "artifacts": [_value_form(change, "step", "name", "index", "tasks", "of") for change in found.artifacts],
        "steps": [{"step": step.step, "tasks": list(step.tasks), "seconds": list(step.seconds)} for step in found.steps],
    }
    return json.dumps(form, indent=2)


def _value_form(change: ValueChange, *names: str) -> dict[str, Any]:
    described = {side: _artifact_form(artifact) for side, artifact in (("a", change.a), ("b", change.b))}
    return {**{name: getattr(change, name) for name in names}, **described, "details": list(change.details)}


def _artifact_form(artifact: Artifact | None) -> dict[str, Any] | None:
    return {"type": artifact.type, "nbytes": artifact.nbytes, "preview": artifact.preview} if artifact is not None else None
