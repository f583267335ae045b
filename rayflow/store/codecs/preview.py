"""The short text that listings show in place of a value: noted at write time, at most 80 characters, cheap for any size.

Nothing of the user's is called (no `__repr__`), at most a few items are looked at, and what a terminal could take for a command is
escaped.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

MAX_PREVIEW = 80
_MAX_ITEMS = 6
_PLAIN = (int, float, bool, str, bytes, type(None))


def type_name(kind: type) -> str:
    """Qualified name; builtins go without their module."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def preview_of(value: Any) -> str:
    """At most 80 printable characters that describe `value`."""
    kind = type(value)
    if kind in _PLAIN:
        text = _scalar(value)
    elif kind in (list, tuple, set, frozenset):
        text = _items(value)
    elif kind is dict:
        text = _mapping(value)
    elif kind is range:
        text = f"range({_scalar(value.start)}, {_scalar(value.stop)}" + (f", {_scalar(value.step)})" if value.step != 1 else ")")
    else:
        text = _by_shape(value, kind)
    return _printable(text)


def _printable(text: str) -> str:
    if len(text) > MAX_PREVIEW:
        text = text[: MAX_PREVIEW - 1] + "…"
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _scalar(value: Any) -> str:
    if type(value) is int and value.bit_length() > 200:
        return f"int of {value.bit_length()} bits"
    if isinstance(value, (str, bytes)) and len(value) > 60:
        return f"{value[:60]!r}… ({len(value)})"
    return repr(value)


def _short(value: Any) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return _scalar(value if not isinstance(value, (str, bytes)) or len(value) <= 20 else value[:20])
    if kind in (list, tuple, set, frozenset, dict):
        return f"{kind.__name__}({len(value)})"
    return kind.__name__


def _items(value: Any) -> str:
    shown = ", ".join(_short(item) for item in islice(value, _MAX_ITEMS))
    more = f", … {len(value)} in all" if len(value) > _MAX_ITEMS else ""
    opening, closing = {"list": "[]", "tuple": "()"}.get(type(value).__name__, "{}")
    return f"{opening}{shown}{more}{closing}"


def _mapping(value: dict[Any, Any]) -> str:
    shown = ", ".join(f"{_short(key)}: {_short(item)}" for key, item in islice(value.items(), _MAX_ITEMS))
    more = f", … {len(value)} in all" if len(value) > _MAX_ITEMS else ""
    return f"{{{shown}{more}}}"


def _by_shape(value: Any, kind: type) -> str:
    library, name = kind.__module__.partition(".")[0], kind.__name__
    if library == "numpy" and name == "ndarray":
        return f"{value.dtype} array, shape {value.shape}"
    if library == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        return f"{name}({_short(value.item())})"
    if library in ("pandas", "polars", "pyarrow") and name in ("DataFrame", "Table", "RecordBatch"):
        labels = value.schema.names if library == "pyarrow" else value.columns
        rows = value.num_rows if library == "pyarrow" else len(value)
        return f"{rows:,} rows x {len(labels)} columns: " + ", ".join(_short(label) for label in islice(labels, 8))
    if library in ("pandas", "polars", "pyarrow") and hasattr(value, "__len__"):
        return f"{len(value):,} values, {getattr(value, 'dtype', None) or getattr(value, 'type', name)}"
    return f"<{type_name(kind)}>"
