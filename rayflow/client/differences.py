"""How two values differ, in words that fit their type: numbers by how much, texts and containers by where, arrays and tables by shape and
by their largest difference.

What is compared is what Python calls equal, but for NaN, which equals itself, and for True and 1, which differ. Nothing heavy is imported
unless a value is made by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, cast

MOST_LINES = 20
_MOST_TEXT = 60
_TABLES = ("pandas", "polars", "pyarrow")


def differences(a: Any, b: Any, most: int = MOST_LINES) -> list[str]:
    """How `b` differs from `a`, a line each, at most `most` and one that says that there are more; none where they are equal."""
    found = list(islice(_differing("", a, b), most + 1))
    return [*found[:most], "..."] if len(found) > most else found


def _differing(place: str, a: Any, b: Any) -> Iterator[str]:
    if a is b:
        return
    compare = _comparison(a, b)
    if compare is not None:
        yield from compare(place, a, b)
    elif type(a) is not type(b):
        yield _said(place, f"{_kind(a)} {_short(a)} -> {_kind(b)} {_short(b)}")
    elif not _are_equal(a, b):
        yield _said(place, f"{_short(a)} -> {_short(b)}")


Compare = Callable[[str, Any, Any], Iterator[str]]


def _comparison(a: Any, b: Any) -> Compare | None:
    """How values of these two types are compared; None for those that are only asked whether they are equal."""
    if _is_number(a) and _is_number(b):
        return _of_numbers
    if type(a) is type(b):
        if isinstance(a, str):
            return _of_texts
        if isinstance(a, Mapping):
            return _of_mappings
        if isinstance(a, (list, tuple)):
            return _of_sequences
        if isinstance(a, Set):
            return _of_sets
    if _module(a) == _module(b) == "numpy" and hasattr(a, "dtype") and hasattr(b, "dtype"):
        return _of_arrays
    if _is_table(a) and _is_table(b):
        return _of_tables
    return None


def _module(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_table(value: Any) -> bool:
    return _module(value) in _TABLES and type(value).__name__ in ("DataFrame", "Table", "RecordBatch", "Series")


def _kind(value: Any) -> str:
    return type(value).__qualname__


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def _said(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text


def _are_equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001 - a class of the user's, whose comparison says nothing: then its bytes count
        return False


def _of_numbers(place: str, a: float, b: float) -> Iterator[str]:
    if a == b or (math.isnan(a) and math.isnan(b)):
        if type(a) is not type(b):
            yield _said(place, f"{_kind(a)} {a!r} -> {_kind(b)} {b!r}")
        return
    change = b - a
    share = f", {change / abs(a):+.3%}" if a and math.isfinite(a) and math.isfinite(b) else ""
    yield _said(place, f"{a!r} -> {b!r} ({change:+.6g}{share})")


def _of_texts(place: str, a: str, b: str) -> Iterator[str]:
    if a == b:
        return
    if len(a) <= _MOST_TEXT and len(b) <= _MOST_TEXT and "\n" not in a + b:
        yield _said(place, f"{a!r} -> {b!r}")
        return
    first = next((at for at, (left, right) in enumerate(zip(a, b, strict=False)) if left != right), min(len(a), len(b)))
    line = a.count("\n", 0, first) + 1
    sizes = f"{len(a):,} -> {len(b):,} characters" if len(a) != len(b) else f"{len(a):,} characters"
    parts = (repr(text[first : first + 20]) for text in (a, b))
    yield _said(place, f"{sizes}, first differing at {first:,} (line {line}): {' -> '.join(parts)}")


def _of_mappings(place: str, a: Mapping[Any, Any], b: Mapping[Any, Any]) -> Iterator[str]:
    for key in a:
        if key not in b:
            yield _said(f"{place}[{_short(key)}]", f"removed, was {_short(a[key])}")
        else:
            yield from _differing(f"{place}[{_short(key)}]", a[key], b[key])
    yield from (_said(f"{place}[{_short(key)}]", f"added: {_short(b[key])}") for key in b if key not in a)


def _of_sequences(place: str, a: Sequence[Any], b: Sequence[Any]) -> Iterator[str]:
    if len(a) != len(b):
        yield _said(place, f"{len(a):,} -> {len(b):,} items")
    for position, (left, right) in enumerate(zip(a, b, strict=False)):
        yield from _differing(f"{place}[{position}]", left, right)


def _of_sets(place: str, a: Set[Any], b: Set[Any]) -> Iterator[str]:
    for said, items in (("removed", a - b), ("added", b - a)):
        yield from (_said(place, f"{said} {_short(item)}") for item in sorted(items, key=repr))


# -- arrays and tables -------------------------------------------------------------------------------------------------


def _of_arrays(place: str, a: Any, b: Any) -> Iterator[str]:
    """Arrays and scalars of NumPy."""
    import numpy as np

    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype:
        yield _said(place, f"dtype {a.dtype} -> {b.dtype}")
    if a.shape != b.shape:
        yield _said(place, f"shape {a.shape} -> {b.shape}")
        return
    kinds = a.dtype.kind + b.dtype.kind
    are_numbers = all(kind in "biufc" for kind in kinds)
    same = np.asarray(a == b)
    if are_numbers:
        same |= np.isnan(a) & np.isnan(b)
    count = int(a.size - np.count_nonzero(same))
    if count:
        largest = ""
        if are_numbers:
            wide = np.promote_types(np.promote_types(a.dtype, b.dtype), np.float64)
            gaps = np.abs(a.astype(wide) - b.astype(wide))[~same]
            largest = f", by at most {float(np.nanmax(gaps)):.6g}" if not np.all(np.isnan(gaps)) else ", NaN in one only"
        yield _said(place, f"{count:,} of {a.size:,} elements differ{largest}")


def _of_tables(place: str, a: Any, b: Any) -> Iterator[str]:
    if _kind(a) != _kind(b) or _module(a) != _module(b):
        yield _said(place, f"{_module(a)}.{_kind(a)} -> {_module(b)}.{_kind(b)}")
    left, right = _as_arrow(a), _as_arrow(b)
    for name in left.column_names:
        if name not in right.column_names:
            yield _said(place, f"column {name!r} removed")
    for name in right.column_names:
        if name not in left.column_names:
            yield _said(place, f"column {name!r} added ({right.schema.field(name).type})")
    if left.num_rows != right.num_rows:
        yield _said(place, f"{left.num_rows:,} -> {right.num_rows:,} rows")
    both = [name for name in left.column_names if name in right.column_names]
    if both != [name for name in right.column_names if name in left.column_names]:
        yield _said(place, "the columns are in another order")
    for name in both:
        yield from _of_columns(_said(place, f"column {name!r}"), left.column(name), right.column(name))


def _as_arrow(table: Any) -> Any:
    import pyarrow as pa

    if _kind(table) == "Series":
        table = table.to_frame()
    if _module(table) == "pandas":
        return pa.Table.from_pandas(table)
    if _module(table) == "polars":
        return table.to_arrow()
    return table if _kind(table) == "Table" else pa.Table.from_batches([table])


def _of_columns(place: str, a: Any, b: Any) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if a.type != b.type:
        yield f"{place}: {a.type} -> {b.type}"
        return
    rows = min(len(a), len(b))
    a, b = a.slice(0, rows), b.slice(0, rows)
    if a.equals(b):
        return
    if pa.types.is_integer(a.type) or pa.types.is_floating(a.type):
        left, right = (cast(Any, pc.cast(column, pa.float64(), safe=False)).to_numpy() for column in (a, b))
        yield from _of_arrays(place, left, right) if not a.null_count and not b.null_count else _rows_differing(place, a, b)
    else:
        yield from _rows_differing(place, a, b)


def _rows_differing(place: str, a: Any, b: Any) -> Iterator[str]:
    count = sum(bool(differences(left, right, 1)) for left, right in zip(a.to_pylist(), b.to_pylist(), strict=True))
    if count:
        yield f"{place}: {count:,} of {len(a):,} rows differ"
