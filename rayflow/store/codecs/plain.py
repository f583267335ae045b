"""Values that JSON, text or raw bytes hold exactly.

JSON is used only where reading it back gives an equal value of the same types all the way down: dicts with text keys, lists,
int, finite float, bool, None and text that UTF-8 can hold. Tuples, sets, other keys, NaN, infinities, lone surrogates, integers
beyond Python's limit for digits, subclasses and values that occur twice inside the container (which would lose their identity)
are left to pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_SCALARS = frozenset({int, float, bool, str, type(None)})
_MAX_DEPTH = 60
_MAX_CONTAINERS = 50_000
"""Beyond it the check in Python costs more than it is worth; pickle takes over."""

_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False).encode
"""Made once: json.dumps would make an encoder per call. Circles are found by `_is_exact`."""

Found = tuple[str, str, bytes]
"""Codec, extension, bytes."""


def _is_exact(value: object, seen: set[int], depth: int) -> bool:
    """Whether a list or dict holds nothing but what JSON gives back. `seen` are the ids of the containers met so far."""
    if id(value) in seen or depth > _MAX_DEPTH or len(seen) > _MAX_CONTAINERS:
        return False
    seen.add(id(value))
    if type(value) is list:
        items = value
    elif type(value) is dict:
        if not frozenset(map(type, value)) <= {str}:
            return False
        items = value.values()
    else:
        return False
    if frozenset(map(type, items)) <= _SCALARS:
        return True
    return all(type(item) in _SCALARS or _is_exact(item, seen, depth + 1) for item in items)


def _json(value: object) -> Found | None:
    try:
        return "json", ".json", _to_json(value).encode()
    except ValueError:  # not finite, a lone surrogate, too many digits
        return None


def _json_container(value: object) -> Found | None:
    return _json(value) if _is_exact(value, set(), 0) else None


def _text(value: str) -> Found | None:
    try:
        return "text", ".txt", value.encode()
    except UnicodeEncodeError:
        return None


def _bytes(value: bytes) -> Found:
    return "bytes", ".bin", value


def _range(value: range) -> Found | None:
    found = _json([value.start, value.stop, value.step])
    return ("range", ".json", found[2]) if found else None


def _load_json(buffer: memoryview) -> Any:
    return json.loads(bytes(buffer).decode())


def _load_range(buffer: memoryview) -> range:
    start, stop, step = _load_json(buffer)
    return range(start, stop, step)


def _load_text(buffer: memoryview) -> str:
    return str(buffer, "utf-8")


ENCODERS: dict[type, Callable[[Any], Found | None]] = {
    **dict.fromkeys((int, float, bool, type(None)), _json),
    list: _json_container,
    dict: _json_container,
    str: _text,
    bytes: _bytes,
    range: _range,
}
DECODERS: dict[str, Callable[[memoryview], Any]] = {"json": _load_json, "text": _load_text, "bytes": bytes, "range": _load_range}
