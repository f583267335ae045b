"""The driver's side of packs: streams of workers become files.

Streams of one schema go into one file, in their order; others into files of their own. Buffers are not copied, except where the
batches are many and small: readers are slow with batches of ten rows, and copying those costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from blake3 import blake3

from rayflow.model.errors import StoreCorrupt
from rayflow.model.layout import RunLayout, safe_name
from rayflow.model.ports import Store
from rayflow.store.codecs.registry import Chunk
from rayflow.store.stamps import stamp

_SMALL_BATCH_ROWS = 4_096
_MAX_COPIED_NBYTES = 256 << 20
DIGEST_DIGITS = 32


class Span(NamedTuple):
    """Rows `first_row` to `first_row + rows` of a file are those of the stream at `stream` of the list that was merged."""

    stream: int
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class PackPart:
    """One file to be written: its bytes (views of the streams: keep those alive), which rows came from where, and its digest."""

    chunks: list[Chunk]
    spans: list[Span]
    digest: str

    @property
    def rows(self) -> int:
        return self.spans[-1].first_row + self.spans[-1].rows if self.spans else 0


def merge(streams: Sequence[bytes]) -> list[PackPart]:
    """As few files as the schemas of the streams (see `RowsEncoder.flush`) allow; an empty stream is in none of them.
    Raises `StoreCorrupt` where a stream is not one."""
    groups: dict[bytes, list[tuple[int, Any]]] = {}
    for position, stream in enumerate(streams):
        table = _table_of(stream)
        if table.num_rows:
            groups.setdefault(table.schema.serialize().to_pybytes(), []).append((position, table))
    return [_part(group) for group in groups.values()]


def pack_name(step: str, label: str, digest: str) -> str:
    """What a segment calls a pack: its step, a label that is unique per writer and step (say, a number), and its digest."""
    return f"{safe_name('Step', step)}/{safe_name('Pack label', label)}-{digest[:DIGEST_DIGITS]}.arrow"


def write_pack(store: Store, run: RunLayout, step: str, label: str, part: PackPart) -> str:
    """Stores the file durably and returns its name, which goes into `Segment.pack`."""
    name = pack_name(step, label, part.digest)
    key = run.pack(name)
    store.write(key, part.chunks)
    path = store.local_path(key)
    if path is not None:
        stamp(path)
    return name


def _table_of(stream: bytes) -> Any:
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.py_buffer(stream)).read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreCorrupt(f"The rows that a worker sent are damaged ({error}).") from error


def _part(group: list[tuple[int, Any]]) -> PackPart:
    import pyarrow as pa

    from rayflow.store.codecs.tables import ipc_chunks

    spans: list[Span] = []
    first = 0
    for position, table in group:
        spans.append(Span(position, first, table.num_rows))
        first += table.num_rows
    merged = pa.concat_tables([table for _, table in group])
    if len(group) > 1 and first < len(group) * _SMALL_BATCH_ROWS and merged.nbytes < _MAX_COPIED_NBYTES:
        merged = merged.unify_dictionaries().combine_chunks()
    chunks = ipc_chunks(merged)
    hasher = blake3()
    for chunk in chunks:
        hasher.update(chunk)
    return PackPart(chunks, spans, hasher.hexdigest())
