"""Classes for tasks: a flow class whose Parameters and constants have their values, and refuse assignment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rayflow.flow.configs import Config
from rayflow.flow.configvalue import ConfigValue, frozen
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.includefile import IncludeFile
from rayflow.flow.members import member_of, parameters_of

_ATOMS = (int, float, complex, str, bytes, bool, type(None), range)


@dataclass(frozen=True, slots=True)
class PerTask:
    """A read-only value of which every task gets its own: `make` returns a fresh one, and is called at first access."""

    make: Callable[[], Any]


class _ReadOnly:
    """A data descriptor that gives one immutable value to all tasks."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __get__(self, instance: FlowSpec | None, owner: type[FlowSpec]) -> Any:
        return self.value

    def __set__(self, instance: FlowSpec, value: object) -> NoReturn:
        raise AttributeError(
            f"'{self.name}' of flow {type(instance).__name__} cannot be assigned: Flow level attributes and Parameters are not "
            f"modifiable. Use another name, e.g. self.my_{self.name}."
        )

    def __delete__(self, instance: FlowSpec) -> NoReturn:
        self.__set__(instance, None)


class _Removed:
    """Stands for a Parameter that a mutator removed: as if the class had none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: FlowSpec | None, owner: type[FlowSpec]) -> NoReturn:
        raise AttributeError(f"Flow {owner.__name__} has no attribute '{self.name}'")


class _ReadOnlyPerTask(_ReadOnly):
    """The same for a value that may be mutated: each task has its own, kept in its instance's dictionary."""

    def __get__(self, instance: FlowSpec | None, owner: type[FlowSpec]) -> Any:
        if instance is None:
            return self.value.make()
        own = instance.__dict__
        if self.name not in own:
            own[self.name] = self.value.make()
        return own[self.name]


def bound_class(flow_class: type[FlowSpec], values: Mapping[str, Any]) -> type[FlowSpec]:
    """A subclass of the flow with the same name and module, in which the attributes `values` are read-only.

    A value is given as itself or as `PerTask`; what is mutable and not `PerTask` is deep-copied for each task. An instance keeps its
    own copies in its `__dict__`, so names in `read_only_names` of the class are to be left out when artifacts are collected there.
    The parser of an `IncludeFile` is applied here, at first access. Make one per batch or process, not per task.
    """
    members: dict[str, Any] = {name: _Removed(name) for name in parameters_of(flow_class) if name not in values}
    members.update((name, _descriptor(flow_class, name, value)) for name, value in values.items())
    members.update(
        __module__=flow_class.__module__,
        __qualname__=flow_class.__qualname__,
        __doc__=flow_class.__doc__,
        _rayflow_graph=flow_class._graph,  # pyright: ignore[reportPrivateUsage] - the flow's own layer
        _rayflow_known={},
        _rayflow_switches={},
        _rayflow_read_only=frozenset(values),
    )
    return type(flow_class.__name__, (flow_class,), members)


def read_only_names(bound: type[FlowSpec]) -> frozenset[str]:
    """The attributes of a bound class that are Parameters or constants; empty for a class that is not bound."""
    return getattr(bound, "_rayflow_read_only", frozenset())


def instance_of(bound: type[FlowSpec], binding: Any) -> FlowSpec:
    """The `self` of one task. Costs one object: `__init__` of the flow does not run."""
    flow = object.__new__(bound)
    object.__setattr__(flow, "_rayflow", binding)  # by way of __dict__ would make that a dictionary, and every assignment slower
    return flow


def _descriptor(flow_class: type[FlowSpec], name: str, value: Any) -> _ReadOnly:
    parameter = member_of(flow_class, name)
    if isinstance(parameter, Config):
        content = frozen(value.make() if isinstance(value, PerTask) else value)
        return _ReadOnly(name, content) if isinstance(content, ConfigValue) else _descriptor(FlowSpec, name, content)
    if isinstance(parameter, IncludeFile) and parameter.parser is not None:
        make = value.make if isinstance(value, PerTask) else (lambda: value)
        return _ReadOnlyPerTask(name, PerTask(lambda: parameter.parsed(make())))
    if isinstance(value, PerTask):
        return _ReadOnlyPerTask(name, value)
    if _is_immutable(value):
        return _ReadOnly(name, value)
    return _ReadOnlyPerTask(name, PerTask(lambda: copy.deepcopy(value)))


def _is_immutable(value: object) -> bool:
    return type(value) in _ATOMS or (type(value) in (tuple, frozenset) and all(_is_immutable(part) for part in value))  # type: ignore[attr-defined]
