"""What stands in the body of a flow class: steps and constants, of the class and of those it inherits from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from rayflow.flow.deferred import Deferred
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import mark_of


def member_of(flow_class: type, name: str) -> Any:
    """The class attribute as it was written, no descriptor consulted; None where there is none."""
    return inspect.getattr_static(flow_class, name, None)


def names_in_order(flow_class: type) -> Iterator[str]:
    """The attribute names of the flow's own classes in order of definition, base classes first, each once."""
    seen: set[str] = set()
    for owner in reversed(flow_class.__mro__):
        if owner.__module__ == "builtins" or owner.__module__.startswith("rayflow.flow.") or owner.__module__ in ("typing", "abc"):
            continue
        for name in vars(owner):
            if name not in seen:
                seen.add(name)
                yield name


def step_functions(flow_class: type) -> dict[str, FunctionType]:
    """The steps by name, in order of definition, base classes first; an overridden step keeps its place."""
    members = ((name, member_of(flow_class, name)) for name in names_in_order(flow_class))
    return {name: member for name, member in members if isinstance(member, FunctionType) and mark_of(member) is not None}


def parameters_of(flow_class: type) -> dict[str, Parameter]:
    """The Parameters by attribute name."""
    members = ((name, member_of(flow_class, name)) for name in names_in_order(flow_class))
    return {name: member for name, member in members if isinstance(member, Parameter)}


def constants_of(flow_class: type) -> dict[str, Any]:
    """The class-level values: neither private, nor a Parameter, Config, class or module, nor a method or another descriptor."""
    members = ((name, member_of(flow_class, name)) for name in names_in_order(flow_class))
    return {name: member for name, member in members if not name.startswith("_") and _is_constant(member)}


def _is_constant(member: object) -> bool:
    return not isinstance(member, (Deferred, Parameter, type, ModuleType)) and not hasattr(type(member), "__get__")
