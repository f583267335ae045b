"""What a flow's file uses of Metaflow that differs or is missing here. The file is read, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec

from rayflow.flow.differences import Difference, Kind, difference
from rayflow.model.errors import UsageError, UserError
from rayflow.runtime.compat import METAFLOW, exists, served

_OPTION = re.compile(r"(?<![\w-])(--(?:datastore-root|datastore|metadata|environment|event-logger|monitor))(?![\w-])")
_VARIABLE = re.compile(r"\bMETAFLOW_\w+")
_GUARDS = ("ImportError", "ModuleNotFoundError", "Exception")
_OF_RUNNER = ("datastore", "metadata", "environment", "event_logger", "monitor")


@dataclass(frozen=True)
class Finding:
    """`name` is as it stands in line `line` of the file; `here` and `way_out` as in `Difference`."""

    line: int
    name: str
    here: str
    way_out: str
    is_blocking: bool


def findings(path: str) -> list[Finding]:
    """What is found in the file, by lines. UsageError where there is no such file, UserError where it is no Python."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except SyntaxError as error:
        raise UserError(f"SyntaxError: {error.msg}", line=error.lineno, file=path) from error
    except ValueError as error:  # a zero byte
        raise UserError(f"This is no Python: {error}.", file=path) from error
    reading = _Reading()
    reading.visit(tree)
    return sorted(set(reading.found()), key=lambda finding: (finding.line, finding.name))


@dataclass
class _Import:
    """A name that a file takes from Metaflow or rayflow."""

    module: str
    name: str
    line: int
    is_guarded: bool

    @property
    def is_there(self) -> bool:
        """Whether rayflow has it, in whichever of the two names."""
        if self.module.partition(".")[0] == METAFLOW:
            return served(self.module, self.name) if self.name else exists(self.module)
        return _has(self.module, self.name)


@dataclass
class _Reading(ast.NodeVisitor):
    """One file. Imports are judged at the end, when it is known which of them are decorators."""

    imports: dict[str, _Import] = field(default_factory=dict[str, _Import])
    modules: dict[str, str] = field(default_factory=dict[str, str])
    decorated: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    others: list[Finding] = field(default_factory=list[Finding])
    _guards: int = 0

    def found(self) -> Iterator[Finding]:
        """All that was found."""
        yield from self.others
        used = {name for name, _ in self.decorated}
        for local, line in self.decorated:
            each = self.imports.get(local)
            if each is not None:
                yield from _judged(each, line, is_decorator=True)
        for local, each in self.imports.items():
            if local not in used:
                yield from _judged(each, each.line, is_decorator=False)

    def visit_Try(self, node: ast.Try) -> None:
        caught = [ast.unparse(handler.type) if handler.type else "Exception" for handler in node.handlers]
        is_guard = any(name in text for text in caught for name in _GUARDS)
        self._guards += is_guard
        for each in node.body:
            self.visit(each)
        self._guards -= is_guard
        for each in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(each)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if _is_theirs(top):
                self.modules[alias.asname or top] = alias.name if alias.asname else top
                self.imports[f"import {alias.name}"] = _Import(alias.name, "", node.lineno, bool(self._guards))
                self._note(top, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or not _is_theirs(module.partition(".")[0]):
            return
        self._note(module.partition(".")[0], node.lineno)
        for alias in node.names:
            self.imports[alias.asname or alias.name] = _Import(module, alias.name, node.lineno, bool(self._guards))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            spelled = ast.unparse(node)
            self.imports[spelled] = _Import(self.modules[node.value.id], node.attr, node.lineno, bool(self._guards))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._definition(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # docstrings may speak of anything
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).rpartition(".")[2]
        for keyword in node.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else ""
            if called == "Runner" and keyword.arg in _OF_RUNNER and value != "local":
                self._add(f"--{keyword.arg.replace('_', '-')}", Kind.OPTION, node.lineno)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            for name in set(_OPTION.findall(node.value)):
                self._add(name, Kind.OPTION, node.lineno, is_blocking=False)  # of whatever program, whenever it is called
            for name in set(_VARIABLE.findall(node.value)):
                self._add("METAFLOW_", Kind.VARIABLE, node.lineno, name)

    def _definition(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            self.decorated.append((ast.unparse(called), decorator.lineno))
        self.generic_visit(node)

    def _note(self, top: str, line: int) -> None:
        if top == METAFLOW and not any(finding.name == METAFLOW for finding in self.others):
            here = "`python FLOW.py` imports Metaflow."
            self.others.append(Finding(line, METAFLOW, here, "Write rayflow instead, or say --compat metaflow.", is_blocking=False))

    def _add(self, name: str, kind: Kind, line: int, shown: str = "", *, is_blocking: bool = True) -> None:
        known = difference(name, kind)
        assert known is not None
        self.others.append(Finding(line, shown or name, known.here, known.way_out, known.is_blocking and is_blocking))


def _judged(each: _Import, line: int, *, is_decorator: bool) -> Iterator[Finding]:
    name = each.name or each.module
    shown = f"@{name}" if is_decorator else f"{each.module}.{each.name}" if each.name and "." in each.module else name
    known = difference(each.name, Kind.DECORATOR, Kind.NAME) if each.name else difference(each.module, Kind.MODULE)
    is_there = each.is_there
    if not is_there and (known is None or known.kind is Kind.MODULE or not known.is_blocking):
        known = difference(each.module, Kind.MODULE) or difference(f"{each.module}.{each.name}", Kind.MODULE) or _LACKING
    if known is None or (is_there and known.is_blocking and known.name not in _REFUSED):
        return
    if is_there and not is_decorator and known.kind is Kind.DECORATOR:
        return  # imported and not used
    yield Finding(line, shown, known.here, known.way_out, known.is_blocking and not each.is_guarded)


_LACKING = Difference("", Kind.NAME, "rayflow has nothing of that name.", "Do without it.")
_REFUSED = ("batch",)
"""What can be imported, and is refused when the flow is checked."""


def _is_theirs(top: str) -> bool:
    return top in (METAFLOW, "metaflow_extensions", "rayflow")


def _has(module: str, name: str) -> bool:
    """Whether rayflow's `module` exists and has the name. Nothing but rayflow is imported."""
    from importlib import import_module

    if module.partition(".")[0] != "rayflow":
        return False
    try:
        if find_spec(module) is None:
            return False
        found = import_module(module)
        return not name or name == "*" or hasattr(found, name) or find_spec(f"{module}.{name}") is not None
    except ImportError:
        return False
