"""Changing a file of settings: what a reader finds is the file before, or the file after."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from rayflow.model.errors import UsageError
from rayflow.settings.reading import entries_of
from rayflow.settings.table import PREFIX, Setting, bare_name


def written(path: str) -> dict[str, Any]:
    """What is written in the file; nothing where there is none. UsageError where it cannot be read."""
    return dict(entries_of(path, os.urandom(8))) if os.path.exists(path) else {}


def state(path: str, values: Mapping[Setting[Any], object]) -> None:
    """Writes the settings into the file, which is made where there is none; what else is written there stays."""
    names = {setting.name for setting in values}
    kept = {name: value for name, value in written(path).items() if bare_name(name) not in names}
    _write(path, {**kept, **{setting.variable: value for setting, value in values.items()}})


def drop(path: str, names: Iterable[str]) -> list[str]:
    """Takes the names out of the file, with or without prefix; returns those that were there."""
    bare = {bare_name(name) for name in names}
    entries = written(path)
    gone = [name for name in entries if bare_name(name) in bare]
    if gone:
        _write(path, {name: value for name, value in entries.items() if name not in gone})
    return sorted(PREFIX + bare_name(name) for name in gone)


def remove(path: str) -> None:
    """Removes the file. UsageError where that is not allowed."""
    try:
        os.unlink(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be removed: {error.strerror}.") from error


def as_json(setting: Setting[Any], text: str, cwd: str) -> object:
    """The value as it is written into a file. UsageError for a text that cannot be one. Relative paths are those of `cwd`."""
    try:
        value: object = setting.kind.value(text, cwd)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{setting.name} cannot be {text!r}. Give {setting.kind.wanted}.") from error
    if isinstance(value, tuple):
        return list(value)  # pyright: ignore[reportUnknownVariableType] - of texts
    return text if text.startswith("~") else value  # of whoever reads it


def _write(path: str, entries: Mapping[str, object]) -> None:
    """For its owner's eyes: there may be secrets in it. A link stays one."""
    path = os.path.realpath(path)
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(entries, indent=2, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise UsageError(f"The settings in {path} cannot be written: {error.strerror}.") from error
