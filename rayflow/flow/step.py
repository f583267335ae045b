"""`@step`: what turns a method into a step. It only leaves a mark on the function, which stays an ordinary function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, TypeVar, cast, overload

from rayflow.model.errors import BadStepDecoratorException
from rayflow.model.spec import StepDecorator

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__rayflow_step__"


@dataclass(frozen=True)
class StepMark:
    """What the decorators of one step say. `decorators` are in the order of their application: the nearest to `def` first."""

    is_start: bool = False
    is_end: bool = False
    node_info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    decorators: tuple[StepDecorator, ...] = ()
    implementations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The code of decorators that the user wrote, by their names."""


def mark_of(function: object) -> StepMark | None:
    """The mark of a step (function or bound method); None for anything else."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, StepMark) else None


def replace_mark(function: object, mark: StepMark) -> None:
    """Changes what the mark of a step function says."""
    setattr(function, _MARK, mark)


def add_decorator(function: object, decorator: StepDecorator) -> None:
    """Adds to the mark of a step function, which is there already."""
    mark = mark_of(function)
    assert mark is not None
    setattr(function, _MARK, replace(mark, decorators=(*mark.decorators, decorator)))


@overload
def step(function: F, /) -> F: ...


@overload
def step(*, start: bool = False, end: bool = False, node_info: Mapping[str, Any] | None = None) -> Callable[[F], F]: ...


def step(
    function: F | None = None, /, *, start: bool = False, end: bool = False, node_info: Mapping[str, Any] | None = None
) -> F | Callable[[F], F]:
    """Marks a method of a flow as a step; stands nearest to the `def`.

    `start` and `end` name the first and the last step where these are not called so; `node_info` is kept on the graph's node.
    """

    def mark(function: F) -> F:
        # A plain function has a source and can carry the mark; classmethods, properties and partials cannot.
        if not isinstance(cast(object, function), FunctionType):
            raise BadStepDecoratorException(
                f"@step is applied to {function!r}, which is not a plain method. Write @step directly above `def name(self):`."
            )
        setattr(function, _MARK, StepMark(start, end, dict(node_info or {})))
        return function

    return mark if function is None else mark(function)
