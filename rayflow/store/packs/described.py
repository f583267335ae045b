"""What writers and readers of packs agree on, without Arrow: importing a worker must not import pyarrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayflow.model.records import Artifact

TYPE_KEY = b"rayflow.type"
"""Field metadata: the exact type of a native column's values, where it is not a builtin ("numpy.float64")."""

ARTIFACT_FIELDS = ("codec", "type", "nbytes", "preview", "inline", "blob", "digest", "run")
"""The fields of a described column."""

BOOKKEEPING = (
    "__index", "__attempt", "__started", "__seconds", "__status", "__peak_nbytes",
    "__out_begin", "__out_end", "__err_begin", "__err_end", "__log", "__pid", "__node",
)  # fmt: skip
"""The columns that every pack has, in order; no artifact may be called so."""

NUMPY_NATIVE = ("float64", "float32", "int64", "int32", "bool", "bool_")
"""Scalar types of NumPy that have native columns."""


def is_numpy_native(kind: type) -> bool:
    """Whether this is a scalar type of NumPy that has a native column."""
    return kind.__module__ == "numpy" and kind.__name__ in NUMPY_NATIVE


def artifact_from(entry: Mapping[str, Any] | None) -> Artifact | None:
    """The artifact that a row of a described column tells of; None where the row stored none."""
    return None if entry is None else Artifact(**{name: entry[name] for name in ARTIFACT_FIELDS})
