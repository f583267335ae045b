"""Mutators: classes of the user's that change a flow's decorators and Parameters before anything else reads them.

`FlowMutator` stands above the class, `StepMutator` above a step. First `pre_mutate` of all is called, then `mutate` of all; in each phase
those of the flow come before those of steps, those of base classes before those of the class. They run where the flow is started, once;
tasks get what they made.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

from rayflow.flow.configvalue import ConfigValue
from rayflow.flow.decorators import DecoratorKind, kind_of
from rayflow.flow.decospec import parse_decospec
from rayflow.flow.deferred import evaluated
from rayflow.flow.flowdecorators import FlowDecorator, FlowDecoratorKind, flow_kind_of
from rayflow.flow.includefile import IncludeFile
from rayflow.flow.parameters import Parameter
from rayflow.flow.userdecorators import StepExtension, UserDecorator, UserStepDecorator, known_as, made, split_arguments
from rayflow.model.errors import DuplicateStepDecoratorException, UserError
from rayflow.model.spec import StepDecorator

_MUTATORS = "_rayflow_mutators"


class Duplicates(IntEnum):
    """What `add_decorator` does where a decorator of the name is there."""

    IGNORE = 1
    ERROR = 2
    OVERRIDE = 3


@dataclass
class Draft:
    """A flow while mutators may change it. `decorators` are in the order of their application."""

    flow_class: type
    configs: ConfigValue
    config_names: tuple[str, ...]
    parameters: dict[str, Parameter]
    decorators: dict[str, list[StepDecorator]]
    flow_decorators: list[FlowDecorator]
    is_early: bool = True
    by: str = ""

    def mutate(self) -> None:
        """Runs all mutators, also those that others add."""
        flow_mutators = [self._made(each) for each in mutators_of(self.flow_class)]
        flow, step_mutators = MutableFlow(self), dict[int, tuple[StepDecorator, Any]]()
        for self.is_early in (True, False):
            for mutator in flow_mutators:
                self._call(mutator, flow)
            for step in self.decorators:
                self._mutate_step(step, step_mutators)
        self.by = ""

    def _mutate_step(self, step: str, known: dict[int, tuple[StepDecorator, Any]]) -> None:
        done: set[int] = set()
        while True:
            waiting = [each for each in self.decorators[step] if id(each) not in done and is_mutator(kind_of(each.name))]
            if not waiting:
                return
            decorator = waiting[0]
            done.add(id(decorator))
            if id(decorator) not in known:
                known[id(decorator)] = (decorator, self._made_of(decorator))
            self._call(known[id(decorator)][1], MutableStep(self, step))

    def _made(self, mutator: FlowMutator) -> FlowMutator:
        arguments, keywords = mutator._given  # pyright: ignore[reportPrivateUsage]
        return made(type(mutator), evaluated(arguments, self.configs), evaluated(keywords, self.configs))

    def _made_of(self, decorator: StepDecorator) -> Any:
        kind = kind_of(decorator.name)
        assert isinstance(kind, UserDecorator)
        arguments, keywords = split_arguments(evaluated(dict(decorator.attributes), self.configs))
        assert isinstance(kind.implementation, type)
        return made(kind.implementation, arguments, keywords)

    def _call(self, mutator: Any, target: Any) -> None:
        self.by = f"{type(mutator).__module__}.{type(mutator).__qualname__}"
        (mutator.pre_mutate if self.is_early else mutator.mutate)(target)

    def refuse_late(self, what: str) -> None:
        if not self.is_early:
            raise UserError(f"{what} is only allowed in the `pre_mutate` method of a mutator, and {self.by} does it in `mutate`.")


def is_mutator(kind: DecoratorKind) -> bool:
    """Whether steps with this decorator are changed by it."""
    return isinstance(kind, UserDecorator) and isinstance(kind.implementation, type) and issubclass(kind.implementation, StepMutator)


def is_only_mutator(kind: DecoratorKind) -> bool:
    """Whether the decorator says nothing once it has changed the step."""
    return is_mutator(kind) and isinstance(kind, UserDecorator) and not issubclass(kind.implementation, UserStepDecorator)  # type: ignore[arg-type]


def mutators_of(flow_class: type) -> list[FlowMutator]:
    """The mutators that stand above the class and above its base classes, those of base classes first, the nearest to the class first."""
    return [mutator for owner in reversed(flow_class.__mro__) for mutator in vars(owner).get(_MUTATORS, ())]


class FlowMutator:
    """Stands above a flow class: `@MyMutator`, `@MyMutator(key=value)`. Override `pre_mutate`, `mutate`, and `init` for arguments."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        instance = super().__new__(cls)
        if len(arguments) == 1 and not keywords and _is_flow(arguments[0]):
            instance._given = ((), {})
            return instance(arguments[0])
        return instance

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._given: tuple[tuple[Any, ...], dict[str, Any]] = (arguments, keywords)

    def __call__(self, flow_class: Any) -> Any:
        if not _is_flow(flow_class):
            raise UserError(f"@{type(self).__name__} is applied to {flow_class!r}, which is no flow. It stands above a class of FlowSpec.")
        own = vars(flow_class).get(_MUTATORS, ())
        type.__setattr__(flow_class, _MUTATORS, (*own, self))
        return flow_class

    init = StepExtension.init

    def pre_mutate(self, mutable_flow: MutableFlow) -> None:
        """May add and remove Parameters and decorators."""

    def mutate(self, mutable_flow: MutableFlow) -> None:
        """May add and remove decorators of steps."""


class StepMutator(StepExtension):
    """Stands above a step, as a decorator does. Override `pre_mutate`, `mutate` or both, and `init` for arguments."""

    def pre_mutate(self, mutable_step: MutableStep) -> None:
        """May add and remove decorators of the step, mutators too."""

    def mutate(self, mutable_step: MutableStep) -> None:
        """May add and remove decorators of the step."""


def _is_flow(value: object) -> bool:
    from rayflow.flow.flowspec import FlowSpec

    return isinstance(value, type) and issubclass(value, FlowSpec)


class _Mutable(ABC):
    """What mutators may ask of a flow and of a step alike."""

    IGNORE: ClassVar = Duplicates.IGNORE
    ERROR: ClassVar = Duplicates.ERROR
    OVERRIDE: ClassVar = Duplicates.OVERRIDE

    @property
    @abstractmethod
    def decorator_specs(self) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
        """(name, name with its module, arguments by position, by keyword) of each decorator; the last two may be changed and given back
        to `add_decorator`."""

    def get_decorator_specs(self, deco_name: str) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
        """Those of `decorator_specs` that have this name."""
        return (spec for spec in self.decorator_specs if deco_name in spec[:2])

    def has_decorator(self, deco_name: str) -> bool:
        """Whether there is a decorator of this name."""
        return any(True for _ in self.get_decorator_specs(deco_name))


class MutableFlow(_Mutable):
    """The flow as mutators see it. Its steps, Parameters and configs are attributes too."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @property
    def configs(self) -> Iterator[tuple[str, Any]]:
        """(attribute, value) of each Config."""
        return ((name, self._draft.configs[name]) for name in self._draft.config_names)

    @property
    def parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(attribute, Parameter) of each Parameter."""
        return iter(list(self._draft.parameters.items()))

    @property
    def steps(self) -> Iterator[tuple[str, MutableStep]]:
        """(name, step) of each step."""
        return ((name, MutableStep(self._draft, name)) for name in list(self._draft.decorators))

    def __getattr__(self, name: str) -> Any:
        draft = self._draft
        if name in draft.decorators:
            return MutableStep(draft, name)
        if name in draft.parameters:
            return draft.parameters[name]
        if name in draft.config_names:
            return draft.configs[name]
        raise AttributeError(f"Flow {draft.flow_class.__name__} has no step, Parameter or Config '{name}'")

    @property
    def decorator_specs(self) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
        for decorator in list(self._draft.flow_decorators):
            yield decorator.name, f"rayflow.{decorator.name}", [], dict(decorator.attributes)

    def add_decorator(
        self,
        deco_type: FlowDecoratorKind | str,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
        duplicates: int = Duplicates.IGNORE,
    ) -> FlowDecorator | None:
        """Adds a decorator to the flow, as `MutableStep.add_decorator` does to a step."""
        draft = self._draft
        draft.refuse_late("Adding a flow decorator")
        kind = deco_type if isinstance(deco_type, FlowDecoratorKind) else flow_kind_of(str(deco_type))
        if deco_args:
            raise UserError(f"@{kind.name} takes its attributes by keyword: use deco_kwargs.")
        if self.has_decorator(kind.name) and not kind.is_repeatable:
            if duplicates == Duplicates.IGNORE:
                return None
            if duplicates == Duplicates.ERROR:
                raise UserError(f"{draft.by} adds @{kind.name} to a flow that has it already. Say duplicates=OVERRIDE or IGNORE.")
            self.remove_decorator(kind.name)
        decorator = kind.decorator(evaluated(dict(deco_kwargs or {}), draft.configs), draft.by)
        draft.flow_decorators.append(decorator)
        return decorator

    def remove_decorator(self, deco_name: str) -> bool:
        """Removes the flow's decorators of this name; whether there were any."""
        draft = self._draft
        draft.refuse_late("Removing a flow decorator")
        left = [decorator for decorator in draft.flow_decorators if deco_name not in (decorator.name, f"rayflow.{decorator.name}")]
        is_found = len(left) < len(draft.flow_decorators)
        draft.flow_decorators[:] = left
        return is_found

    def add_parameter(self, name: str, value: Parameter, overwrite: bool = False) -> None:
        """Adds a Parameter as attribute `name`. UserError where there is one, unless it is to be overwritten."""
        draft = self._draft
        draft.refuse_late("Adding a parameter")
        if not isinstance(value, Parameter):
            raise UserError(f"add_parameter({name!r}, ...) was given {value!r}. Give it a Parameter.")
        if isinstance(value, IncludeFile) and value.parser is not None:
            raise UserError(f"add_parameter({name!r}, ...) was given an IncludeFile with a parser, which belongs in the class itself.")
        is_there = name in draft.parameters or (not overwrite and inspect.getattr_static(draft.flow_class, name, None) is not None)
        if is_there and not overwrite:
            raise UserError(f"Flow {draft.flow_class.__name__} has '{name}' already. Take another name, or say overwrite=True.")
        draft.parameters[name] = value.evaluated(draft.configs)

    def remove_parameter(self, name: str) -> bool:
        """Whether there was a Parameter of that name, attribute or option, which is gone now."""
        draft = self._draft
        draft.refuse_late("Removing a parameter")
        found = [attribute for attribute, parameter in draft.parameters.items() if name in (attribute, parameter.name)]
        for attribute in found:
            del draft.parameters[attribute]
        return bool(found)


class MutableStep(_Mutable):
    """A step as mutators see it."""

    def __init__(self, draft: Draft, name: str) -> None:
        self._draft = draft
        self.name = name

    @property
    def flow(self) -> MutableFlow:
        """The flow of the step."""
        return MutableFlow(self._draft)

    @property
    def decorator_specs(self) -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
        for decorator in list(self._decorators):
            arguments, keywords = split_arguments(decorator.attributes)
            kind = kind_of(decorator.name)
            whole = decorator.name if isinstance(kind, UserDecorator) else f"rayflow.{decorator.name}"
            yield decorator.name.rpartition(".")[2], whole, list(arguments), dict(keywords)

    def add_decorator(
        self,
        deco_type: Any,
        deco_args: Sequence[Any] | None = None,
        deco_kwargs: Mapping[str, Any] | None = None,
        duplicates: int = Duplicates.IGNORE,
    ) -> StepDecorator | None:
        """Adds a decorator: the decorator itself (`retry`), a class of the user's, or a text as `--with` takes it. Returns what was added;
        None where one of the name is there and `duplicates` says IGNORE."""
        decorator = self._wanted(deco_type, tuple(deco_args or ()), dict(deco_kwargs or {}))
        kind = kind_of(decorator.name)
        if is_mutator(kind):
            self._draft.refuse_late("Adding a step mutator")
        present = [other for other in self._decorators if other.name == decorator.name]
        if present and not kind.is_repeatable:
            if duplicates == Duplicates.IGNORE:
                return None
            if duplicates == Duplicates.ERROR:
                raise DuplicateStepDecoratorException(
                    f"{self._draft.by} adds @{decorator.name} to step {self.name}, which has it already. Say duplicates=OVERRIDE or IGNORE."
                )
            self._decorators[:] = [other for other in self._decorators if other.name != decorator.name]
        decorator = replace(decorator, is_static=True, inserted_by=self._draft.by)
        self._decorators.append(decorator)
        return decorator

    def remove_decorator(
        self, deco_name: str, deco_args: Sequence[Any] | None = None, deco_kwargs: Mapping[str, Any] | None = None
    ) -> bool:
        """Removes the decorators of this name (and, where they are given, with these arguments); whether there were any."""
        found: list[StepDecorator] = []
        for decorator, spec in zip(list(self._decorators), list(self.decorator_specs), strict=True):
            is_it = deco_name in spec[:2] and (deco_args is None or list(deco_args) == spec[2])
            if is_it and (deco_kwargs is None or dict(deco_kwargs).items() <= spec[3].items()):
                found.append(decorator)
        if any(is_mutator(kind_of(decorator.name)) for decorator in found):
            self._draft.refuse_late("Removing a step mutator")
        self._decorators[:] = [decorator for decorator in self._decorators if all(decorator is not each for each in found)]
        return bool(found)

    @property
    def _decorators(self) -> list[StepDecorator]:
        return self._draft.decorators[self.name]

    def _wanted(self, deco: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> StepDecorator:
        if isinstance(deco, str):
            if ":" in deco and (arguments or keywords):
                raise UserError(f"add_decorator({deco!r}, ...) says arguments twice: in the text, and beside it.")
            decorator = parse_decospec(deco)
            if not (arguments or keywords):
                return decorator
            kind: DecoratorKind = kind_of(decorator.name)
        elif isinstance(deco, type) and issubclass(deco, (UserStepDecorator, StepMutator)):
            kind = known_as(deco)
        elif isinstance(deco, DecoratorKind):
            kind = deco
        else:
            raise UserError(
                f"add_decorator was given {deco!r}, which is no step decorator: give it one, or a text such as 'retry:times=2'."
            )
        attributes = evaluated({**{str(number): value for number, value in enumerate(arguments)}, **keywords}, self._draft.configs)
        return kind.decorator(attributes)
