"""The columns of a pack: their names, their Arrow types, and how artifacts become columns. The only module that spells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from rayflow.model.records import Artifact
from rayflow.store.packs import arrays
from rayflow.store.packs.described import ARTIFACT_FIELDS, BOOKKEEPING, TYPE_KEY, is_numpy_native


def _nulls(values: Sequence[Any]) -> Any:
    return pa.nulls(len(values))


_NATIVE: dict[type, Callable[[Sequence[Any]], Any]] = {
    int: arrays.numbers,
    float: arrays.floats,
    bool: arrays.booleans,
    str: arrays.texts,
    bytes: arrays.binaries,
    type(None): _nulls,
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
        column = made(values) if made is not None else _scalars(kind, values)
    except (OverflowError, UnicodeEncodeError):  # an int beyond 64 bits; more text than one column takes, or none that UTF-8 can hold
        return None
    return pa.field(name, column.type, metadata=metadata), column


def _scalars(kind: type, values: Sequence[Any]) -> Any:
    """A column of what NumPy scalars of that type hold."""
    name = kind.__name__.rstrip("_")
    return arrays.booleans(values) if name == "bool" else arrays.numbers(values, pa.type_for_alias(name))


def describe(name: str, artifacts: Sequence[Artifact | None]) -> tuple[Any, Any]:
    """(field, column) of artifacts by their description; None where a row has none."""
    kind = described()
    children = [_child(field, [None if artifact is None else getattr(artifact, field.name) for artifact in artifacts]) for field in kind]
    mask = arrays.booleans([artifact is None for artifact in artifacts])
    return pa.field(name, kind), pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)


def _child(field: Any, values: list[Any]) -> Any:
    if field.type == pa.int64():
        return arrays.numbers(values, field.type)
    return arrays.binaries(values) if field.type == pa.binary() else arrays.texts(values)
