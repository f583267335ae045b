"""The columns of a pack: their names, their Arrow types, and how artifacts become columns. The only module that spells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from rayflow.model.records import Artifact
from rayflow.store.packs.described import ARTIFACT_FIELDS, BOOKKEEPING, TYPE_KEY, is_numpy_native

_NATIVE: dict[type, Callable[[], Any]] = {
    int: pa.int64,
    float: pa.float64,
    bool: pa.bool_,
    str: pa.string,
    bytes: pa.binary,
    type(None): pa.null,
}


@lru_cache(maxsize=1)
def bookkeeping() -> tuple[Any, ...]:
    """The fields that every pack has, in order."""
    label = pa.dictionary(pa.int32(), pa.string())
    kinds = {
        "__attempt": pa.int32(),
        "__started": pa.timestamp("us", tz="UTC"),
        "__seconds": pa.float64(),
        **dict.fromkeys(("__status", "__log", "__node"), label),
        "__pid": pa.int32(),
    }
    return tuple(pa.field(name, kinds.get(name, pa.int64())) for name in BOOKKEEPING)


@lru_cache(maxsize=1)
def described() -> Any:
    """The type of a described column."""
    kinds = {"nbytes": pa.int64(), "inline": pa.binary()}
    return pa.struct([pa.field(name, kinds.get(name, pa.string())) for name in ARTIFACT_FIELDS])


def constant(value: str, count: int) -> Any:
    """`count` times the same label, as a dictionary of one entry."""
    zeros = pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(bytes(4 * count))])
    return pa.DictionaryArray.from_arrays(zeros, pa.array([value], pa.string()))


def native(name: str, values: Sequence[Any]) -> tuple[Any, Any] | None:
    """(field, column) where the values (None aside) have one exact simple type that their column gives back; else None."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if len(kinds) > 1:
        return None
    kind = kinds.pop() if kinds else type(None)
    made = _NATIVE.get(kind)
    metadata: Mapping[bytes, bytes] | None = None
    if made is None:
        if not is_numpy_native(kind):
            return None
        metadata = {TYPE_KEY: f"numpy.{kind.__name__}".encode()}
        values = [None if value is None else value.item() for value in values]
    try:
        kind_of_column = made() if made is not None else pa.type_for_alias(kind.__name__.rstrip("_"))
        column = pa.array(values, kind_of_column, from_pandas=False)
    except (OverflowError, pa.ArrowException):  # an int beyond 64 bits; more text than one column takes
        return None
    return (pa.field(name, column.type, metadata=metadata), column) if isinstance(column, pa.Array) else None


def describe(name: str, artifacts: Sequence[Artifact | None]) -> tuple[Any, Any]:
    """(field, column) of artifacts by their description; None where a row has none."""
    kind = described()
    children = [
        pa.array([None if artifact is None else getattr(artifact, field.name) for artifact in artifacts], field.type) for field in kind
    ]
    mask = pa.array([artifact is None for artifact in artifacts], pa.bool_())
    return pa.field(name, kind), pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
