"""A task without a run: a binding that records what the flow object asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rayflow.flow.binding import bound_class, instance_of
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.transition import Transition, decide


class RecordingBinding:
    """Inherits `artifacts`, stands at `step_name` within `frames`, and keeps what was asked for."""

    def __init__(self, step_name: str, artifacts: Mapping[str, Any] | None = None, frames: Sequence[tuple[Any, ...]] = ()) -> None:
        self.step_name = step_name
        self.artifacts = dict(artifacts or {})
        self.loaded: list[str] = []
        self.merged: list[tuple[Any, ...]] = []
        self.taken: Transition | None = None
        self._frames = list(frames)

    def load(self, name: str) -> Any:
        self.loaded.append(name)
        return self.artifacts[name]

    def transition(self, flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        self.taken = decide(flow, targets, options, self.taken)

    def merge_artifacts(self, flow: Any, inputs: Any, exclude: Sequence[str], include: Sequence[str]) -> None:
        self.merged.append((inputs, tuple(exclude), tuple(include)))

    def innermost_index(self) -> int | None:
        return self.frames()[-1][0] if self.frames() else None

    def innermost_input(self) -> Any:
        return self.frames()[-1][2] if self.frames() else None

    def frames(self) -> list[Any]:
        return self._frames


def task_of(flow_class: type[FlowSpec], step: str, *, values: Mapping[str, Any] | None = None, **given: Any) -> FlowSpec:
    """The `self` of a task of that step; `given` are the arguments of its binding."""
    return instance_of(bound_class(flow_class, values or {}), RecordingBinding(step, **given))
