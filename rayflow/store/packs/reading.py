"""The reader's side of packs."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rayflow.model.errors import RayflowNotFound, StoreCorrupt
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, LogSpan, Row, Status
from rayflow.store.blobs import digest_of_bytes, map_file
from rayflow.store.codecs import decode, encode
from rayflow.store.packs.described import BOOKKEEPING, TYPE_KEY, artifact_from
from rayflow.store.packs.merging import DIGEST_DIGITS
from rayflow.store.stamps import is_as_written

Load = Callable[[Artifact, str], Any]
"""`Blobs.load`."""

_MAX_CACHED = 32
_DIGEST = re.compile(rf"-([0-9a-f]{{{DIGEST_DIGITS}}})\.arrow\Z")
_PLAIN = frozenset({"json", "text", "bytes"})

_cache: OrderedDict[tuple[object, ...], Pack] = OrderedDict()
_cache_lock = threading.Lock()


class Pack:
    """An open pack. Rows are named by their position in the file; columns are decoded when they are asked for.
    Safe to use from several threads."""

    def __init__(self, key: str, memory: bytes | bytearray | memoryview) -> None:
        self.key = key
        import pyarrow as pa

        self._memory = memory
        try:
            self._table = pa.ipc.open_file(pa.py_buffer(memory)).read_all()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreCorrupt(f"{key} is damaged: not an Arrow file ({error}).", key) from error
        self._columns: dict[str, Any] = {}
        schema = self._table.schema
        self.names = tuple(name for name in schema.names if name not in BOOKKEEPING)
        """The artifacts that at least one row stored."""
        self._described = frozenset(name for name in self.names if pa.types.is_struct(schema.field(name).type))

    @classmethod
    def open(cls, store: Store, key: str, *, verify: bool = True) -> Pack:
        """The pack at `key`; one of the 32 used last is not opened again. On a local root it is mapped. `verify`: its digest is
        checked, unless this machine wrote it. Raises `StoreMissing`, `StoreCorrupt`."""
        path = store.local_path(key)
        where = (store.url, key) if path is None else (path, *_version(path))
        with _cache_lock:
            found = _cache.get(where)
            if found is not None:
                _cache.move_to_end(where)
                return found
        memory = store.read(key) if path is None else map_file(path)
        if verify and not (path is not None and is_as_written(path)):
            _verify(path or key, memory)  # before Arrow, which trusts its input, sees it
        found = cls(path or key, memory)
        with _cache_lock:
            _cache[where] = found
            while len(_cache) > _MAX_CACHED:
                _cache.popitem(last=False)
        return found

    def __len__(self) -> int:
        return self._table.num_rows

    def verify(self) -> None:
        """Raises `StoreCorrupt` where the bytes are not those that the name of the pack tells the digest of."""
        _verify(self.key, self._memory)

    def row(self, position: int) -> Row:
        """The record of the task at `position`."""
        fixed = {name[2:]: self._scalar(name, position) for name in BOOKKEEPING}
        offsets = (fixed["out_begin"], fixed["out_end"], fixed["err_begin"], fixed["err_end"])
        artifacts = {name: artifact for name in self.names if (artifact := self.artifact(position, name)) is not None}
        return Row(
            status=Status(fixed["status"]),
            attempt=fixed["attempt"],
            started_us=fixed["started"],
            seconds=fixed["seconds"],
            peak_nbytes=fixed["peak_nbytes"],
            pid=fixed["pid"],
            node=fixed["node"],
            artifacts=artifacts,
            logs=None if fixed["log"] is None else LogSpan(fixed["log"], *offsets),
        )

    def artifact(self, position: int, name: str) -> Artifact | None:
        """How the task at `position` described artifact `name`; None where it stored none."""
        if name not in self.names:
            return None
        if name in self._described:
            return artifact_from(self._scalar(name, position))
        encoded = encode(self._native(name, position), name=name)
        return Artifact(encoded.codec, encoded.type, encoded.nbytes, encoded.preview, inline=encoded.to_bytes())

    def blobs(self) -> Iterator[tuple[int, str, Artifact]]:
        """(position, name, artifact) of all that lies elsewhere: in a blob, or in parts."""
        for name in sorted(self._described):
            column = self._table.column(name).combine_chunks()
            blobs, codecs = column.field("blob").to_pylist(), column.field("codec").to_pylist()
            for position, (blob, codec) in enumerate(zip(blobs, codecs, strict=True)):
                artifact = artifact_from(column[position].as_py()) if blob is not None or codec in ("sliced", "dataset") else None
                if artifact is not None:
                    yield position, name, artifact

    def logs(self) -> dict[str, tuple[int, int]]:
        """The logs that rows name, and where the last of them ends: in its out, and in its err."""
        grouped = (
            self._table.select(["__log", "__out_end", "__err_end"])
            .group_by("__log")
            .aggregate([("__out_end", "max"), ("__err_end", "max")])
        )
        return {row["__log"]: (row["__out_end_max"], row["__err_end_max"]) for row in grouped.to_pylist() if row["__log"] is not None}

    def value(self, position: int, name: str, load: Load) -> Any:
        """The value of artifact `name` of the task at `position`; KeyError where it stored none. `load` is `Blobs.load`."""
        if name not in self.names:
            raise KeyError(name)
        if name not in self._described:
            return self._native(name, position)
        artifact = artifact_from(self._scalar(name, position))
        if artifact is None:
            raise KeyError(name)
        return load(artifact, name)

    def table(self, names: Sequence[str] | None = None, positions: Iterable[int] | None = None) -> Any:
        """A `pyarrow.Table` with one row per task and one column per name (bookkeeping columns too, where they are named). Native
        columns are as they are. Described ones become their values where those are plain scalars or JSON of one Arrow type,
        else they stay descriptions. Raises `RayflowNotFound` for a name that no row has."""

        from rayflow.store.packs import arrays

        chosen = list(self.names if names is None else names)
        for name in chosen:
            if name not in self._table.column_names:
                raise RayflowNotFound(f"No task of {self.key} stored an artifact {name!r}; there are: {', '.join(self.names) or 'none'}.")
        table = self._table.select(chosen)
        if positions is not None:
            table = table.take(arrays.numbers(positions))
        for at, name in enumerate(chosen):
            if name in self._described:
                plain = _plain_values(table.column(at))
                table = table if plain is None else table.set_column(at, name, plain)
        return table

    def _scalar(self, name: str, position: int) -> Any:
        column = self._columns.get(name)
        if column is None:
            column = self._table.column(name)
            if name == "__started":
                column = column.cast("int64")
            if column.num_chunks == 1:
                column = column.chunk(0)
            self._columns[name] = column
        return column[position].as_py()

    def _native(self, name: str, position: int) -> Any:
        value = self._scalar(name, position)
        metadata = self._table.schema.field(name).metadata
        if value is None or not metadata or TYPE_KEY not in metadata:
            return value
        import numpy as np

        return getattr(np, metadata[TYPE_KEY].decode().removeprefix("numpy."))(value)


def digest_in(key: str) -> str | None:
    """The first digits of the digest of a pack's bytes, which its name ends in; None for a name that is none."""
    told = _DIGEST.search(key)
    return told.group(1) if told is not None else None


def _verify(key: str, memory: bytes | bytearray | memoryview) -> None:
    told = digest_in(key)
    if told is not None and not digest_of_bytes(memory).startswith(told):
        raise StoreCorrupt(f"{key} is damaged: it is not what was written. Resume the run to compute its tasks again.", key)


def _version(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:  # reading it will say why
        return (0, 0, 0)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _plain_values(column: Any) -> Any:
    """The values of a described column; None where some are not inline, not plain, or not of one Arrow type."""
    import pyarrow as pa

    values: list[Any] = []
    for entry in column.to_pylist():
        if entry is not None and (entry["inline"] is None or entry["codec"] not in _PLAIN):
            return None
        values.append(None if entry is None else decode(entry["codec"], entry["inline"]))
    try:
        return pa.chunked_array([pa.array(values)])
    except pa.ArrowException:
        return None
