"""Where the code of a class was written that travels by value: cloudpickle calls every file `<dynamic-code>`, and a worker has no cells.

So the driver sends along which cell each function comes from, with its text, and a worker puts that back: the frames of a failure then
show the user's lines, as they do for a flow in a file.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, or a file: `name` as tracebacks show it, its `text` (empty for a file), the qualified names of `functions` defined there."""

    name: str
    text: str
    functions: tuple[str, ...]


def cells_of(flow_class: type) -> tuple[Cell, ...]:
    """Where the methods of the class, and the functions of its module that they use, were written."""
    found: dict[str, list[str]] = {}
    for function in _functions(flow_class):
        found.setdefault(function.__code__.co_filename, []).append(function.__qualname__)
    return tuple(
        Cell(file, "", tuple(names)) if os.path.isfile(file) else Cell(_shown(file), "".join(linecache.getlines(file)), tuple(names))
        for file, names in found.items()
    )


def put_back(flow_class: type, cells: tuple[Cell, ...]) -> None:
    """Gives the functions of an unpickled class the names of their cells, and `linecache` their texts."""
    names = {function: cell.name for cell in cells for function in cell.functions}
    for function in list(_functions(flow_class)):
        name = names.get(function.__qualname__)
        if name is not None:
            function.__code__ = _renamed(function.__code__, name)
    for cell in cells:
        if cell.text:
            linecache.cache[cell.name] = (len(cell.text), None, cell.text.splitlines(keepends=True), cell.name)


def _functions(flow_class: type) -> Iterator[FunctionType]:
    """The functions of the class and its bases, and those of the same module that they name, each once."""
    module = flow_class.__module__
    pending: list[Any] = [owner for owner in flow_class.__mro__ if owner.__module__ == module]
    seen: set[int] = set()
    while pending:
        thing = pending.pop()
        if id(thing) in seen or getattr(thing, "__module__", None) != module:
            continue
        seen.add(id(thing))
        if isinstance(thing, type):
            pending += [member for member in vars(thing).values() if isinstance(member, FunctionType)]
        elif isinstance(thing, FunctionType):
            yield thing
            pending += [thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _renamed(code: CodeType, file: str) -> CodeType:
    constants = tuple(_renamed(each, file) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=file, co_consts=constants)


def _shown(file: str) -> str:
    """`Cell In[3]`, as IPython calls the cell; else the name that the code has."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    return " ".join(name_of(file) or (file,)) if name_of is not None else file
