"""What a setting can be. Each kind makes its value of a text (of the environment) or of what JSON holds; ValueError and TypeError:
it is none."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)

_YES = ("1", "true", "yes", "on", "y", "t")
_NO = ("", "0", "false", "no", "off", "n", "f")


class Kind(Protocol[T_co]):
    """`wanted` completes the sentence "Give ..."."""

    @property
    def wanted(self) -> str: ...

    def value(self, raw: object, base: str) -> T_co:
        """The value of what was stated. Relative paths are relative to `base`."""
        ...


@dataclass(frozen=True)
class Text:
    """Any text."""

    wanted: str = "a text"

    def value(self, raw: object, base: str) -> str:
        return _text(raw)


@dataclass(frozen=True)
class Place:
    """A path, made absolute, or a URL; or one of `words`, which are neither."""

    wanted: str = "a path"
    words: tuple[str, ...] = ()

    def value(self, raw: object, base: str) -> str:
        text = _text(raw)
        if "://" in text or text.lower() in self.words:
            return text
        return os.path.normpath(os.path.join(base, os.path.expanduser(text)))


@dataclass(frozen=True)
class Choice:
    """One of some words, in any case."""

    choices: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """`a, b or c`."""
        return " or ".join(", ".join(self.choices).rsplit(", ", 1))

    def value(self, raw: object, base: str) -> str:
        text = _text(raw).lower()
        if text not in self.choices:
            raise ValueError(text)
        return text


@dataclass(frozen=True)
class Whole:
    """A whole number that is not below `least`."""

    least: int
    wanted: str

    def value(self, raw: object, base: str) -> int:
        number = int(raw.strip()) if isinstance(raw, str) else raw
        if not isinstance(number, int) or isinstance(number, bool) or number < self.least:
            raise ValueError(raw)
        return number


@dataclass(frozen=True)
class Amount:
    """A finite number that is not negative."""

    wanted: str

    def value(self, raw: object, base: str) -> float:
        number = float(raw) if isinstance(raw, (str, int, float)) and not isinstance(raw, bool) else -1.0
        if not 0 <= number < float("inf"):
            raise ValueError(raw)
        return number


@dataclass(frozen=True)
class Flag:
    """Yes or no. Empty is no."""

    wanted: str = "true or false"

    def value(self, raw: object, base: str) -> bool:
        if isinstance(raw, bool):
            return raw
        text = str(raw).strip().lower() if isinstance(raw, (str, int)) else "?"
        if text not in _YES + _NO:
            raise ValueError(raw)
        return text in _YES


@dataclass(frozen=True)
class Words:
    """A list of texts: as JSON, or words with spaces between them."""

    wanted: str

    def value(self, raw: object, base: str) -> tuple[str, ...]:
        if isinstance(raw, str):
            raw = json.loads(raw) if raw.lstrip().startswith("[") else raw.split()
        if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
            raise ValueError(raw)
        return tuple(raw)


@dataclass(frozen=True)
class Entries:
    """A JSON object."""

    wanted: str

    def value(self, raw: object, base: str) -> dict[str, Any]:
        if isinstance(raw, str):
            raw = json.loads(raw)
        if not isinstance(raw, dict):
            raise TypeError(raw)
        return raw


def _text(raw: object) -> str:
    """Numbers may be texts: an account of digits is one. TypeError for what is neither."""
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise TypeError(raw)
    return str(raw)
