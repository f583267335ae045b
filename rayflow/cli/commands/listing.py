"""`ls` and `show`: which runs there are, and what is in one. Nothing here unpickles: previews were noted when values were stored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.locating import Place, in_order, place_named
from rayflow.cli.moments import moment_us
from rayflow.cli.options import json_option, root_option
from rayflow.cli.reporting.drawing import draw_pairs, draw_table, text_of
from rayflow.cli.reporting.text import duration, size
from rayflow.cli.suggest import nearest
from rayflow.model.errors import RayflowNotFound, UsageError
from rayflow.model.records import Outcome

if TYPE_CHECKING:
    from rayflow.client.data import DataArtifact
    from rayflow.client.finding import Found, Wanted
    from rayflow.client.roots import Root
    from rayflow.client.runs import Run, Step
    from rayflow.client.tasks import Task

_MOST_TASKS = 50
_STATES = ("pending", "running", "succeeded", "failed", "interrupted", "unknown")


_LS_HELP = """List runs, newest first: of FLOW, or of all flows.

Filters are all to hold; what --status may be can be given several times. Only runs that are shown, or that the index cannot tell
of, are opened. Exit code 1 where there is none.
"""


def ls_command(call: Call) -> click.Command:
    def run(flow: str | None, most: int, json: bool, root: str | None, **filters: Any) -> None:
        _list_runs(call, flow, most, _wanted(**filters), call.surroundings.root(root), is_json=json)

    when = "an age (12h, 30d, 8w), or a date of local time (2026-11-28, '2026-11-28 14:30')"
    params: list[click.Parameter] = [
        click.Argument(["flow"], required=False),
        click.Option(["-n", "most"], type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="At most so many runs."),
        click.Option(["--tag"], multiple=True, metavar="TAG", help="Only runs that have this tag (repeatable)."),
        click.Option(["--status"], multiple=True, type=click.Choice(_STATES), help="Only runs that are so (repeatable)."),
        click.Option(["--since"], metavar="WHEN", help=f"Only runs that were started since then: {when}."),
        click.Option(["--until"], metavar="WHEN", help="Only runs that were started before then; a date alone counts to its end."),
        click.Option(["--param"], multiple=True, metavar="NAME=VALUE", help="Only runs with that value (repeatable)."),
        json_option("As JSON."),
        root_option(),
    ]
    return click.Command("ls", callback=run, params=params, help=_LS_HELP)


def _wanted(tag: tuple[str, ...], status: tuple[str, ...], since: str | None, until: str | None, param: tuple[str, ...]) -> Wanted:
    from rayflow.client.finding import Wanted

    now_us = time.time_ns() // 1000
    pairs = [text.partition("=") for text in param]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"--param {name!r} says no value. Give NAME=VALUE.")
    return Wanted(
        frozenset(tag),
        frozenset(status),
        moment_us(since, "--since", now_us) if since is not None else None,
        moment_us(until, "--until", now_us, is_end=True) if until is not None else None,
        {name.replace("-", "_"): value for name, _, value in pairs},
    )


def _list_runs(call: Call, flow: str | None, most: int, wanted: Wanted, root_url: str, *, is_json: bool) -> None:
    from itertools import islice

    from rayflow.client.finding import matching
    from rayflow.client.roots import root_at

    root = root_at(root_url)
    known = root.flows()
    if flow is not None and flow not in known:
        raise RayflowNotFound(f"There is no flow '{flow}' under {root.url}.{nearest(flow, known)}")
    runs = list(islice(matching(_newest(root, [flow] if flow is not None else known), wanted), most))
    if not runs:
        raise RayflowNotFound(f"There are no {'' if wanted.is_all else 'such '}runs under {root.url}.")
    facts = [_facts(run) for run in runs]
    if is_json:
        call.out.write(json.dumps(facts, indent=2) + "\n")
        return
    rows = [(run["flow"], run["run_id"], run["state"], run["created_at"][:19].replace("T", " "), run["user"], _took(run)) for run in facts]
    draw_table(call.out, ("flow", "run", "state", "started", "user", "took"), rows)


def _newest(root: Root, flows: Sequence[str]) -> Iterator[Found]:
    """The runs of these flows, newest first. Costs one listing a flow, and opens none."""
    from heapq import merge

    from rayflow.client.base import reference
    from rayflow.client.runs import Run

    def of(flow: str) -> Iterator[Found]:
        return ((reference(Run, root, (flow, entry.run_id), None), entry) for entry in root.runs(flow))

    return merge(*(of(flow) for flow in flows), key=lambda found: -found[1].created_us)


def _facts(run: Run) -> dict[str, Any]:
    """What a listing says of a run. One that is damaged is named as such, and hides no other."""
    from rayflow.model.errors import RayflowException

    flow, run_id = run.path_components
    try:
        tags = {name: value for name, _, value in (tag.partition(":") for tag in run.system_tags)}
        return {
            "flow": flow,
            "run_id": run_id,
            "state": run.state,
            "user": tags.get("user", ""),
            "created_at": _iso(run.created_at),
            "ended_at": _iso(run.ended_at) or None,
            "origin": (run.origin_pathspec or "").rpartition("/")[2] or None,
            "tags": sorted(run.user_tags),
        }
    except RayflowException as error:
        unknown = {"user": "", "created_at": "", "ended_at": None, "origin": None, "tags": list[str]()}
        return {"flow": flow, "run_id": run_id, "state": "damaged", **unknown, "problem": error.message}


def _iso(moment: datetime | None) -> str:
    return moment.astimezone().isoformat(timespec="milliseconds") if moment is not None else ""


def _took(facts: dict[str, Any]) -> str:
    if not facts["created_at"] or not facts["ended_at"]:
        return ""
    return duration((datetime.fromisoformat(facts["ended_at"]) - datetime.fromisoformat(facts["created_at"])).total_seconds())


# -- show --------------------------------------------------------------------------------------------------------------


def show_command(call: Call) -> click.Command:
    def run(target: str, json: bool, table: bool, why: bool, root: str | None) -> None:
        place = place_named(call.surroundings.root(root), target)
        if why and (table or place.step is not None):
            raise UsageError("--why tells of the steps of a run: name a RUN.")
        if table and (place.step is None or place.task is not None):
            raise UsageError("--table shows the tasks of a step: name RUN/step.")
        if why:
            _show_why(call, place.run, is_json=json)
        elif json:
            call.out.write(_as_json(place) + "\n")
        elif table and place.step is not None:
            _show_table(call, place.step)
        elif place.task is not None:
            _show_task(call, place.task)
        elif place.step is not None:
            _show_step(call, place.step)
        else:
            _show_run(call, place.run)

    params: list[click.Parameter] = [
        click.Argument(["target"], metavar="RUN[/STEP[/TASK]] | FLOW.py"),
        json_option("As JSON."),
        click.Option(["--table"], is_flag=True, help="The tasks of a step with their small artifacts as columns."),
        click.Option(["--why"], is_flag=True, help="Why each step of a run was taken over from another run, or performed."),
        root_option(),
    ]
    return click.Command("show", callback=run, params=params, help="Show a run, a step or a task; or the structure of FLOW.py.")


def _show_run(call: Call, run: Run) -> None:
    facts = _facts(run)
    names = ("state", "user", "created_at", "ended_at", "origin", "tags")
    described = [("run", run.pathspec), *((name, text_of(facts[name])) for name in names)]
    place = run.handle.record.facts.get("submitted_to")
    where = [("submitted_to", f"{place['on']} at {place['address']}")] if place else []
    draw_pairs(call.out, [*described, *where, ("environments", _environments(run)), ("failure", _reason(run) or "")])
    parameters = _parameters(run)
    if parameters:
        call.out.write("\n")
        draw_pairs(call.out, list(parameters.items()))
    call.out.write("\n")
    draw_table(call.out, ("step", "done", "failed", "running"), [tuple(step.values()) for step in _steps(run)])


def _show_why(call: Call, run: Run, *, is_json: bool) -> None:
    from dataclasses import asdict

    from rayflow.client.why import why_of

    found = why_of(run._handle.opened)  # pyright: ignore[reportPrivateUsage] - as below
    if is_json:
        call.out.write(json.dumps([asdict(why) for why in found], indent=2) + "\n")
        return
    draw_table(call.out, ("step", "reused", "performed", "why"), [(why.step, why.reused, why.performed, why.reason) for why in found])


def _steps(run: Run) -> Iterator[dict[str, Any]]:
    """Counts of tasks per step, in the flow's order. Of an ended run that costs nothing per task."""
    opened = run._handle.opened  # pyright: ignore[reportPrivateUsage] - the client has no counts of its own
    done = opened.view.totals()
    for step in list(run)[::-1]:
        failed = {key for key in opened.view.failed if key.step == step.id and opened.view.find(*key) is None}
        running = [key for key in opened.underway if key.step == step.id and key not in failed and opened.view.find(*key) is None]
        is_over = opened.ending is not None
        yield {"step": step.id, "done": done.get(step.id, 0), "failed": len(failed), "running": 0 if is_over else len(running)}


def _parameters(run: Run) -> dict[str, str]:
    """The run's parameters with their previews."""
    record = run._handle.record  # pyright: ignore[reportPrivateUsage] - the client shows them as artifacts of a task, values and all
    return {name: artifact.preview for name, artifact in record.parameters.items()}


def _environments(run: Run) -> str:
    """The steps that have packages of their own, each with who made them; empty where none has."""
    steps = run._handle.record.facts.get("environments", {}).get("steps", {})  # pyright: ignore[reportPrivateUsage] - as above
    return ", ".join(f"{step}: {entry['type']}" for step, entry in steps.items())


def _reason(run: Run) -> str | None:
    """Why the run failed, in one line."""
    from rayflow.cli.reporting.failure import headline, place

    ending = run._handle.opened.ending  # pyright: ignore[reportPrivateUsage] - the same
    if ending is None or ending.outcome is Outcome.SUCCEEDED:
        return None
    if ending.failure is None:
        return ending.why or None
    step = f"{ending.failed_key.step}: " if ending.failed_key is not None else ""
    where = f" ({place(ending.failure)})" if ending.failure.frames else ""
    return f"{step}{headline(ending.failure)}{where}"


def _show_step(call: Call, step: Step) -> None:
    tasks = in_order(step, _MOST_TASKS + 1)
    rows = [(task.id, text_of(task.index), _state(task), task.current_attempt + 1, _seconds(task)) for task in tasks[:_MOST_TASKS]]
    draw_table(call.out, ("task", "index", "state", "attempts", "took"), rows)
    if len(tasks) > _MOST_TASKS:
        call.out.write(f"... the first {_MOST_TASKS}; all with --json, or --table\n")


def _show_task(call: Call, task: Task) -> None:
    draw_pairs(
        call.out,
        [
            ("task", task.pathspec),
            ("state", _state(task)),
            ("index", text_of(task.index)),
            ("attempts", str(task.current_attempt + 1)),
            ("started", _iso(task.created_at)),
            ("took", _seconds(task)),
        ],
    )
    call.out.write("\n")
    draw_table(call.out, ("artifact", "type", "size", "value"), [(each.id, each.type, size(each.size), each.preview) for each in task])


def _state(task: Task) -> str:
    if task.finished:
        return "done" if task.successful else "caught"
    return "failed" if task.record.is_recorded else "running"


def _seconds(task: Task) -> str:
    row = task.record.row
    return duration(row.seconds) if row is not None else ""


def _show_table(call: Call, step: Step) -> None:
    table = step.table()
    columns = list(table.column_names)
    rows = table.slice(0, _MOST_TASKS).to_pylist()
    draw_table(call.out, columns, [tuple(row[name] for name in columns) for row in rows])
    if table.num_rows > _MOST_TASKS:
        call.out.write(f"... the first {_MOST_TASKS} of {table.num_rows:,}\n")


def _as_json(place: Place) -> str:
    if place.task is not None:
        return json.dumps({**_task_facts(place.task), "artifacts": [_artifact_facts(artifact) for artifact in place.task]}, indent=2)
    if place.step is not None:
        return json.dumps({"step": place.step.pathspec, "tasks": [_task_facts(task) for task in in_order(place.step)]}, indent=2)
    run = place.run
    where = run.handle.record.facts.get("submitted_to")
    told = {"submitted_to": where, "failure": _reason(run), "parameters": _parameters(run), "steps": list(_steps(run))}
    return json.dumps({**_facts(run), **told}, indent=2)


def _task_facts(task: Task) -> dict[str, Any]:
    row = task.record.row
    return {
        "task": task.pathspec,
        "index": task.index,
        "state": _state(task),
        "attempt": task.current_attempt,
        "created_at": _iso(task.created_at) or None,
        "seconds": row.seconds if row is not None else None,
        "failure": f"{row.failure.type or row.failure.kind.value}: {row.failure.message}" if row is not None and row.failure else None,
    }


def _artifact_facts(artifact: DataArtifact) -> dict[str, Any]:
    return {"name": artifact.id, "type": artifact.type, "nbytes": artifact.size, "preview": artifact.preview}
