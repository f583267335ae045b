"""The `self.next(...)` that ends a step, as its source says it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NextCall:
    """What the call says. `malformed` is what cannot be understood, empty where nothing; then the rest is empty too."""

    line: int
    targets: tuple[str, ...] = ()
    foreach: str | None = None
    num_parallel: bool = False
    condition: str | None = None
    cases: tuple[tuple[Any, str], ...] = ()
    malformed: str = ""


class _MalformedError(Exception):
    """The call is of no known form; the message completes "...: "."""


def next_call(function: ast.FunctionDef) -> NextCall | None:
    """The last statement of the step, where that is a bare `self.next(...)`; None where it is anything else."""
    last = function.body[-1]
    if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.Call) or _attribute_of_self(last.value.func) != "next":
        return None
    try:
        return _understood(last.value)
    except _MalformedError as complaint:
        return NextCall(last.lineno, malformed=str(complaint))


def _understood(call: ast.Call) -> NextCall:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if len(call.keywords) > 1:
        raise _MalformedError("it has more than one keyword argument")
    if not call.args:
        raise _MalformedError("it names no step")
    if "condition" in keywords:
        return _switch(call, keywords["condition"])
    targets = tuple(_target(argument) for argument in call.args)
    if not keywords:
        return NextCall(call.lineno, targets)
    if len(targets) != 1:
        raise _MalformedError("a fan-out goes to exactly one step")
    if "foreach" in keywords:
        return NextCall(call.lineno, targets, foreach=_text(keywords["foreach"], "foreach"))
    if "num_parallel" in keywords:
        return NextCall(call.lineno, targets, num_parallel=True)
    raise _MalformedError(f"the keyword argument '{next(iter(keywords)) or '**'}' is unknown")


def _switch(call: ast.Call, condition: ast.expr) -> NextCall:
    if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
        raise _MalformedError("a condition takes one dictionary, written out in the call")
    written = call.args[0]
    cases = tuple((_case(key), _target(value)) for key, value in zip(written.keys, written.values, strict=True))
    targets = tuple(dict.fromkeys(target for _, target in cases))
    return NextCall(call.lineno, targets, condition=_text(condition, "condition"), cases=cases)


def _case(key: ast.expr | None) -> Any:
    """The value of a literal; of `self.<config>.<key>` the text "config.key"."""
    if key is None:
        raise _MalformedError("the dictionary of a condition is written out, without '**'")
    try:
        return ast.literal_eval(key)
    except ValueError:
        pass
    if isinstance(key, (ast.Attribute, ast.Subscript)) and _attribute_of_self(key.value) is not None:
        return ast.unparse(key).removeprefix("self.")
    raise _MalformedError(f"the case {ast.unparse(key)} is neither a literal nor self.<config>.<key>")


def _target(argument: ast.expr) -> str:
    name = _attribute_of_self(argument)
    if name is None:
        raise _MalformedError(f"{ast.unparse(argument)} is not of the form self.<step>")
    return name


def _text(value: ast.expr, keyword: str) -> str:
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        raise _MalformedError(f"{keyword}={ast.unparse(value)} is not a literal string, the name of an artifact")
    return value.value


def _attribute_of_self(expression: ast.expr) -> str | None:
    """`x` of `self.x`; None for every other expression."""
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name) and expression.value.id == "self":
        return expression.attr
    return None
