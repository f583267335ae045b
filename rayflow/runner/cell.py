"""A script of a flow class that a notebook defines: its cell, and what that uses of other cells."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import FunctionType, ModuleType
from typing import Any

from rayflow.flow.flowspec import FlowSpec
from rayflow.model.errors import UserError

_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def flow_script(flow_class: type[FlowSpec], names: Mapping[str, Any]) -> str:
    """The source of a file that is the flow's command line. `names` are the variables of the notebook.

    Of the cell that defines the class, what stands above it belongs to the script, except for what only does something (calls, magics).
    Names that it uses and other cells define are found by their values: modules, functions, classes, and numbers or texts.
    """
    gathered = _Gathered(names)
    gathered.add_flow(flow_class)
    body = "\n\n".join([*gathered.imports, *gathered.definitions])
    return f'{body}\n\n\nif __name__ == "__main__":\n    {flow_class.__name__}()\n'


@dataclass
class _Gathered:
    """What the script consists of, each after what it needs."""

    names: Mapping[str, Any]
    imports: dict[str, None] = field(default_factory=dict[str, None])
    definitions: list[str] = field(default_factory=list[str])
    _known: set[str] = field(default_factory=set[str])

    def add_flow(self, flow_class: type[FlowSpec]) -> None:
        """The cell of the class, cut below it, with the cells of its base classes' above."""
        cell = _cell_of(flow_class)
        kept: list[ast.stmt] = []
        for statement in ast.parse(cell).body:
            if not isinstance(statement, ast.Expr) and "get_ipython" not in _used(statement):
                kept.append(statement)
            if isinstance(statement, ast.ClassDef) and statement.name == flow_class.__name__:
                break
        self._add_source(cell, kept)

    def _add_source(self, source: str, statements: list[ast.stmt]) -> None:
        defined = {name for statement in statements for name in _bound(statement)}
        self._known |= defined
        for name in dict.fromkeys(name for statement in statements for name in _used(statement)):
            if name not in self._known and name in self.names:
                self._known.add(name)
                self._add_value(name, self.names[name])
        for statement in statements:
            self.definitions.append(_text_of(source, statement))

    def _add_value(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType):
            self.imports[f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}"] = None
        elif isinstance(value, _PLAIN):
            self.definitions.append(f"{name} = {value!r}")
        elif isinstance(value, (type, FunctionType)) and value.__module__ == "__main__":
            source = inspect.getsource(value) if isinstance(value, FunctionType) else _class_source(value)
            self._add_source(source, ast.parse(source).body)
            if value.__name__ != name:
                self.definitions.append(f"{name} = {value.__name__}")
        else:
            self._add_import(name, value)

    def _add_import(self, name: str, value: Any) -> None:
        """What another module has under a name of its own; else it is left to the flow to say what is missing."""
        own = str(getattr(value, "__name__", name))
        homes = [module for module in ("rayflow", str(getattr(value, "__module__", ""))) if module in sys.modules]
        for home, original in product(homes, dict.fromkeys((own, name))):
            if getattr(sys.modules[home], original, None) is value:
                self.imports[f"from {home} import {original}" + (f" as {name}" if original != name else "")] = None
                return


def _cell_of(owner: type) -> str:
    """The source of the cell that defines the class, without magics: that of its methods, else the newest that has such a class."""
    functions = [inspect.unwrap(value) for value in vars(owner).values() if isinstance(value, FunctionType)]
    files = [function.__code__.co_filename for function in functions]
    definition = re.compile(rf"^class {re.escape(owner.__name__)}\b", re.MULTILINE)
    for file in [*dict.fromkeys(files), *([] if files else reversed(list(linecache.cache)))]:
        cell = "".join(line for line in linecache.getlines(file) if not line.lstrip().startswith(("%", "!")))
        if definition.search(cell):
            return cell
    raise UserError(
        f"The cell that defines {owner.__name__} could not be found. Define the class at the top level of a cell of this notebook, and run "
        "that cell again."
    )


def _class_source(value: type) -> str:
    """The source of a class of a notebook, which `inspect` does not find before Python 3.13."""
    cell = _cell_of(value)
    for statement in ast.parse(cell).body:
        if isinstance(statement, ast.ClassDef) and statement.name == value.__name__:
            return _text_of(cell, statement)
    raise UserError(f"The definition of {value.__name__}, which the flow uses, could not be found at the top level of a cell.")


def _text_of(source: str, statement: ast.stmt) -> str:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : statement.end_lineno])


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of the top level gives a value."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _used(statement: ast.stmt) -> Iterator[str]:
    """The names that occur in a statement and are no builtins: some of them may be local to it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not hasattr(builtins, node.id):
            yield node.id
