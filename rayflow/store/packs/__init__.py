"""Packs: the rows and small artifacts of a fan-out as Arrow IPC, one row per task, one column per artifact name.

A worker collects rows in a `RowsEncoder` and flushes them as an Arrow stream; the driver merges streams into files
(`merge`, `write_pack`); readers open them (`Pack`). A pack is a table that pyarrow, pandas, polars and DuckDB read without rayflow:

* bookkeeping columns, whose names begin with `__` (`columns.BOOKKEEPING`);
* a *native* column (int64, float64, string, bool, binary, null) for an artifact that every row of the flush has, with one
  exact type; `None` is null. NumPy scalars are native too: their type is noted in the field's metadata (`rayflow.type`);
* else a *described* column: a struct {codec, type, nbytes, preview, inline, blob, digest, run}, as in `rayflow.model.Artifact`.
  Null means that the row did not store that name.

The name of a pack ends in the digest of its bytes, which is verified when it is opened.
"""

from rayflow.store.packs.encoder import RowsEncoder
from rayflow.store.packs.merging import PackPart, Span, merge, pack_name, write_pack
from rayflow.store.packs.reading import Pack, digest_in

__all__ = ["Pack", "PackPart", "RowsEncoder", "Span", "digest_in", "merge", "pack_name", "write_pack"]
