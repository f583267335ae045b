"""Which part of a value cannot be pickled: the search behind `ArtifactUnserializable`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rayflow.model.errors import UserError
from rayflow.store.codecs import pickles
from rayflow.store.codecs.preview import type_name

_MAX_DEPTH = 8
_MAX_CHILDREN = 200

_KINDS = {
    "generator": "Store what it yields instead, say list(...).",
    "coroutine": "Await it, and store its result.",
    "lock": "Keep locks in local variables, or drop them in __getstate__.",
    "RLock": "Keep locks in local variables, or drop them in __getstate__.",
    "TextIOWrapper": "Store the path or the text instead of the open file.",
    "BufferedReader": "Store the path or the bytes instead of the open file.",
    "BufferedWriter": "Store the path instead of the open file.",
    "socket": "Keep connections in local variables.",
    "Connection": "Keep connections in local variables.",
    "module": "Import the module in the step instead of storing it.",
    "LazyFrame": "Store what .collect() returns.",
}
_ADVICE = "Keep it in a local variable, delete it before the step ends, or convert it to plain data."


def accuse(value: object, name: str, by_value_modules: frozenset[str], error: Exception) -> str:
    """A sentence that names the artifact, its type, the attribute path at fault and the way out."""
    artifact = f"Artifact {name!r}" if name else "The value"
    if isinstance(error, UserError):  # what refuses to be stored, a flow object, says itself what to do
        return f"{artifact} ({type_name(type(value))}) cannot be stored: {error.message}"
    path, culprit, reason = _search(value, by_value_modules, error)
    kind = type(culprit).__name__
    advice = _KINDS.get(kind, _ADVICE)
    if isinstance(reason, RecursionError):
        return f"{artifact} ({type_name(type(value))}) cannot be stored: it is nested too deeply. Store it as a flat list or table."
    what = f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {type_name(type(culprit))}"
    where = f"its part {path} is {what}" if path else f"it is {what}"
    return f"{artifact} ({type_name(type(value))}) cannot be stored: {where} ({type(reason).__name__}: {str(reason)[:200]}). {advice}"


def _search(value: object, by_value_modules: frozenset[str], error: Exception) -> tuple[str, object, Exception]:
    """Follows the first part that fails, then its first part that fails, and so on."""
    path = ""
    seen = {id(value)}
    for _ in range(_MAX_DEPTH):
        for step, child in islice(_parts(value), _MAX_CHILDREN):
            reason = None if id(child) in seen else _failure(child, by_value_modules)
            if reason is not None:
                path, value, error = path + step, child, reason
                seen.add(id(child))
                break
        else:
            break
    return path, value, error


def _failure(value: object, by_value_modules: frozenset[str]) -> Exception | None:
    try:
        pickles.dumps(value, by_value_modules, [])
    except Exception as error:  # noqa: BLE001 - the user's __reduce__ raises what it likes
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[{str(key)[:40]!r}]" if isinstance(key, str) else f"[{type(key).__name__} key]", item
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield f"[{position}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield "{...}", item
    for name, item in getattr(value, "__dict__", {}).items():
        yield f".{name}", item
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)
    closure = getattr(value, "__closure__", None) or ()
    code = getattr(value, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), closure, strict=False):
        yield f".<closure>.{name}", cell.cell_contents
