"""Layer 3: bytes. Values become bytes (`codecs`), bytes become objects under a root (`local`, `remote`), artifacts find their place
in a run (`blobs`), and the rows of a fan-out become tables (`packs`). Where things lie is spelled in `rayflow.model.layout`.

Why it is here: everything else in rayflow is a reader or a writer of committed bytes, and must not know which disk, bucket or format
holds them. Imports `rayflow.model` and third parties only; pyarrow, numpy, pandas, polars, fsspec and cloudpickle are loaded when a
value or a URL needs them.

* `open_root(url, create=)`, `open_store(url)` - which store serves a URL; the format file.
* `LocalStore`, `RemoteStore` - the `Store` port; both pass `rayflow.testing.store_contract`.
* `writing`, `mapped` - chunks into a file, with the disk busy meanwhile; what is mapped, and whether it was changed since.
* `codecs.encode`, `decode`, `register` - a value comes back equal and with its exact type, or it is not stored.
* `Blobs` - `put` and `load` of a run's artifacts: up to 32 KiB within the record, larger ones as files of their own.
* `slices` - what a foreach fans out over, in parts on a bucket.
* `packs` - `RowsEncoder` in the worker, `merge` and `write_pack` in the driver, `Pack` in readers.

Decisions, with what was measured (2 cores, Python 3.11, numpy 2.4, pyarrow 26, other work beside it):

* **A digest costs nothing where a disk is waited for.** Large blobs are hashed by a second thread while they are written and synced
  under a temporary name, then renamed to their digest. The disk begins with each 16 MiB while the next are copied (`writing`): 1 GiB is
  written, synced and hashed in 0.46 to 0.50 s, where {write, fsync} of the same bytes alone took 0.70 s (best of 5).
* **Mapped, not read**: load of 1 GiB is 0.3 to 3 ms, privately writable. A stamp left by the writer (`blobs`) spares the reader the
  hash; it is worth 0.37 s a GiB on one core.
* **A value that nobody changed is not read to find that out** (`mapped`): the kernel's word on 1 GiB takes 15 ms. So an inherited or passed
  on value is neither hashed nor written again; of a 6 GiB array the process never held more than 6.0 GiB, and `self.y = self.x` added
  nothing to the disk.
* **Object columns of text as Arrow text** (`codecs.texts`): of 5 million strings each took 445 ns to pickle and 230 ns to unpickle; as
  Arrow text 90 and 85 to 140 ns, which is what making Python strings costs. They cannot be mapped.
* **Blobs of one task are synced together**: 200 arrays of 1 MiB in 0.5 s instead of 2.0 s from step to step, 1,000 of 64 KiB in 3.3 s
  instead of 9 s.
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
