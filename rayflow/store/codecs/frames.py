"""pandas and polars through Arrow, where they come back equal.

Plain columns of a pandas frame (numbers, booleans, naive times, Arrow-backed text, objects that are all text) under unique text labels
come back equal by construction, and so does a default index. What else a frame has is read back and compared at write time, object
columns value by value with their types; where it differs, the frame is pickled. So is a polars frame of nested, categorical or object
columns.

What is read from a mapped file is views of it, writable where the mapping is. (pyarrow's own `to_pandas` marks them read-only,
so plain columns without nulls are taken from their buffers here.)
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from itertools import starmap
from typing import Any

import pyarrow as pa

from rayflow.model.errors import ArtifactUnserializable
from rayflow.store.codecs import tables
from rayflow.store.codecs import texts as texts_codec
from rayflow.store.codecs.registry import Options, Parts

_COLUMN = "values"


def encode(value: Any, options: Options) -> Parts | None:
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    kind = type(value)
    if pandas is not None and kind in (pandas.DataFrame, pandas.Series):
        return _encode_pandas(value, options, pandas)
    if polars is not None and kind in (polars.DataFrame, polars.Series):
        return _encode_polars(value, options, polars)
    if polars is not None and kind is polars.LazyFrame:
        name = f"Artifact {options.name!r}" if options.name else "The value"
        raise ArtifactUnserializable(
            f"{name} (polars.LazyFrame) cannot be stored: it is a query, not its result. Store what .collect() returns."
        )
    return None


def unpack(table: Any, note: dict[str, Any], memory: tables.Memory | None) -> Any:
    """What `note` says that the table stands for."""
    match note["kind"]:
        case "pandas.DataFrame":
            return _to_pandas(table, memory, note.get("objects", {}))
        case "pandas.Series":
            return _to_pandas(table, memory, note.get("objects", {})).iloc[:, 0].rename(note["name"])
        case "polars.DataFrame":
            return import_module("polars").from_arrow(table)
        case "polars.Series":
            return import_module("polars").from_arrow(table).to_series(0).rename(note["name"])
        case unknown:
            raise ValueError(f"unknown kind of table {unknown!r}")


# --- pandas


def _encode_pandas(value: Any, options: Options, pandas: Any) -> Parts | None:
    is_series = type(value) is pandas.Series
    if value.attrs or (is_series and not (value.name is None or type(value.name) is str)):
        return None
    if not is_series and len(set(map(type, value.columns))) > 1:
        return None  # Arrow would turn such labels to text, with a warning
    note: dict[str, Any] = {"kind": "pandas.Series", "name": value.name} if is_series else {"kind": "pandas.DataFrame"}
    frame, texts = _without_text_objects(value.to_frame(_COLUMN) if is_series else value, pandas)
    if texts:
        note["objects"] = texts
    unsure = [position for position, dtype in enumerate(frame.dtypes) if not _is_certain_dtype(dtype)]
    try:
        table = _table_of(frame, unsure)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, KeyError, AttributeError, NotImplementedError):
        return None  # labels or values that Arrow has no type for
    if not _has_certain_columns(frame, pandas):
        is_certain, unsure = False, list(range(frame.shape[1]))
    else:
        is_certain = not unsure and _has_certain_index(frame, pandas)
    if not is_certain and not _comes_back(frame, table, unsure or [0], pandas):
        return None
    return tables.pack(table, note, options)


def _without_text_objects(frame: Any, pandas: Any) -> tuple[Any, dict[str, str]]:
    """The frame with Arrow text in place of object columns that hold only text, and by position what is missing in those."""
    texts: dict[str, str] = {}
    for position, dtype in enumerate(frame.dtypes):
        found = texts_codec.encode(frame.iloc[:, position].to_numpy()) if str(dtype) == "object" and _has_arrow_text(pandas) else None
        if found is not None:
            if not texts:
                frame = frame.copy(deep=False)
            text = pandas.array(found[0], dtype=pandas.StringDtype("pyarrow", na_value=math.nan))
            frame.isetitem(position, pandas.Series(text, index=frame.index, copy=False))
            texts[str(position)] = found[1]
    return frame, texts


def _has_arrow_text(pandas: Any) -> bool:
    return int(pandas.__version__.split(".")[0]) >= 3


def _table_of(frame: Any, unsure: list[int]) -> Any:
    """The frame as a table in which certain columns are their own memory, in one piece. NaN stays NaN (`Table.from_pandas` makes it
    null: a pass over all values, 0.35 s a GiB, and a copy on reading)."""
    if len(unsure) == frame.shape[1]:
        return pa.Table.from_pandas(frame)
    schema = pa.Schema.from_pandas(frame)
    rest = iter(pa.Table.from_pandas(frame.iloc[:, unsure]).columns)
    columns = [
        next(rest) if position in unsure else _array_of(frame.iloc[:, position], schema.field(position))
        for position in range(frame.shape[1])
    ]
    return pa.Table.from_arrays([*columns, *rest], schema=schema)


def _array_of(column: Any, field: Any) -> Any:
    if not (pa.types.is_large_string(field.type) or pa.types.is_string(field.type)):
        return pa.array(column.to_numpy(), field.type, from_pandas=False)
    array = pa.array(column, field.type)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _has_certain_index(frame: Any, pandas: Any) -> bool:
    return type(frame.index) is pandas.RangeIndex and frame.index.name is None and frame.flags.allows_duplicate_labels


def _has_certain_columns(frame: Any, pandas: Any) -> bool:
    labels = list(frame.columns)
    if not labels or type(frame.columns) is not pandas.Index or frame.columns.name is not None:
        return False
    if not all(type(label) is str for label in labels) or len(set(labels)) < len(labels):
        return False
    return str(frame.columns.dtype) == ("str" if _has_arrow_text(pandas) else "object")


def _is_certain_dtype(dtype: Any) -> bool:
    if type(dtype).__module__.startswith("numpy"):
        return dtype.isnative and (dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize in (4, 8)) or dtype.kind == "M")
    return str(dtype) == "str" and getattr(dtype, "storage", "") == "pyarrow"


def _comes_back(frame: Any, table: Any, unsure: list[int], pandas: Any) -> bool:
    """Whether these columns and all labels come back equal."""
    if len(unsure) < frame.shape[1]:
        table = table.select([*unsure, *range(frame.shape[1], table.num_columns)])
        frame = frame.iloc[:, unsure]
    try:
        again = _to_pandas(table, None, {})
        pandas.testing.assert_frame_equal(frame, again, check_exact=True, check_column_type="exact", check_index_type="exact")
    except (AssertionError, pa.ArrowException, TypeError, ValueError, KeyError, IndexError, AttributeError, NotImplementedError):
        return False
    columns = [(frame.iloc[:, position], again.iloc[:, position]) for position in range(frame.shape[1])]
    return all(starmap(_same_column, columns)) and _same_labels(frame.index, again.index) and _same_labels(frame.columns, again.columns)


def _same_column(a: Any, b: Any) -> bool:
    """Assertions of pandas take 1 for True and None for NaN inside object columns; here types count."""
    if str(a.dtype) == "category":
        return _same_labels(a.cat.categories, b.cat.categories) and a.cat.ordered == b.cat.ordered
    if a.dtype != b.dtype:
        return False
    return all(map(_same_value, a, b)) if str(a.dtype) in ("object", "string") or "pyarrow" in str(a.dtype) else True


def _same_labels(a: Any, b: Any) -> bool:
    if type(a) is not type(b) or list(a.names) != list(b.names) or getattr(a, "freq", None) != getattr(b, "freq", None):
        return False
    is_plain = type(a).__name__ == "RangeIndex" or getattr(a.dtype, "kind", "O") in "iufbmM" or str(a.dtype) == "str"
    return is_plain or all(map(_same_value, a, b))


def _same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same_value, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same_value(a[key], b[key]) for key in a)
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    equal = a == b
    return type(equal).__name__ in ("bool", "bool_") and bool(equal)


def _to_pandas(table: Any, memory: tables.Memory | None, texts: dict[str, str]) -> Any:
    """`table.to_pandas()`, except that plain columns are views of the table's own memory, writable where that is, and that `texts`
    are columns of objects."""
    pandas = import_module("pandas")
    frame = table.to_pandas(split_blocks=True)
    columns: dict[int, Any] = {}
    if memory is not None and not memory.view.readonly:
        views = {position: _view(table, position, frame, memory) for position in range(frame.shape[1])}
        columns = {position: view for position, view in views.items() if view is not None}
    for position, missing in texts.items():
        values = texts_codec.decode(table.column(int(position)), missing)
        columns[int(position)] = pandas.Series(values, index=frame.index, dtype=object, copy=False)
    if not columns:
        return frame
    rebuilt = pandas.DataFrame(
        {position: columns.get(position, frame.iloc[:, position]) for position in range(frame.shape[1])}, index=frame.index, copy=False
    )
    rebuilt.columns = frame.columns
    return rebuilt


def _view(table: Any, position: int, frame: Any, memory: tables.Memory) -> Any:
    """The column's memory as a NumPy array; None where pandas has it otherwise."""
    import numpy as np

    dtype = frame.dtypes.iloc[position]
    if position >= table.num_columns or not isinstance(dtype, np.dtype) or dtype.kind not in "iufM" or dtype.itemsize == 0:
        return None
    column = table.column(position)
    kind = column.type
    is_same = kind == pa.from_numpy_dtype(dtype)
    if not is_same or column.num_chunks != 1 or column.null_count:
        return None
    chunk = column.chunk(0)
    buffer = chunk.buffers()[1]
    at = None if buffer is None or len(chunk) == 0 else memory.offset_of(buffer)
    return None if at is None else np.ndarray(len(chunk), dtype, memory.view, offset=at + chunk.offset * dtype.itemsize)


# --- polars


def _encode_polars(value: Any, options: Options, polars: Any) -> Parts | None:
    is_series = type(value) is polars.Series
    frame = value.to_frame(_COLUMN) if is_series else value
    note: dict[str, Any] = {"kind": "polars.Series", "name": value.name} if is_series else {"kind": "polars.DataFrame"}
    if options.tables == "arrow" or all(_is_certain_polars(dtype) for dtype in frame.dtypes):
        try:
            table = frame.to_arrow()
        except (pa.ArrowException, TypeError, ValueError, polars.exceptions.PolarsError):
            return None
        if all(_is_certain_polars(dtype) for dtype in frame.dtypes) or _polars_comes_back(frame, table, polars):
            return tables.pack(table, note, options)
    return None


def _is_certain_polars(dtype: Any) -> bool:
    return (dtype.is_numeric() and not dtype.is_decimal()) or str(dtype) in ("String", "Boolean", "Date", "Binary")


def _polars_comes_back(frame: Any, table: Any, polars: Any) -> bool:
    try:
        again = polars.from_arrow(table)
    except (pa.ArrowException, TypeError, ValueError, polars.exceptions.PolarsError):
        return False
    return again.schema == frame.schema and again.equals(frame, null_equal=True)
