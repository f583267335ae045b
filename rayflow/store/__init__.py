"""Layer 3: bytes. Values become bytes (`codecs`), bytes become objects under a root (`local`, `remote`), artifacts find their place
in a run (`blobs`), and the rows of a fan-out become tables (`packs`). Where things lie is spelled in `rayflow.model.layout`.

Why it is here: everything else in rayflow is a reader or a writer of committed bytes, and must not know which disk, bucket or format
holds them. Imports `rayflow.model` and third parties only; pyarrow, numpy, pandas, polars, fsspec and cloudpickle are loaded when a
value or a URL needs them.

* `open_root(url, create=)`, `open_store(url)` - which store serves a URL; the format file.
* `LocalStore`, `RemoteStore` - the `Store` port; both pass `rayflow.testing.store_contract`.
* `codecs.encode`, `decode`, `register` - a value comes back equal and with its exact type, or it is not stored.
* `Blobs` - `put` and `load` of a run's artifacts: up to 32 KiB within the record, larger ones as files of their own.
* `packs` - `RowsEncoder` in the worker, `merge` and `write_pack` in the driver, `Pack` in readers.

Decisions, with what was measured (2 cores, Python 3.11, numpy 2.4, pyarrow 26, other work beside it):

* **A digest costs nothing where a disk is waited for.** BLAKE3 takes 0.23 s a GiB on these 2 cores, so large blobs are hashed in a
  second thread while they are written and synced under a temporary name, then renamed to their digest. `put` and `load` of 1 GiB
  against {write the same bytes, fsync, map}, best of 4 on a disk that others use too: NumPy 1.03x, Arrow 1.09x, pandas 1.03x, a
  dict of an array 1.15x (0.80 to 0.89 s against 0.78 s).
* **Mapped, not read**: load of 1 GiB is 0.3 to 3 ms, privately writable. A stamp left by the writer (`blobs`) spares the reader the
  hash; it is worth 0.23 s a GiB.
* **pandas through Arrow only if equal.** Plain columns are certain; everything else is read back and compared at write time, or
  pickled. NaN stays NaN: making it null cost 0.35 s a GiB and a copy on reading.
* **A worker's row costs 1.2 us** with one scalar artifact, 1.6 us with two, 2.2 us with a short text (`RowsEncoder.add`); its share of
  a flush 0.8 us, 0.15 ms for a flush of one row. A list or tuple costs 10 to 14 us, since it is encoded at once (it could change).
  Merging 53 streams of 451,000 rows takes 22 ms; a value read from a pack 1.3 us.
* **One batch of text per name, not per row**: labels (status, node, log) are dictionaries; a row with two scalars takes 100 bytes.
* **The digest of a pack is in its name**, so that a segment needs no field for it and a copied pack can be checked anywhere.

Rejected: fsspec for local disks (never syncs; two winners of one creation); parsing pickles to find references to `__main__` (a search
for the module's name in the bytes is 100 times quicker, and wrong only on the safe side); one pack per worker flush on a bucket
(thousands of tiny objects); nulls for NaN; Arrow's own `to_pandas` for mapped files (its columns are read-only).

Not promised: that a table's dictionary chunks keep separate dictionaries (a file has one per column); that a value stored under
one version of its library loads under another.
"""

from rayflow.store.local import LocalStore
from rayflow.store.opening import open_root, open_store

__all__ = ["LocalStore", "open_root", "open_store"]
