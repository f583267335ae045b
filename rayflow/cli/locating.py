"""From `RUN/step/task` to the client's objects: unlike them without a namespace, since who types an id means that run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rayflow.cli.suggest import listed, nearest
from rayflow.model.errors import RayflowInvalidPathspec, RayflowNotFound

if TYPE_CHECKING:
    from rayflow.client.lookup import RunName
    from rayflow.client.runs import Run, Step
    from rayflow.client.tasks import Task


@dataclass(frozen=True)
class Place:
    """What a pathspec names: a run, or a step or a task of it."""

    run: Run
    step: Step | None = None
    task: Task | None = None


def run_named(root_url: str, text: str, flow: str | None = None) -> RunName:
    """The run that the text names: id, ending of one, `Flow/id`, `latest`, `latest-failed`. RayflowNotFound says what else was near."""
    from rayflow.client.lookup import find_run
    from rayflow.client.roots import root_at

    return find_run(root_at(root_url).store, text, flow)


def place_named(root_url: str, text: str, flow: str | None = None) -> Place:
    """What `RUN[/step[/task]]` names; the flow may stand before it. RayflowNotFound, RayflowInvalidPathspec."""
    from rayflow.client.base import reference
    from rayflow.client.roots import root_at
    from rayflow.client.runs import Run

    root = root_at(root_url)
    parts = text.strip("/").split("/")
    if len(parts) > 1 and parts[0] in root.flows():
        parts[:2] = ["/".join(parts[:2])]
    if len(parts) > 3 or not all(parts):
        raise RayflowInvalidPathspec(f"Expects RUN, RUN/step or RUN/step/task; got '{text}'.")
    run = reference(Run, root, tuple(run_named(root_url, parts[0], flow)), None)
    if len(parts) == 1:
        return Place(run)
    step = _step(run, parts[1])
    if len(parts) == 2:
        return Place(run, step)
    try:
        return Place(run, step, step[parts[2]])
    except KeyError:
        known = [task.id for task, _ in zip(step, range(1000), strict=False)]
        hint = nearest(parts[2], known) or f" Tasks are: {listed(sorted(known, key=_by_number), 10)}."
        raise RayflowNotFound(f"Step {step.pathspec} has no task '{parts[2]}'.{hint}") from None


def _step(run: Run, name: str) -> Step:
    try:
        return run[name]
    except KeyError:
        reached = [step.id for step in run][::-1]
        hint = nearest(name, reached) or f" Steps with tasks are: {listed(reached) or 'none'}."
        raise RayflowNotFound(f"Run {run.pathspec} has no task of a step '{name}'.{hint}") from None


def _by_number(task_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in task_id.split("-") if part.isdecimal())


def in_order(step: Step, most: int | None = None) -> list[Task]:
    """The tasks of a step by their ids, at most the first `most`."""
    tasks = list(step)[::-1]
    return tasks if most is None else tasks[:most]


def tasks_of(place: Place) -> list[Task]:
    """All tasks that the place stands for, step after step."""
    if place.task is not None:
        return [place.task]
    steps = [place.step] if place.step is not None else list(place.run)[::-1]
    return [task for step in steps for task in in_order(step)]
