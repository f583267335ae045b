"""Arrow tables as Arrow IPC files (uncompressed, so that they can be mapped) or Parquet.

Which Python class a file stood for is noted in the schema's metadata under `rayflow`, where other tools ignore it. Record batches,
arrays and chunked arrays are tables of one batch or one column, data frames are converted in `frames`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import pyarrow as pa

from rayflow.store.codecs.registry import Chunk, Options, Parts

_KEY = b"rayflow"
_COLUMN = "values"
_ZSTD_LEVEL = 1


class Memory(NamedTuple):
    """The memory that was lent to Arrow, and where it lies: Arrow calls every slice of it immutable, even where it is not."""

    address: int
    view: memoryview

    def offset_of(self, buffer: Any) -> int | None:
        """Where an Arrow buffer lies in this memory, None where it does not."""
        offset = buffer.address - self.address
        return offset if offset >= 0 and offset + buffer.size <= self.view.nbytes else None


class _Chunks:
    """A sink for Arrow's writers that keeps the buffers instead of copying them."""

    closed = False

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    def write(self, chunk: Any) -> int:
        view = memoryview(chunk)
        self.chunks.append(view)
        return view.nbytes

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        self.closed = True


def encode(value: Any, options: Options) -> Parts | None:
    if isinstance(value, pa.Table):
        return pack(value, {"kind": "Table"}, options)
    if isinstance(value, pa.RecordBatch):
        return pack(pa.Table.from_batches([value]), {"kind": "RecordBatch"}, options)
    if isinstance(value, pa.ChunkedArray):
        return pack(pa.table([value], names=[_COLUMN]), {"kind": "ChunkedArray"}, options)
    if isinstance(value, pa.Array):
        return pack(pa.table([value], names=[_COLUMN]), {"kind": "Array"}, options)
    return None


def pack(table: Any, note: dict[str, Any], options: Options) -> Parts | None:
    """The table as a file; `note["kind"]` says what `decode` makes of it. None where Arrow cannot write it."""
    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: json.dumps(note).encode()})
    if options.tables == "parquet":
        chunks = _parquet(marked)
        if chunks is not None:
            return Parts(".parquet", chunks, "parquet")
    try:
        return Parts(".arrow", ipc_chunks(marked), "arrow")
    except pa.ArrowException:
        return None


def ipc_chunks(table: Any) -> list[Chunk]:
    """An Arrow IPC file as a list of views of the table's own buffers and the metadata between them."""
    sink = _Chunks()
    table = table.unify_dictionaries()  # a file holds one dictionary per column
    with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        writer.write_table(table)
    return sink.chunks


def _parquet(table: Any) -> list[Chunk] | None:
    """None where the table would not come back equal (Parquet has fewer types than Arrow)."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table, sink, compression="zstd", compression_level=_ZSTD_LEVEL, use_compliant_nested_type=False)
        buffer = sink.getvalue()
        is_certain = all(_is_simple(field.type) for field in table.schema) and len(set(table.schema.names)) == table.num_columns
        if not is_certain and not pq.read_table(pa.BufferReader(buffer)).equals(table.unify_dictionaries(), check_metadata=True):
            return None
    except pa.ArrowException:
        return None
    return [memoryview(buffer)]


def _is_simple(kind: Any) -> bool:
    types = pa.types
    return (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind)
    )


def decode_arrow(buffer: memoryview) -> Any:
    lent = pa.py_buffer(buffer)
    return _unpack(pa.ipc.open_file(lent).read_all(), Memory(lent.address, buffer))


def decode_parquet(buffer: memoryview) -> Any:
    import pyarrow.parquet as pq

    return _unpack(pq.read_table(pa.BufferReader(pa.py_buffer(buffer))), None)


def _unpack(table: Any, memory: Memory | None) -> Any:
    metadata = dict(table.schema.metadata or {})
    note = json.loads(metadata.pop(_KEY, b'{"kind":"Table"}'))
    table = table.replace_schema_metadata(metadata or None)
    match note["kind"]:
        case "Table":
            return table
        case "RecordBatch":
            batches = table.to_batches()
            return batches[0] if len(batches) == 1 else table.combine_chunks().to_batches()[0] if batches else _empty_batch(table.schema)
        case "ChunkedArray":
            return table[_COLUMN]
        case "Array":
            return _one_array(table[_COLUMN])
        case _:
            return import_module("rayflow.store.codecs.frames").unpack(table, note, memory)


def _one_array(column: Any) -> Any:
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _empty_batch(schema: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


DECODERS: dict[str, Callable[[memoryview], Any]] = {"arrow": decode_arrow, "parquet": decode_parquet}
