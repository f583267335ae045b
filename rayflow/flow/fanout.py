"""The order of a foreach: what is iterated over becomes one indexed sequence, fixed when `next` is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

_SEQUENCES = (list, tuple, range, str, bytes)


class NotIterableError(TypeError):
    """The value cannot be fanned out over; the message continues "self.x (type) ..." and says the way out."""


def in_order(value: Any) -> Sequence[Any]:
    """The elements of `value` with `len` and `[i]` for 0 <= i < len, in the order of iteration.

    Sequences and arrays are used as they are, without a copy; sets, views and iterators become a list. Raises `NotIterableError` for what
    has no elements, and for mappings and tables, of which nobody knows whether keys, columns or rows were meant. A mapping
    keyed by exactly 0..n-1 stands for the sequence of its values.
    """
    if isinstance(value, _SEQUENCES):
        return cast(Sequence[Any], value)
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if hasattr(value, "columns") and hasattr(value, "__len__"):
        raise NotIterableError(
            "is a table, of which a foreach could mean the rows or the columns. Fan out over a list, e.g. of its rows as dictionaries."
        )
    if _is_indexed(value):
        return value
    try:
        return list(cast(Iterable[Any], iter(value)))
    except TypeError as error:
        if hasattr(type(value), "__iter__") and getattr(value, "shape", None) != ():
            raise  # its own iteration failed
        raise NotIterableError("is not iterable. A foreach needs a list, or another value with elements.") from error


def _of_mapping(value: Mapping[Any, Any]) -> Sequence[Any]:
    if all(position in value for position in range(len(value))):
        return [value[position] for position in range(len(value))]
    raise NotIterableError(
        "is a mapping, of which a foreach could mean the keys or the values. Fan out over list(self.x), list(self.x.values()) or "
        "list(self.x.items())."
    )


def _is_indexed(value: Any) -> bool:
    """Whether `value[i]` is its i-th element. Where an index means a label (a pandas Series) it is not."""
    if hasattr(value, "iloc"):
        return False
    try:
        if len(value):
            value[0]
    except (TypeError, LookupError):
        return False
    return hasattr(type(value), "__getitem__")
