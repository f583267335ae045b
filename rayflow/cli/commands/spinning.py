"""`spin`: one step again by itself, with the inputs of an earlier task."""

from __future__ import annotations

import contextlib
import os
import runpy
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.commands.launching import launched
from rayflow.cli.options import launch_options, shared_options, stated
from rayflow.cli.suggest import listed, nearest
from rayflow.model.errors import RayflowNotFound, UserError

if TYPE_CHECKING:
    from rayflow.client.tasks import Task
    from rayflow.runtime.notices import Reporter

_KEPT_OPTIONS = ("max_log_size", "run_id_file", "runner_attribute_file", "tables")
_HELP = (
    "Run one step again by itself, with today's code and the inputs of an earlier task, whose run is not changed. PATHSPEC is STEP (of the "
    "newest run that has one), RUN/STEP or RUN/STEP/TASK."
)


def spin_command(flow_call: FlowCall) -> click.Command:
    """`spin PATHSPEC`."""

    def run(pathspec: str, **_: Any) -> None:
        ctx = click.get_current_context()
        ctx.exit(_spun(flow_call, stated(ctx), pathspec))

    own = [
        click.Option(
            ["--artifacts-module"],
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            help="A Python file whose dict ARTIFACTS says what the step sees instead; for a join by 'run/step/task' of each input.",
        ),
        click.Option(["--persist/--no-persist"], default=False, help="Keep what the step stores, in .rayflow_spin here. Default: not."),
        click.Option(["--skip-decorators"], is_flag=True, help="Without any of the step's decorators."),
    ]
    kept = [option for option in launch_options() if option.name in _KEPT_OPTIONS]
    return click.Command("spin", callback=run, params=[click.Argument(["pathspec"]), *own, *kept, *shared_options()], help=_HELP)


def _spun(flow_call: FlowCall, options: Mapping[str, Any], pathspec: str) -> int:
    from rayflow.flow.definition import with_decospecs
    from rayflow.runtime.spinning import Spin, spin_flow

    call = flow_call.call
    task = _task(flow_call, call.surroundings.root(options.get("root")), pathspec)
    artifacts = _artifacts(options["artifacts_module"])
    flow_call = replace(flow_call, known=_configs(flow_call, task))
    with _root(is_kept=options["persist"]) as root:
        settings = replace(call.surroundings.settings(options), root=root, executor=_executor(options))

        def launch(reporter: Reporter) -> int:
            spin = Spin(task.record, artifacts, options["skip_decorators"])
            result = spin_flow(with_decospecs(flow_call.definition, options["with"]), settings, reporter, spin)
            if not options["quiet"] and not options["json"]:
                _show(flow_call, root, f"{result.flow}/{result.run_id}", task.parent.id, is_kept=options["persist"])
            return result.exit_code

        return launched(replace(flow_call, call=replace(call, prompt=replace(call.prompt, root=root))), {**options, "root": None}, launch)


def _executor(options: Mapping[str, Any]) -> str:
    """A process of its own, unless something else is asked for: Ray has nothing to give to a single task."""
    return "process" if options["executor"] in (None, "auto") else options["executor"]


@contextlib.contextmanager
def _root(*, is_kept: bool) -> Generator[str]:
    from rayflow.settings.here import SPIN_ROOT

    if is_kept:
        yield os.path.abspath(SPIN_ROOT)
        return
    with tempfile.TemporaryDirectory(prefix="rayflow-spin-") as root:
        yield root


def _task(flow_call: FlowCall, root_url: str, pathspec: str) -> Task:
    """The task that is named. RayflowNotFound where there is none."""
    from rayflow.cli.locating import place_named

    name, parts = flow_call.flow_class.__name__, pathspec.strip("/").split("/")
    if len(parts) == 1:
        return _newest(flow_call, root_url, parts[0])
    place = place_named(root_url, pathspec, name)
    if place.step is None:
        raise UserError(f"'{pathspec}' names no step. Give STEP, RUN/STEP or RUN/STEP/TASK.")
    return place.task or _chosen(list(place.step))


def _newest(flow_call: FlowCall, root_url: str, step: str) -> Task:
    from rayflow.client.base import reference
    from rayflow.client.flows import Flow
    from rayflow.client.roots import root_at

    steps = list(flow_call.definition.graph.nodes)
    if step not in steps:
        raise UserError(f"The flow has no step '{step}'.{nearest(step, steps)} Steps are: {listed(steps)}.")
    name = flow_call.flow_class.__name__
    flow = reference(Flow, root_at(root_url), (name,), f"user:{flow_call.call.surroundings.user}")
    with contextlib.suppress(RayflowNotFound):
        for run in flow:
            with contextlib.suppress(KeyError):
                return _chosen(list(run[step]))
    raise RayflowNotFound(f"You have no run of {name} that reached step '{step}'. Run the flow first, or name another's: RUN/STEP.")


def _chosen(tasks: list[Task]) -> Task:
    """A task that failed, where there is one: it is what one looks at. Else the first."""
    return next((task for task in tasks if not task.finished), tasks[-1])


def _configs(flow_call: FlowCall, task: Task) -> dict[str, Any]:
    """The configs of the task's run."""
    from rayflow.flow.configs import configs_of
    from rayflow.runtime.continuing import constants_in

    return constants_in(task.record.handle.store, task.record.handle.record, configs_of(flow_call.flow_class))


def _artifacts(path: str | None) -> dict[str, Any]:
    """The dict ARTIFACTS of the file. UserError for a file that has none, or that raises."""
    if path is None:
        return {}
    try:
        found = runpy.run_path(path).get("ARTIFACTS")
    except Exception as error:
        raise UserError(f"The file '{path}' cannot be read: {type(error).__name__}: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):  # pyright: ignore[reportUnknownVariableType]
        raise UserError(f"The file '{path}' has no dict ARTIFACTS of names and values. Write: ARTIFACTS = {{'x': 1}}.")
    return found  # pyright: ignore[reportUnknownVariableType] - keys are texts, values anything


def _show(flow_call: FlowCall, root: str, run: str, step: str, *, is_kept: bool) -> None:
    """What the step stored, as it was described when it was stored; and where it lies."""
    from rayflow.client import open_pathspec

    (task,) = [task for task in open_pathspec(root, f"{run}/{step}") if task.metadata_dict.get("origin-task-id") is None]  # pyright: ignore
    row = task.record.row
    out = flow_call.call.out
    for name, artifact in sorted((row.artifacts if row is not None else {}).items()):
        if not name.startswith("_"):
            out.write(f"    {name}: {artifact.preview or artifact.type}\n")
    if is_kept:
        out.write(f"    It is kept: rayflow dump {run.partition('/')[2]}/{step} --root {os.path.relpath(root)}\n")
