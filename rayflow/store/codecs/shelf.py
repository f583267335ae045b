"""The serializers that this process knows: those that were declared, those of packages, and how it stands with each.

Packages are looked through when the first value is to be stored or loaded that rayflow's plain codecs do not hold: reading the entry points
of 160 packages takes 2 ms, and `importlib.metadata` 57 ms more, which is imported only if one of them names the group.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rayflow.settings.table import ENABLED_ARTIFACT_SERIALIZER
from rayflow.store.codecs import declared

GROUP = "rayflow.serializers"
FALLBACK_PRIORITY = 9999
"""Where rayflow's own codecs stand: a serializer behind it is never asked to serialize."""


class SerializerState(str, Enum):
    """How it stands with a serializer. `KNOWN` ones were not needed yet."""

    KNOWN = "known"
    ACTIVE = "active"
    PENDING_ON_IMPORTS = "pending_on_imports"
    BROKEN = "broken"
    DISABLED = "disabled"


@dataclass
class _Entry:
    name: str
    class_path: str
    source: str
    cls: Any = None
    load: Any = None
    is_loading: bool = False
    state: SerializerState = SerializerState.KNOWN
    awaiting: list[str] = field(default_factory=list[str])
    last_error: str | None = None
    errors: int = 0

    @property
    def is_packaged(self) -> bool:
        return self.load is not None


_lock = threading.RLock()
_entries: dict[str, _Entry] = {}
_state = {"was_looked_for": False}


def declare(cls: Any) -> None:
    """Makes a class known, in place of one of the same TYPE."""
    with _lock:
        old = _entries.get(cls.TYPE)
        if old is not None and old.is_packaged and (old.is_loading or old.class_path == _path_of(cls)):
            old.cls = cls
            return
        _entries.pop(cls.TYPE, None)
        _entries[cls.TYPE] = _Entry(cls.TYPE, _path_of(cls), _source_of(cls), cls)
        declared.types.add(cls.TYPE)


def in_order(*, is_plain: bool = False) -> list[Any]:
    """The serializers that can be used, in the order in which they are asked; those of packages not about plain values."""
    if not is_plain:
        _look_for_packages()
    with _lock:
        ready = [entry for entry in list(_entries.values()) if not (is_plain and entry.is_packaged) and _is_ready(entry)]
    numbered = sorted(enumerate(ready), key=lambda pair: (pair[1].cls.PRIORITY, -pair[0]))
    return [entry.cls for _, entry in numbered]


def source_of(cls: Any) -> str:
    """Who made the serializer: its package, or the file that declares it."""
    entry = _entries.get(cls.TYPE)
    return entry.source if entry is not None else _source_of(cls)


def note_error(cls: Any, error: Exception) -> None:
    """Remembers that the serializer failed when it was asked what it can do."""
    entry = _entries.get(cls.TYPE)
    if entry is not None:
        entry.errors += 1
        entry.last_error = f"dispatch: {type(error).__name__}: {error}"


@contextmanager
def emptied(*, looks_for_packages: bool = False) -> Generator[None]:
    """A block in which no serializer is known but those that it declares itself: for tests."""
    kept = dict(_entries), set(declared.types), dict(_state)
    _restore({}, set(), {"was_looked_for": not looks_for_packages})
    try:
        yield
    finally:
        _restore(*kept)


def _restore(entries: dict[str, _Entry], types: set[str], state: dict[str, bool]) -> None:
    with _lock:
        for known, wanted in ((_entries, entries), (_state, state)):
            known.clear()
            known.update(wanted)  # type: ignore[arg-type]
        declared.types.clear()
        declared.types.update(types)


def list_serializer_status() -> list[dict[str, Any]]:
    """What is known of each serializer: its `name`, `class_path`, `source`, `type`, `priority`, its `state` ("known" until something is to
    be stored, "active", "pending_on_imports", "broken", "disabled"), the `awaiting_modules`, the `last_error`, and how often asking it
    failed (`dispatch_error_count`)."""
    in_order()
    with _lock:
        return [
            {
                "name": entry.name,
                "class_path": entry.class_path,
                "state": entry.state.value,
                "awaiting_modules": list(entry.awaiting),
                "last_error": entry.last_error,
                "priority": getattr(entry.cls, "PRIORITY", None),
                "type": getattr(entry.cls, "TYPE", None),
                "dispatch_error_count": entry.errors,
                "source": entry.source,
            }
            for entry in _entries.values()
        ]


def _is_ready(entry: _Entry) -> bool:
    if entry.state is SerializerState.PENDING_ON_IMPORTS and all(name in sys.modules for name in entry.awaiting):
        entry.state = SerializerState.KNOWN
    if entry.state is SerializerState.KNOWN:
        _set_up(entry)
    return entry.state is SerializerState.ACTIVE


def _set_up(entry: _Entry) -> None:
    """Brings a serializer from `KNOWN` to where it can be used, or to where it says why not."""
    if entry.name in _switched_off():
        entry.state = SerializerState.DISABLED
        return
    try:
        _load(entry)
        from inspect import signature

        entry.cls.setup_imports(*([None] if signature(entry.cls.setup_imports).parameters else []))
    except ImportError as error:
        is_new = error.name is not None and error.name not in entry.awaiting
        entry.state = SerializerState.PENDING_ON_IMPORTS if is_new else SerializerState.BROKEN
        entry.awaiting = [*entry.awaiting, *([error.name] if is_new and error.name else [])]
        entry.last_error = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - the user's code; a serializer that does not start is left out, and says so
        entry.state, entry.last_error = SerializerState.BROKEN, f"{type(error).__name__}: {error}"
    else:
        entry.state, entry.last_error, entry.awaiting = SerializerState.ACTIVE, None, []


def _load(entry: _Entry) -> None:
    """Imports the class that an entry point names."""
    if entry.cls is None:
        entry.is_loading = True
        try:
            entry.cls = entry.load()
        finally:
            entry.is_loading = False
    kind = getattr(entry.cls, "TYPE", None)
    if kind != entry.name:
        raise TypeError(f"the entry point is called {entry.name!r}, and the TYPE of what it names is {kind!r}: they must be the same")


def _switched_off() -> set[str]:
    """`-arrow`, or as in Metaflow `["-arrow"]`, leaves out the serializer `arrow`."""
    from rayflow.settings import read_settings

    words = read_settings(os.environ, os.getcwd())[ENABLED_ARTIFACT_SERIALIZER] or ()
    return {word[1:] for each in words for word in re.split(r"""[\s,\[\]"']+""", each) if word.startswith("-")}


def _look_for_packages() -> None:
    if _state["was_looked_for"]:
        return
    with _lock:
        if _state["was_looked_for"]:
            return
        _state["was_looked_for"] = True
        if not any(_names_group(directory) for directory in _distributions()):
            return
        from importlib.metadata import entry_points

        packaged: dict[str, _Entry] = {}
        for point in entry_points(group=GROUP):
            source = point.dist.name if point.dist is not None else point.value.partition(".")[0]
            if point.name not in _entries:  # what the user declares goes before
                packaged[point.name] = _Entry(point.name, point.value.replace(":", "."), source, load=point.load)
        declared = dict(_entries)
        _entries.clear()
        _entries.update({**packaged, **declared})


def _distributions() -> Iterator[str]:
    for place in dict.fromkeys(sys.path):
        try:
            with os.scandir(place or ".") as entries:
                yield from (entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue


def _names_group(directory: str) -> bool:
    try:
        with open(os.path.join(directory, "entry_points.txt"), encoding="utf-8", errors="replace") as file:
            return GROUP in file.read()
    except OSError:
        return False


def _path_of(cls: Any) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _source_of(cls: Any) -> str:
    """The package, or for a single module the name of its file, which is the same whether it runs as a script or is imported by a task."""
    package, separator, _ = cls.__module__.partition(".")
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return package if separator or not file else os.path.basename(file)
