"""Options as keyword arguments: what a program may give a flow's command, checked before anything starts.

`train.py run --alpha 0.5 --tag best` is `run(alpha=0.5, tags=["best"])`: names have underscores, `--with` is `decospecs`, `--namespace` is
`user_namespace`, and values are Python's. Used where a program runs a flow, in its own process or in another.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rayflow.cli.suggest import nearest

RENAMED = {"tag": "tags", "with": "decospecs", "namespace": "user_namespace", "step": "step_to_rerun"}
"""Option -> keyword, where they differ."""

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str, os.PathLike), "a str"),
    "integer": ((numbers.Integral,), "an int"),
    "float": ((numbers.Real,), "a float"),
    "boolean": ((bool,), "a bool"),
    "json": ((str, dict, list, tuple, numbers.Real), "a dict, a list, or JSON as a str"),
    "path": ((str, os.PathLike), "a path"),
    "choice": ((str, numbers.Real), "one of its choices"),
}


@dataclass(frozen=True)
class Keyword:
    """One option of a command. `kind` is a key of the types above, or `any`; `choices` are texts.

    `flag` is how it is written (empty for an argument), `off_flag` what says the opposite of a flag. With `is_counted` the flag is
    repeated.
    """

    name: str
    kind: str
    flag: str = ""
    off_flag: str = ""
    choices: tuple[str, ...] = ()
    is_flag: bool = False
    is_counted: bool = False
    is_multiple: bool = False
    is_required: bool = False
    nargs: int = 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Keyword:
        """The inverse of `as_dict`, after a way through JSON."""
        known: dict[str, Any] = {field.name: described[field.name] for field in fields(cls) if field.name in described}
        known["choices"] = tuple(known.get("choices", ()))
        return cls(**known)

    def words(self, value: Any) -> list[str]:
        """The value as words of a command line. TypeError where it is of another type, ValueError where it is none of the choices."""
        if self.is_counted:
            return [self.flag] * int(self._checked(value))
        if self.is_flag:
            flag = self.flag if self._checked(value) else self.off_flag
            return [flag] if flag else []
        if not self.is_multiple:
            return self._once(value)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise TypeError(f"Invalid type for '{self.name}' ({type(value).__name__}): expected a list.")
        return [word for each in value for word in self._once(each)]  # pyright: ignore[reportUnknownVariableType] - of whoever calls

    def _once(self, value: Any) -> list[str]:
        if self.nargs == 1:
            text = self._text(value)
            return [f"{self.flag}={text}"] if self.flag else [text]
        if isinstance(value, str) or not isinstance(value, Sequence) or (self.nargs > 1 and len(value) != self.nargs):
            raise TypeError(f"Invalid type for '{self.name}' ({type(value).__name__}): expected {self.nargs} values.")
        return [*([self.flag] if self.flag else []), *map(self._text, value)]

    def _text(self, value: Any) -> str:
        value = self._checked(value)
        if isinstance(value, (dict, list)) or (self.kind == "json" and not isinstance(value, str)):
            return json.dumps(value)
        text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
        if self.choices and text.lower() not in [choice.lower() for choice in self.choices]:
            raise ValueError(f"Invalid value for '{self.name}': {text!r} is not one of {', '.join(map(repr, self.choices))}.")
        return text

    def _checked(self, value: Any) -> Any:
        types, wanted = _TYPES.get(self.kind, ((object,), ""))
        is_mere_flag = isinstance(value, bool) and self.kind in ("integer", "float", "choice")
        if is_mere_flag or not isinstance(value, types):
            raise TypeError(f"Invalid type for '{self.name}' ({type(value).__name__}): expected {wanted}.")
        return value


def command_words(keywords: Sequence[Keyword], given: Mapping[str, Any]) -> list[str]:
    """The arguments `given` as words; None stands for what is not given. Arguments without a flag come last.

    ValueError for an unknown name or a required one that is missing, TypeError for a value of another type.
    """
    known = {keyword.name: keyword for keyword in keywords}
    stated = {name: value for name, value in given.items() if value is not None}
    refuse_unknown(given, known)
    for keyword in keywords:
        if keyword.is_required and keyword.name not in stated:
            raise ValueError(f"Missing argument: {keyword.name} is required.")
    chosen = sorted((known[name] for name in stated), key=lambda keyword: not keyword.flag)
    return [word for keyword in chosen for word in keyword.words(stated[keyword.name])]


def config_words(given: Mapping[str, Any]) -> list[str]:
    """What `given` says of configs. A flow has to know that before it can tell which options it has."""
    options = [Keyword("config", "any", "--config", is_multiple=True, nargs=2)]
    options.append(Keyword("config_value", "any", "--config-value", is_multiple=True, nargs=2))
    return [word for option in options if given.get(option.name) is not None for word in option.words(given[option.name])]


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """ValueError naming the first of `given` that is not known, what it may have meant, and what there is."""
    names = list(known)
    for name in given:
        if name not in names:
            raise ValueError(f"Unknown argument: '{name}'.{nearest(name, names)} Possible args are: {', '.join(sorted(names))}.")
