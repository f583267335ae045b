"""Step decorators as data: what exists, what each accepts, and how a step's list becomes one `StepSpec`.

A decorator is a `DecoratorKind` in the registry. Applying it checks the attribute names and appends a `StepDecorator` to the step's
mark; `compile_spec` turns the marks into a `StepSpec` when the flow is defined, which is also where values are checked, since
`--with` and mutators add decorators after the class statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from rayflow.flow.deferred import evaluated, has_deferred, is_unpacked
from rayflow.flow.step import add_decorator, mark_of
from rayflow.model.errors import (
    BadStepDecoratorException,
    DuplicateStepDecoratorException,
    InvalidDecoratorAttribute,
    UnknownStepDecoratorException,
)
from rayflow.model.graph import Node
from rayflow.model.spec import StepDecorator, StepSpec

F = TypeVar("F", bound=Callable[..., Any])

Compile = Callable[[StepSpec, StepDecorator, Node], StepSpec]


def _unchanged(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    return spec


@dataclass(frozen=True, eq=False)
class DecoratorKind:
    """One decorator that steps may carry: `@name` and `@name(key=value)`.

    `defaults` are the attributes it knows. `compile` returns the spec with what the decorator says, or raises a `UserError` that names
    the step; it sees all decorators of the step in `spec.decorators`, and its result does not depend on their order. What `is_secret` says
    is recorded nowhere.
    """

    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    compile: Compile = _unchanged
    is_repeatable: bool = False
    is_secret: bool = False

    def decorator(self, attributes: Mapping[str, Any], *, is_static: bool = True) -> StepDecorator:
        """The decorator with these attributes; `InvalidDecoratorAttribute` for one that it does not know."""
        refuse_unknown(self.name, attributes, self.defaults)
        return StepDecorator(self.name, {**self.defaults, **attributes}, is_static, frozenset(attributes))

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(self, /, **attributes: Any) -> Callable[[F], F]: ...

    def __call__(self, function: F | None = None, /, **attributes: Any) -> F | Callable[[F], F]:
        if function is not None:
            return self._apply(function, self.decorator({}))
        decorator = self.decorator(attributes)
        return lambda function: self._apply(function, decorator)

    def _apply(self, function: F, decorator: StepDecorator) -> F:
        name = getattr(function, "__name__", repr(function))
        mark = mark_of(function)
        if not callable(function):
            raise BadStepDecoratorException(
                f"Decorator {self.name} was given {name} by position. Its attributes are given by keyword: @{self.name}(key=value)."
            )
        if mark is None or isinstance(function, type):
            raise BadStepDecoratorException(
                f"Decorator {self.name} is applied on {name}, which is not declared as a @step. Put @step directly above "
                f"the `def` and @{self.name} above it."
            )
        if not self.is_repeatable and any(other.name == self.name for other in mark.decorators):
            raise DuplicateStepDecoratorException(f"Step {name} has the decorator @{self.name} more than once. Remove one of them.")
        add_decorator(function, decorator)
        return function

    def evaluated(self, decorator: StepDecorator, configs: Mapping[str, Any]) -> StepDecorator:
        """The same with the values that its expressions over configs have."""
        stated = {name: value for name, value in decorator.attributes.items() if name in decorator.stated}
        if not has_deferred(stated):
            return decorator
        return self.decorator(evaluated(stated, configs), is_static=decorator.is_static)


_kinds: dict[str, DecoratorKind] = {}
_finders: list[Callable[[str], DecoratorKind | None]] = []


def register(kind: DecoratorKind) -> DecoratorKind:
    """Makes the decorator known to `--with` and to `compile_spec`; one of the same name is replaced."""
    _kinds[kind.name] = kind
    return kind


def add_kind_finder(find: Callable[[str], DecoratorKind | None]) -> None:
    """Whom to ask for decorators that are not registered by their names."""
    _finders.append(find)


def kind_of(name: str) -> DecoratorKind:
    """The registered decorator `name`; `UnknownStepDecoratorException` lists what exists."""
    kind = _kinds.get(name) or next((found for find in _finders if (found := find(name)) is not None), None)
    if kind is None:
        raise UnknownStepDecoratorException(
            f"Unknown step decorator {name}. The following decorators are supported: {', '.join(sorted(_kinds))}."
        )
    return kind


def compile_spec(node: Node, decorators: Sequence[StepDecorator]) -> StepSpec:
    """Everything that the decorators of step `node` say. Raises a `UserError` for a value that a decorator cannot take."""
    spec = StepSpec(decorators=tuple(decorators))
    for decorator in decorators:
        spec = kind_of(decorator.name).compile(spec, decorator, node)
    return spec


def refuse_unknown(name: str, attributes: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """`InvalidDecoratorAttribute` for attributes that decorator `name` does not know; what `**` of a config will give is not known yet."""
    unknown = sorted(attribute for attribute in set(attributes) - set(defaults) if not is_unpacked(attribute))
    if unknown:
        listed, known = ", ".join(f"'{attribute}'" for attribute in unknown), ", ".join(sorted(defaults)) or "none"
        raise InvalidDecoratorAttribute(
            f"Unknown decorator attribute {listed}: @{name} does not know it. The attributes supported: {known}."
        )
