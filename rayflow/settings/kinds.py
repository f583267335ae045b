"""What a setting can be: how a text (of the environment) or what JSON holds becomes its value."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_YES = ("1", "true", "yes", "on", "y", "t")
_NO = ("", "0", "false", "no", "off", "n", "f")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """`wanted` completes the sentence "Give ...". `value` makes the value of what was stated, and of a base, which relative paths are
    relative to; ValueError and TypeError say that it is none."""

    wanted: str
    value: Callable[[object, str], T]


def text(wanted: str) -> Kind[str]:
    """Any text. Numbers are texts too: an account of digits is one."""
    return Kind(wanted, lambda raw, base: _text(raw))


def place(wanted: str, words: tuple[str, ...] = ()) -> Kind[str]:
    """A path, made absolute, or a URL; or one of `words`, which are neither."""

    def value(raw: object, base: str) -> str:
        path = _text(raw)
        if "://" in path or path.lower() in words:
            return path
        return os.path.normpath(os.path.join(base, os.path.expanduser(path)))

    return Kind(wanted, value)


def choice(choices: tuple[str, ...]) -> Kind[str]:
    """One of some words, in any case."""

    def value(raw: object, base: str) -> str:
        word = _text(raw).lower()
        if word not in choices:
            raise ValueError(word)
        return word

    return Kind(" or ".join(", ".join(choices).rsplit(", ", 1)), value)


def whole(least: int, wanted: str) -> Kind[int]:
    """A whole number that is not below `least`."""

    def value(raw: object, base: str) -> int:
        number = int(raw.strip()) if isinstance(raw, str) else raw
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ValueError(raw)
        return number

    return Kind(wanted, value)


def amount(wanted: str) -> Kind[float]:
    """A finite number that is not negative."""

    def value(raw: object, base: str) -> float:
        number = float(raw) if isinstance(raw, (str, int, float)) and not isinstance(raw, bool) else -1.0
        if not 0 <= number < float("inf"):
            raise ValueError(raw)
        return number

    return Kind(wanted, value)


def words(wanted: str) -> Kind[tuple[str, ...]]:
    """A list of texts: as JSON, or words with spaces between them."""

    def value(raw: object, base: str) -> tuple[str, ...]:
        if isinstance(raw, str):
            raw = json.loads(raw) if raw.lstrip().startswith("[") else raw.split()
        if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
            raise ValueError(raw)
        return tuple(raw)

    return Kind(wanted, value)


def entries(wanted: str) -> Kind[dict[str, Any]]:
    """A JSON object."""

    def value(raw: object, base: str) -> dict[str, Any]:
        if isinstance(raw, str):
            raw = json.loads(raw)
        if not isinstance(raw, dict):
            raise TypeError(raw)
        return raw

    return Kind(wanted, value)


def node_kinds(wanted: str) -> Kind[tuple[tuple[Mapping[str, float], int], ...]]:
    """A JSON array of objects: amounts by the name of a resource, and `most`, a whole number."""

    def value(raw: object, base: str) -> tuple[tuple[Mapping[str, float], int], ...]:
        found = json.loads(raw) if isinstance(raw, str) else raw
        if not isinstance(found, list):
            raise TypeError(raw)
        return tuple(_node_kind(each) for each in found)

    return Kind(wanted, value)


def _node_kind(raw: object) -> tuple[Mapping[str, float], int]:
    if not isinstance(raw, dict) or not isinstance(raw.get("most"), int):
        raise TypeError(raw)
    amounts = {name: float(each) for name, each in raw.items() if name != "most"}
    if raw["most"] < 0 or not all(0 <= each < float("inf") for each in amounts.values()):
        raise ValueError(raw)
    return amounts, raw["most"]


def _flag(raw: object, base: str) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower() if isinstance(raw, (str, int)) else "?"
    if word not in _YES + _NO:
        raise ValueError(raw)
    return word in _YES


FLAG: Kind[bool] = Kind("true or false", _flag)
"""Yes or no. Empty is no."""


def _text(raw: object) -> str:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise TypeError(raw)
    return str(raw)
