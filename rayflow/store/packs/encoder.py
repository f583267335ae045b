"""The worker's side of packs: rows are collected in its hot loop and flushed as one Arrow stream.

`add` costs 1.2 us with one small scalar artifact and 1.6 us with two (measured, Python 3.11): a row is one tuple, an artifact one
append to the list of its name. All else that costs is paid once per flush.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rayflow.model.errors import ArtifactUnserializable
from rayflow.model.records import Artifact, Status
from rayflow.store.codecs import claims
from rayflow.store.packs.described import BOOKKEEPING, is_numpy_native

Put = Callable[[str, object], Artifact]
"""`Blobs.put`: describes a value, storing it as a blob where it is large."""

_RAW_NBYTES = 8 * 1024
"""Longer text and bytes are described at once, so that a column stays small."""

_ROW_NBYTES = 96
_MISSING = object()


class RowsEncoder:
    """Collects rows until they are flushed. Not thread-safe: it belongs to the loop that performs the batch.

    Plain scalars are kept as they are; anything else is encoded by `put` when it is added, since the object could change later.
    """

    def __init__(self, put: Put) -> None:
        self._put_value = put
        self._rows: list[tuple[int, int, int, float, str, int, int, int, int, int]] = []
        self._columns: dict[str, list[Any]] = {}
        self._native: set[type] = {int, float, bool, type(None)}
        self._claims = claims()
        self._raw: set[type] = self._native if self._claims is None else set()
        """The types that need no second look."""
        self._put_now: dict[int, Artifact] = {}
        self.sized_nbytes = 0
        """How much of `nbytes` is text, bytes and descriptions: what rows of a short time can become large by."""

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        """About how many bytes a flush would give now."""
        return len(self._rows) * (_ROW_NBYTES + 9 * len(self._columns)) + self.sized_nbytes

    def add(
        self,
        index: int,
        attempt: int,
        started_us: int,
        seconds: float,
        status: Status,
        peak_nbytes: int,
        out_begin: int,
        out_end: int,
        err_begin: int,
        err_end: int,
        artifacts: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Adds the row of one attempt, with the artifacts that it stored: values, or descriptions of ones stored elsewhere. Returns what
        it keeps of them: plain scalars, and descriptions of everything else. Raises `ArtifactUnserializable`, or what `put` raises,
        and then has added nothing."""
        raw, text_nbytes = self._raw, 0
        for value in artifacts.values():
            kind = type(value)
            if kind not in raw:
                if kind is str and self._claims is None and len(value) <= _RAW_NBYTES and value.isascii():  # type: ignore[arg-type, attr-defined] - a str
                    text_nbytes += len(value)  # type: ignore[arg-type]
                    continue
                self._put_now.clear()
                artifacts = {name: self._kept(name, value) for name, value in artifacts.items()}
                text_nbytes = 0  # counted there
                break
        self.sized_nbytes += text_nbytes
        columns, rows = self._columns, self._rows
        if artifacts.keys() != columns.keys():
            self._make_room(artifacts)
        for name, value in artifacts.items():
            columns[name].append(value)
        rows.append((index, attempt, started_us, seconds, status, peak_nbytes, out_begin, out_end, err_begin, err_end))
        return artifacts

    @property
    def indices(self) -> list[int]:
        """Those of the rows."""
        return [row[0] for row in self._rows]

    @property
    def busy_s(self) -> float:
        """What their attempts took, in seconds."""
        return sum(row[3] for row in self._rows)

    @property
    def caught(self) -> int:
        """How many of them `@catch` saved."""
        return [row[4] for row in self._rows].count(Status.CAUGHT)

    def flush(self, pid: int = 0, node: str = "", log: str | None = None) -> bytes:
        """The rows added since the last flush as one Arrow IPC stream of one record batch, and forgets them. `pid`, `node` and the
        name of the log (see `LogSpan`) are the same for all of them."""
        import pyarrow as pa

        from rayflow.store.packs import arrays
        from rayflow.store.packs import columns as packed

        count = len(self._rows)
        fixed = packed.bookkeeping()
        by_column = list(zip(*self._rows, strict=True)) or [()] * 10
        made = [
            arrays.labels(values) if field.name == "__status" else arrays.integers(values, field.type)
            for values, field in zip(by_column, fixed, strict=False)
        ]
        made.append(arrays.repeated(log, count) if log is not None else pa.nulls(count, fixed[10].type))
        made.append(arrays.integers([pid] * count, pa.int32()))
        made.append(arrays.repeated(node, count))
        fields = list(fixed)
        for name in sorted(self._columns):
            field, column = self._column(name, self._columns[name])
            fields.append(field)
            made.append(column)
        sink = pa.BufferOutputStream()
        batch = pa.RecordBatch.from_arrays(made, schema=pa.schema(fields))
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        self._rows, self._columns, self.sized_nbytes = [], {}, 0
        return sink.getvalue().to_pybytes()

    def _column(self, name: str, values: list[Any]) -> tuple[Any, Any]:
        from rayflow.store.packs import columns as packed

        return packed.native(name, values) or packed.describe(name, [self._described(name, value) for value in values])

    def _described(self, name: str, value: Any) -> Artifact | None:
        if value is _MISSING:
            return None
        return value if isinstance(value, Artifact) else self._put_value(name, value)

    def _kept(self, name: str, value: Any) -> object:
        """What the column keeps of a value: itself if it is a scalar, else its description."""
        kind = type(value)
        if isinstance(value, Artifact):
            artifact = value
        elif self._claims is not None and self._claims(value):
            artifact = self._put_once(name, value)
        elif kind in self._native:
            return value
        elif kind is str or kind is bytes:
            if len(value) <= _RAW_NBYTES and (kind is bytes or _is_text(value)):
                self.sized_nbytes += len(value)
                return value
            artifact = self._put_once(name, value)
        elif is_numpy_native(kind):
            self._native.add(kind)
            return value
        else:
            artifact = self._put_once(name, value)
        self.sized_nbytes += 100 + (len(artifact.inline) if artifact.inline is not None else 100)
        return artifact

    def _put_once(self, name: str, value: Any) -> Artifact:
        """One value under several names of a row (what is fanned out over, and its order) is encoded once."""
        artifact = self._put_now.get(id(value))
        if artifact is None:
            artifact = self._put_now[id(value)] = self._put_value(name, value)
        return artifact

    def _make_room(self, artifacts: Mapping[str, object]) -> None:
        """Columns for new names, and gaps in those that this row lacks."""
        count = len(self._rows)
        fresh = artifacts.keys() - self._columns.keys()
        for name in fresh:
            _check_name(name)
        for name in fresh:
            self._columns[name] = [_MISSING] * count
        for name in self._columns.keys() - artifacts.keys():
            self._columns[name].append(_MISSING)


def _is_text(value: Any) -> bool:
    """Whether UTF-8 can hold it."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_name(name: str) -> None:
    if name in BOOKKEEPING:
        raise ArtifactUnserializable(f"Artifact {name!r} cannot be stored: rayflow keeps its own column of that name. Rename it.")
