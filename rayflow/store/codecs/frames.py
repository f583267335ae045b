"""pandas and polars through Arrow, where they come back equal.

A pandas frame of plain columns (numbers, booleans, naive times, Arrow-backed text) under unique text labels and a default index comes
back equal by construction. Any other is read back and compared at write time, object columns value by value with their
types, and is pickled where it differs. So is a polars frame of nested, categorical or object columns.

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
            return _to_pandas(table, memory)
        case "pandas.Series":
            return _to_pandas(table, memory).iloc[:, 0].rename(note["name"])
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
    frame = value.to_frame(_COLUMN) if is_series else value
    is_certain = _is_certain(frame, pandas)
    try:
        table = _table_of(frame) if is_certain else pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, KeyError, AttributeError, NotImplementedError):
        return None  # labels or values that Arrow has no type for
    note: dict[str, Any] = {"kind": "pandas.Series", "name": value.name} if is_series else {"kind": "pandas.DataFrame"}
    if not is_certain and not _comes_back(frame, table, pandas):
        return None
    return tables.pack(table, note, options)


def _table_of(frame: Any) -> Any:
    """A frame of certain columns as a table of their own memory. NaN stays NaN (`Table.from_pandas` makes it null: a pass over all
    values, 0.35 s a GiB, and a copy on reading)."""
    schema = pa.Schema.from_pandas(frame)
    columns = [frame.iloc[:, position] for position in range(frame.shape[1])]
    arrays = [
        pa.array(column.to_numpy(), field.type, from_pandas=False) if field.type != pa.large_string() and field.type != pa.string()
        else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=schema)


def _is_certain(frame: Any, pandas: Any) -> bool:
    if type(frame.index) is not pandas.RangeIndex or frame.index.name is not None or not frame.flags.allows_duplicate_labels:
        return False
    labels = list(frame.columns)
    if not labels or type(frame.columns) is not pandas.Index or frame.columns.name is not None:
        return False
    if not all(type(label) is str for label in labels) or len(set(labels)) < len(labels):
        return False
    is_default_label_type = str(frame.columns.dtype) == ("str" if int(pandas.__version__.split(".")[0]) >= 3 else "object")
    return is_default_label_type and all(_is_certain_dtype(dtype) for dtype in frame.dtypes)


def _is_certain_dtype(dtype: Any) -> bool:
    if type(dtype).__module__.startswith("numpy"):
        return dtype.isnative and (dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize in (4, 8)) or dtype.kind == "M")
    return str(dtype) == "str" and getattr(dtype, "storage", "") == "pyarrow"


def _comes_back(frame: Any, table: Any, pandas: Any) -> bool:
    try:
        again = _to_pandas(table, None)
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
    is_plain = type(a).__name__ == "RangeIndex" or getattr(a.dtype, "kind", "O") in "iufb"
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


def _to_pandas(table: Any, memory: tables.Memory | None) -> Any:
    """`table.to_pandas()`, except that plain columns are views of the table's own memory, writable where that is."""
    pandas = import_module("pandas")
    frame = table.to_pandas(split_blocks=True)
    if memory is None or memory.view.readonly:
        return frame
    views = {position: _view(table, position, frame, memory) for position in range(frame.shape[1])}
    if all(view is None for view in views.values()):
        return frame
    columns = {position: frame.iloc[:, position] if view is None else view for position, view in views.items()}
    rebuilt = pandas.DataFrame(columns, index=frame.index, copy=False)
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
