"""The source of step functions, as syntax trees with the line numbers of their files."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator
from types import FunctionType

from rayflow.model.errors import UserError


class Sources:
    """Syntax trees of functions; each file is read and parsed once. Works for whatever `linecache` can read: modules, modules
    loaded from a path, notebook cells."""

    def __init__(self) -> None:
        self._functions: dict[str, dict[tuple[str, int], ast.FunctionDef]] = {}

    def tree_of(self, function: FunctionType) -> ast.FunctionDef:
        """The definition of the function; of the one it wraps, where a decorator that is not ours wraps it."""
        inner = inspect.unwrap(function)
        code = inner.__code__
        file = code.co_filename
        if file not in self._functions:
            self._functions[file] = _functions_in(file, inner)
        tree = self._functions[file].get((code.co_name, code.co_firstlineno))
        if tree is None:
            raise UserError(
                f"The source of step '{function.__name__}' could not be found ({file}:{code.co_firstlineno}). The graph is read from the "
                "source, so the flow must be in a file or a notebook cell which has not changed since it was loaded."
            )
        return tree


def _functions_in(file: str, function: FunctionType) -> dict[tuple[str, int], ast.FunctionDef]:
    """All functions of a file, by name and first line (of the first decorator, as code objects count). Empty without a source."""
    lines = linecache.getlines(file, function.__globals__)
    try:
        module = ast.parse("".join(lines), file)
    except SyntaxError:
        return {}  # the file was changed since it was loaded
    return {
        (tree.name, min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])): tree
        for tree in _definitions(module)
        if isinstance(tree, ast.FunctionDef)
    }


def _definitions(tree: ast.AST) -> Iterator[ast.stmt]:
    """The statements below `tree`, expressions left aside: these are most of a file."""
    for block in ("body", "orelse", "finalbody", "handlers"):
        for statement in getattr(tree, block, ()):
            if isinstance(statement, ast.AST):
                yield statement  # type: ignore[misc] - handlers are no statements, and hold some
                yield from _definitions(statement)
