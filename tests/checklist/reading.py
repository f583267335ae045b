"""What the rows say, compared with the tests that there are; and the page that is made of both."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from tests.checklist import using, writing
from tests.checklist.row import Row

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs"
PAGE = DOCS / "checklist.md"
EXECUTORS = ("inline", "process", "ray")
PARTS = {
    "The graph of a flow": writing.GRAPH,
    "Artifacts, Parameters, Configs": writing.DATA,
    "Decorators and `current`": writing.AROUND_STEPS,
    "The command line": using.COMMANDS,
    "The client, and running from programs": using.CLIENT,
    "Storage, code, failures": using.BELOW,
}
"""Heading -> rows."""
_HEAD = """# Feature by feature

What users of Metaflow's API expect, the page that explains it, and the tests that show it, below `tests/`. Where executors are named, a
flow is played on each of them; elsewhere it does not matter who performs the tasks. The page is made of `tests/checklist`, and a test fails
if a feature there is shown by none.
"""


def rows() -> list[Row]:
    return [row for part in PARTS.values() for row in part]


@functools.cache
def source(file: str) -> list[ast.stmt]:
    """What a file below tests/ says at its top level; nothing where it does not exist."""
    path = TESTS / file
    return ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []


def found(test: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function of a test by its id below tests/."""
    file, _, name = test.partition("::")
    return next((node for node in source(file) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name), None)


def executors(test: str) -> tuple[str, ...]:
    """The executors that a test plays its flow on; none for a test that does not `play`."""
    function = found(test)
    if function is None or "play" not in {argument.arg for argument in function.args.args}:
        return ()
    excluded = {ast.unparse(mark.args[0]) for mark in _marks(test.partition("::")[0], function.decorator_list)}
    return tuple(name for name in EXECUTORS if repr(name) not in excluded)


def _marks(file: str, decorators: list[ast.expr]) -> Iterator[ast.Call]:
    """`@cannot("inline", "...")`, also where it has got a name at the top of the file."""
    named = {ast.unparse(node.targets[0]): node.value for node in source(file) if isinstance(node, ast.Assign)}
    for each in decorators:
        mark = named.get(ast.unparse(each), each)
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "cannot":
            yield mark


def problems(row: Row) -> Iterator[str]:
    """What a row lacks, in words."""
    if row.absent:
        if row.tests:
            yield f"{row.feature}: it has tests, and a reason why it is not there"
        return
    if not row.tests:
        yield f"{row.feature}: no test shows it"
    for test in row.tests:
        if found(test) is None:
            yield f"{row.feature}: there is no test {test}"
    if not (row.beside or played_on(row)):
        yield f"{row.feature}: no flow is played, and it is not said why"
    if row.beside and played_on(row):
        yield f"{row.feature}: a flow is played, and a reason is given why none is"


def played_on(row: Row) -> tuple[str, ...]:
    """The executors that some test of a row plays its flow on."""
    return tuple(name for name in EXECUTORS if any(name in executors(test) for test in row.tests))


def text() -> str:
    """The page, as it has to be."""
    lines = (line for heading, part in PARTS.items() for line in _part(heading, part))
    return "\n".join([_HEAD, *lines]).rstrip("\n") + "\n"


def _part(heading: str, part: tuple[Row, ...]) -> Iterator[str]:
    yield from (f"## {heading}", "", "| feature | played on | shown by |", "|---|---|---|")
    for row in part:
        yield f"| {_linked(row)} | {', '.join(played_on(row))} | {row.absent or '<br>'.join(_sentence(test) for test in row.tests)} |"
    yield ""


def _linked(row: Row) -> str:
    """The feature, by the names that it has here, with the page that explains it."""
    return f"[{row.feature.replace('METAFLOW_', 'RAYFLOW_').replace('MetaflowCode', 'RayflowCode')}]({row.page})"


def _sentence(test: str) -> str:
    file, _, name = test.partition("::")
    return f"{name.removeprefix('test_').replace('_', ' ')} (`{file}`)"


def write() -> None:
    """Makes the page anew."""
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(text(), encoding="utf-8")
    os.replace(temporary, PAGE)
