"""Expressions over configs that stand in decorators and Parameters, and are evaluated once the configs are known."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rayflow.model.errors import RayflowException, UserError

_UNPACKED = "__rayflow_unpacked_"
_numbers = itertools.count()

Evaluate = Callable[[Mapping[str, Any]], Any]


class Deferred:
    """An expression over the configs of a flow. Attributes, items and calls of it are expressions again; `**` of it, in a decorator,
    gives a mapping's items as keywords."""

    __slots__ = ("_evaluate", "_text")

    def __init__(self, text: str, evaluate: Evaluate) -> None:
        self._text = text
        self._evaluate = evaluate

    def __getattr__(self, name: str) -> Deferred:
        if name.startswith("__"):
            raise AttributeError(name)
        return Deferred(f"{self._text}.{name}", lambda configs: getattr(self._evaluate(configs), name))

    def __getitem__(self, key: Any) -> Deferred:
        if isinstance(key, str) and key.startswith(_UNPACKED):
            return self
        return Deferred(f"{self._text}[{key!r}]", lambda configs: self._evaluate(configs)[evaluated(key, configs)])

    def __call__(self, *arguments: Any, **keywords: Any) -> Deferred:
        def call(configs: Mapping[str, Any]) -> Any:
            return self._evaluate(configs)(*evaluated(arguments, configs), **evaluated(keywords, configs))

        return Deferred(f"{self._text}(...)", call)

    def keys(self) -> list[str]:
        """One key that stands for all: see `evaluated`."""
        return [f"{_UNPACKED}{next(_numbers)}"]

    def __iter__(self) -> Iterator[Any]:
        raise UserError(f"{self._text} is known once the run's configs are: it cannot be iterated over in the class body.")

    def __bool__(self) -> bool:
        raise UserError(f"{self._text} is known once the run's configs are: it cannot decide anything in the class body.")

    def __repr__(self) -> str:
        return f"<{self._text}, known once the run's configs are>"


def config_expr(expression: str) -> Deferred:
    """Any Python expression over the names of the flow's configs, and what the module defines: `config_expr("cfg.depth + 1")`.

    Evaluated when the flow is run or checked; `UserError` where it cannot be.
    """
    names = sys._getframe(1).f_globals  # pyright: ignore[reportPrivateUsage]

    def evaluate(configs: Mapping[str, Any]) -> Any:
        try:
            return eval(expression, {**names, **configs})
        except Exception as error:
            raise UserError(f"config_expr({expression!r}) could not be evaluated: {type(error).__name__}: {error}") from error

    return Deferred(expression, evaluate)


def is_unpacked(keyword: str) -> bool:
    """Whether a keyword stands for the items of a mapping that is not known yet."""
    return keyword.startswith(_UNPACKED)


def evaluated(value: Any, configs: Mapping[str, Any]) -> Any:
    """The value, every expression in it evaluated: in lists, tuples and dicts too, where `**` of one gives its items."""
    if not has_deferred(value):
        return value
    if isinstance(value, Deferred):
        return _value_of(value, configs)
    if isinstance(value, dict):
        found: dict[Any, Any] = {}
        for key, part in value.items():
            if isinstance(key, str) and is_unpacked(key):
                found.update(_mapping_of(part, configs))
            else:
                found[key] = evaluated(part, configs)
        return found
    return type(value)(evaluated(part, configs) for part in value)


def has_deferred(value: Any) -> bool:
    """Whether there is an expression in the value, where `evaluated` looks."""
    if isinstance(value, Deferred):
        return True
    parts = value.values() if isinstance(value, dict) else value if type(value) in (list, tuple) else ()
    return any(map(has_deferred, parts))


def _value_of(deferred: Deferred, configs: Mapping[str, Any]) -> Any:
    try:
        return deferred._evaluate(configs)  # pyright: ignore[reportPrivateUsage]
    except RayflowException:
        raise
    except Exception as error:
        text = deferred._text  # pyright: ignore[reportPrivateUsage]
        raise UserError(f"{text} could not be evaluated: {type(error).__name__}: {error}") from error


def _mapping_of(deferred: Deferred, configs: Mapping[str, Any]) -> Mapping[str, Any]:
    value = _value_of(deferred, configs)
    if not isinstance(value, Mapping):
        raise UserError(f"** stands before {deferred!r}, which is no mapping but a {type(value).__name__}.")
    return value
