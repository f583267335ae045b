"""Objects for programs that know what they name: without the namespace check, and under a root of their choice."""

from __future__ import annotations

from rayflow.client.base import RayflowObject, reference
from rayflow.client.data import DataArtifact
from rayflow.client.flows import Flow
from rayflow.client.roots import root_at
from rayflow.client.runs import Run, Step
from rayflow.client.session import current_root_url
from rayflow.client.tasks import Task

_LEVELS: tuple[type[RayflowObject], ...] = (Flow, Run, Step, Task, DataArtifact)


def object_at(pathspec: str, root_url: str | None = None) -> RayflowObject:
    """The object of a pathspec, by its number of components. Not promised: that it exists; using it says so.

    This is `current.run` and `current.task`: no namespace hides a task from itself.
    """
    parts = tuple(pathspec.split("/"))
    return reference(_LEVELS[len(parts) - 1], root_at(root_url or current_root_url()), parts, None)
