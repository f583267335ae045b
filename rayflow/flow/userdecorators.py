"""Step decorators of the user's own: `@user_step_decorator` on a generator, or a class that derives from `UserStepDecorator`.

A step's wrappers are data (`model.spec.Wrapper`: name and arguments), like everything that decorators say; the process that performs the
step finds the code by the name. Names are dotted paths, `module.qualname`; what the script `__main__` defines is in the process of a
task what the flow's module defines.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rayflow.flow.decorators import DecoratorKind, add_kind_finder
from rayflow.flow.deferred import evaluated, has_deferred
from rayflow.flow.step import mark_of, replace_mark
from rayflow.model.errors import BadStepDecoratorException, UserError
from rayflow.model.graph import Node
from rayflow.model.spec import StepDecorator, StepSpec, Wrapper

USER_SKIP_STEP: Mapping[str, Any] = {}
"""`yield USER_SKIP_STEP`: the step's body is left out, and its transition is taken."""

_known: dict[str, UserDecorator] = {}


def _wrap(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    arguments, keywords = split_arguments(decorator.attributes)
    return replace(spec, wrappers=(*spec.wrappers, Wrapper(decorator.name, arguments, keywords)))


@dataclass(frozen=True, eq=False)
class UserDecorator(DecoratorKind):
    """A step decorator that the user wrote. `implementation` is a generator function, or a class; it takes whatever it is given."""

    implementation: Any = None

    def decorator(self, attributes: Mapping[str, Any], *, is_static: bool = True) -> StepDecorator:
        return StepDecorator(self.name, dict(attributes), is_static, frozenset(attributes))

    def evaluated(self, decorator: StepDecorator, configs: Mapping[str, Any]) -> StepDecorator:
        if not has_deferred(dict(decorator.attributes)):
            return decorator
        return self.decorator(evaluated(dict(decorator.attributes), configs), is_static=decorator.is_static)

    def _apply(self, function: Any, decorator: StepDecorator) -> Any:
        decorated = super()._apply(function, decorator)
        mark = mark_of(decorated)
        assert mark is not None
        replace_mark(decorated, replace(mark, implementations={**mark.implementations, self.name: self.implementation}))
        return decorated


def user_step_decorator(function: Callable[..., Generator[Any, Any, Any]]) -> UserDecorator:
    """Makes a step decorator of a generator function `(step_name, flow, inputs)`, or with a fourth argument `attributes` for what the
    decorator is given by keyword.

    What stands before its `yield` runs before the step's body, what follows after it; what the body raises is raised at the `yield`, and
    swallowed there if the generator catches it. `inputs` is None outside joins. It may yield `{}` (`USER_SKIP_STEP`) to leave the body
    out, keywords for the transition, or a function of the flow (in a join: and the inputs) to be called in its stead.
    """
    if not inspect.isgeneratorfunction(function):
        raise UserError(f"@user_step_decorator is applied to {function!r}, which is no generator function: it yields once, for the step.")
    count = len(inspect.signature(function).parameters)
    if count not in (3, 4):
        raise UserError(
            f"@user_step_decorator: {function.__name__} takes {count} arguments. Give it (step_name, flow, inputs[, attributes])."
        )
    return known_as(function)


def known_as(implementation: Any) -> UserDecorator:
    """The decorator of this function or class, which is found by its name from now on."""
    name = f"{implementation.__module__}.{implementation.__qualname__}"
    found = _known.get(name)
    if found is None or found.implementation is not implementation:
        is_wrapper = not isinstance(implementation, type) or issubclass(implementation, UserStepDecorator)
        found = UserDecorator(name, implementation=implementation)
        found = _known[name] = replace(found, compile=_wrap) if is_wrapper else found
    return found


class StepExtension:
    """What classes have in common that are used as step decorators: `@Name`, `@Name(key=value)`."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 1 and not keywords and mark_of(arguments[0]) is not None:
            return known_as(cls)(arguments[0])
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._given = (arguments, keywords)

    def __call__(self, function: Any) -> Any:
        arguments, keywords = self._given
        attributes = {**{str(number): value for number, value in enumerate(arguments)}, **keywords}
        kind = known_as(type(self))
        return kind._apply(function, kind.decorator(attributes))  # pyright: ignore[reportPrivateUsage]

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Gets what the decorator was given; override it to take anything."""
        if args or kwargs:
            given = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
            raise BadStepDecoratorException(f"@{type(self).__name__} was given {given}. Define init(self, ...) in it to take that.")


def made(implementation: type, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """An instance of an extension class, initialised."""
    instance = object.__new__(implementation)
    instance.init(*arguments, **keywords)
    return instance


class UserStepDecorator(StepExtension):
    """A step decorator as a class. Override `pre_step`, `post_step` or both, and `init` for arguments."""

    skip_step: ClassVar[Any] = False
    """Set on `self` in `pre_step`: True leaves the body out; a mapping does too, and gives keywords for the transition."""

    def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> Callable[..., Any] | None:
        """Runs before the body. What it returns, a function of the flow (in a join: and the inputs), is called in the body's stead."""
        return None

    def post_step(self, step_name: str, flow: Any, exception: Exception | None = None) -> Any:
        """Runs after the body, which raised `exception`. Returns the exception that goes on, None for none, or a pair of that and what
        becomes of the transition: keywords for it, None for the one in the source, False where `flow.next` was called here."""
        return exception


def split_arguments(attributes: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Attributes whose names are numbers are arguments by position."""
    positions = sorted((name for name in attributes if name.isdecimal()), key=int)
    return tuple(attributes[name] for name in positions), {name: value for name, value in attributes.items() if not name.isdecimal()}


def find_kind(name: str) -> UserDecorator | None:
    """The decorator of that dotted name, or of which the name is an ending that no other has; its module is imported if need be."""
    found = _by_ending(name)
    module = name.rpartition(".")[0]
    if found is None and module and not module.startswith("__main__"):
        try:
            importlib.import_module(module)
        except ImportError:
            return None
        found = _by_ending(name) or _class_in(name)
    return found


def _by_ending(name: str) -> UserDecorator | None:
    exact = _known.get(name)
    endings = [kind for known, kind in _known.items() if known.endswith(f".{name}")]
    return exact or (endings[0] if len(endings) == 1 else None)


def _class_in(name: str) -> UserDecorator | None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute, None)
    return known_as(found) if isinstance(found, type) and issubclass(found, StepExtension) else None


add_kind_finder(find_kind)


def implementation_of(wrapper: Wrapper, flow_class: type, step: str) -> Callable[..., Any]:
    """The code of a wrapper, in the process of a task. `UserError` where it is not found."""
    mark = mark_of(getattr(flow_class, step))
    if mark is not None and wrapper.name in mark.implementations:
        return mark.implementations[wrapper.name]
    ending = wrapper.name.removeprefix("__main__.")
    for name in dict.fromkeys((f"{flow_class.__module__}.{ending}", wrapper.name, ending)):
        kind = _known.get(name) or find_kind(name)
        if kind is not None:
            return kind.implementation
    raise UserError(f"The decorator {wrapper.name} of step '{step}' is not found where the step is performed. Define it in a module.")
