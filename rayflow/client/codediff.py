"""Which functions of two code packages differ, by name: comments, blank lines and formatting do not count, docstrings do.

A function is `file.py:name`, a method `file.py:Class.name`; what is outside all of them (imports, constants, attributes of classes) counts
as `file.py`, and so does a file that is no Python, or none that this Python can read. Nothing is imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff

_Functions = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class CodePart:
    """A function, or what is outside all of them: its text as it was written, and `meaning`, the same where only the form differs."""

    text: str
    meaning: str


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A part that is "changed", "added" or "removed". `diff` is the unified diff of its text."""

    name: str
    change: str
    diff: str


def code_changes(a: Mapping[str, bytes], b: Mapping[str, bytes], labels: tuple[str, str]) -> list[CodeChange]:
    """What differs between two packages, given as contents by file name; in the order of files and, within one, of their parts."""
    changes: list[CodeChange] = []
    for file in sorted({*a, *b}):
        if a.get(file) == b.get(file):
            continue
        before, after = (_parts(file, files[file]) if file in files else {} for files in (a, b))
        for name in [*before, *(name for name in after if name not in before)]:
            left, right = before.get(name), after.get(name)
            if left is not None and right is not None and left.meaning == right.meaning:
                continue
            change = "added" if left is None else "removed" if right is None else "changed"
            changes.append(CodeChange(name, change, _diff(name, left, right, labels)))
    return changes


def _parts(file: str, content: bytes) -> dict[str, CodePart]:
    try:
        text = content.decode("utf-8")
        if not file.endswith(".py"):
            return {file: CodePart(text, text)}
        tree = ast.parse(text)
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return {file: CodePart("", repr(content))}
    lines = text.split("\n")
    functions = dict(_functions(tree, f"{file}:", lines))
    return {**functions, file: CodePart(_rest(tree, lines), ast.unparse(_Hollow().visit(tree)))}


def _functions(scope: ast.Module | ast.ClassDef, prefix: str, lines: list[str]) -> Iterator[tuple[str, CodePart]]:
    for node in scope.body:
        if isinstance(node, _Functions):
            first, last = _extent(node)
            yield f"{prefix}{node.name}", CodePart("\n".join(lines[first:last]), ast.unparse(node))
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.", lines)


def _extent(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """Its lines, decorators included: [first, last), from 0."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first - 1, node.end_lineno or node.lineno


class _Hollow(ast.NodeTransformer):
    """Takes the functions out of modules and classes."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if isinstance(node, (ast.Module, ast.ClassDef)):  # how many functions there were is told by their names
            node.body = [each for each in node.body if not isinstance(each, ast.Pass)] or [ast.Pass()]
        return node


def _rest(tree: ast.Module, lines: list[str]) -> str:
    """The text outside all functions."""
    taken: set[int] = set()
    for scope in (node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef))):
        for node in scope.body:
            if isinstance(node, _Functions):
                taken.update(range(*_extent(node)))
    return "\n".join(line for number, line in enumerate(lines) if number not in taken)


def _diff(name: str, a: CodePart | None, b: CodePart | None, labels: tuple[str, str]) -> str:
    before, after = (part.text.split("\n") if part is not None and part.text else list[str]() for part in (a, b))
    return "\n".join(unified_diff(before, after, f"{labels[0]}/{name}", f"{labels[1]}/{name}", lineterm=""))
