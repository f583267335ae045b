"""Objects for programs that know what they name: under a root of their choice, and without the namespace check."""

from __future__ import annotations

from rayflow.client.base import RayflowObject, reference
from rayflow.client.data import DataArtifact
from rayflow.client.flows import Flow
from rayflow.client.roots import root_at
from rayflow.client.runs import Run, Step
from rayflow.client.tasks import Task
from rayflow.model.errors import RayflowInvalidPathspec

_LEVELS: tuple[type[RayflowObject], ...] = (Flow, Run, Step, Task, DataArtifact)


def open_pathspec(root_url: str, pathspec: str) -> RayflowObject:
    """The object of a pathspec, by its number of components. Not promised: that it exists; using it says so.

    `current.run` and `current.task` are made by this: no namespace hides a task from itself.
    """
    parts = tuple(pathspec.split("/"))
    if len(parts) > len(_LEVELS) or not all(parts):
        raise RayflowInvalidPathspec(f"Expects Flow, Flow/run, Flow/run/step, Flow/run/step/task or one with /artifact; got '{pathspec}'.")
    root = root_at(root_url)
    if len(parts) > 1:
        root.run(*parts[:2]).look()  # it is named anew: what was read of it before may be old
    return reference(_LEVELS[len(parts) - 1], root, parts, None)
