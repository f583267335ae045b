"""Datasets of Ray Data: written by their own tasks as Parquet files in a directory of the run, read lazily.

The artifact is a manifest, small as it is: the directory, and its files in their order with sizes, rows and digests. It is committed as
every artifact is, after the files are there; what a write that died left, `gc` sweeps. Each block is encoded and stored by the Ray
task that has it, through the store of the root, so that a bucket's credentials, retries and digests are those of everything else
(`Dataset.write_parquet` would need a file system of its own for that, and a second reading for the digests).

Reading gives a `ray.data.Dataset` again where Ray Data is in use in this process, else a `pyarrow.dataset.Dataset`: a client need not
start a cluster to look at rows. When it is opened the sizes are compared, and on this machine's disk the digests of files that it
did not write itself; a bucket's are read by `rayflow verify`.

This module imports nothing of Ray: whoever has a Dataset has imported it.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, NamedTuple

from blake3 import blake3

from rayflow.model.errors import ArtifactUnserializable, StoreCorrupt, StoreMissing
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.store.codecs.registry import Options, Parts
from rayflow.store.stamps import is_as_written, stamp

_MARK = "_rayflow_manifest"
"""On a Dataset that was read: what it was read from. What is made of it is another object, without the mark."""


class Place(NamedTuple):
    """Where datasets of a run are written."""

    store: Store
    layout: RunLayout


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a dataset. `digest` is hex BLAKE3."""

    name: str
    nbytes: int
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A dataset: the key of its directory, and its files in their order."""

    directory: str
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def nbytes(self) -> int:
        return sum(file.nbytes for file in self.files)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(content: bytes | memoryview) -> Manifest:
        """ValueError, TypeError and KeyError where that is none."""
        form = json.loads(bytes(content))
        return Manifest(form["directory"], tuple(DataFile(**file) for file in form["files"]))


def is_dataset(value: object) -> bool:
    """Whether the value is a `ray.data.Dataset`, of whatever kind."""
    return any(base.__module__ == "ray.data.dataset" and base.__name__ == "Dataset" for base in type(value).__mro__)


def encode(value: Any, options: Options) -> Parts | None:
    """Writes a Dataset, which computes it, and gives its manifest; None for everything else of Ray. ArtifactUnserializable where it cannot
    be computed."""
    if not is_dataset(value):
        return None
    if options.place is None or options.place.store.url.startswith("memory://"):
        raise ArtifactUnserializable(
            f"Artifact {options.name!r} is a Dataset, which its tasks write. Give the run a directory or a bucket."
        )
    known: Manifest | None = value.__dict__.get(_MARK)
    manifest = known or _written(value, options.place, options.name)
    columns = f"{manifest.rows:,} rows in {len(manifest.files):,} files, {manifest.nbytes:,} bytes"
    return Parts(".json", [manifest.to_bytes()], "dataset", columns)


# -- writing -----------------------------------------------------------------------------------------------------------


def _written(dataset: Any, place: Place, name: str) -> Manifest:
    ray: Any = sys.modules["ray"]
    directory = place.layout.dataset(uuid.uuid4().hex)
    try:
        if ray.get_runtime_context().get_assigned_resources().get("CPU"):
            # While a task waits for another, its CPU is free for the tasks of the dataset; while it runs Ray Data itself, it is not.
            files = ray.get(ray.remote(num_cpus=0, max_retries=0)(_write).remote(dataset, place.store.url, directory))
        else:
            files = _write(dataset, place.store.url, directory)
    except Exception as error:  # Ray raises many unrelated classes, and what the user's own functions raised
        raise ArtifactUnserializable(f"Artifact {name!r} is a Dataset that could not be computed. {_told(error)}") from error
    return Manifest(directory, tuple(DataFile(**file) for file in files))


def _told(error: Exception) -> str:
    cause: BaseException = getattr(error, "cause", None) or error.__cause__ or error
    return f"{type(cause).__name__}: {str(cause).strip().splitlines()[-1] if str(cause).strip() else ''}"


def _write(dataset: Any, url: str, directory: str) -> list[dict[str, Any]]:
    """The files of a dataset, in the order of its blocks. Those without rows go, if there are others."""
    written = dataset.map_batches(partial(_write_block, url=url, directory=directory), batch_format="pyarrow", batch_size=None)
    written.context.execution_options.preserve_order = True
    files: list[dict[str, Any]] = written.take_all()
    schema = dataset.schema() if not files else None  # of a dataset without rows no block may come, though it has columns
    if schema is not None and hasattr(schema.base_schema, "empty_table"):
        files = _write_block(schema.base_schema.empty_table(), url=url, directory=directory).to_pylist()
    full = [file for file in files if file["rows"]] or files[:1]
    kept = {file["name"] for file in full}
    for file in files:
        if file["name"] not in kept:
            _store_at(url).delete(f"{directory}/{file['name']}")
    return full


def _write_block(table: Any, *, url: str, directory: str) -> Any:
    """Stores one block, in the task that has it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=1, write_page_checksum=True)
    content = memoryview(sink.getvalue())
    store, name = _store_at(url), f"{uuid.uuid4().hex}.parquet"
    store.write(f"{directory}/{name}", [content])
    path = store.local_path(f"{directory}/{name}")
    if path is not None:
        stamp(path)
    digest = blake3(content).hexdigest()
    return pa.table({"name": [name], "nbytes": [len(content)], "rows": [table.num_rows], "digest": [digest]})


@lru_cache(maxsize=4)
def _store_at(url: str) -> Store:
    from rayflow.store.opening import open_store

    return open_store(url)


# -- reading -----------------------------------------------------------------------------------------------------------


def opened(manifest: Manifest, store: Store, name: str = "") -> Any:
    """The dataset, of which no row is read yet. StoreMissing and StoreCorrupt where a file is not as it was written."""
    _check(manifest, store, name)
    paths, filesystem = _places(manifest, store)
    if _is_ray_in_use():
        data = import_module("ray.data")
        read = data.read_parquet(paths, filesystem=filesystem) if paths else data.from_items([])
        setattr(read, _MARK, manifest)
        return read
    import pyarrow as pa
    import pyarrow.dataset as ds

    return ds.dataset(paths, format="parquet", filesystem=filesystem) if paths else ds.dataset(pa.table({}))


def _is_ray_in_use() -> bool:
    ray: Any = sys.modules.get("ray")
    return "ray.data" in sys.modules or (ray is not None and ray.is_initialized())


def _places(manifest: Manifest, store: Store) -> tuple[list[str], Any]:
    """The paths of the files, and the file system that they are in: None for this machine's."""
    keys = [f"{manifest.directory}/{file.name}" for file in manifest.files]
    local = [store.local_path(key) for key in keys]
    if all(path is not None for path in local):
        return [str(path) for path in local], None
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    from rayflow.store.filesystems import open_filesystem, options_for

    fs, root = open_filesystem(store.url, options_for(store.url.partition("://")[0]))
    return [f"{root}/{key}" for key in keys], PyFileSystem(FSSpecHandler(fs))


def _check(manifest: Manifest, store: Store, name: str) -> None:
    sizes = {entry.key: entry.nbytes for entry in store.entries(manifest.directory)}
    for file in manifest.files:
        key = f"{manifest.directory}/{file.name}"
        path = store.local_path(key)
        if key not in sizes:
            raise StoreMissing(f"{path or key}, a file of dataset {name!r}, is gone. Resume the run to compute it again.", key)
        is_whole = sizes[key] == file.nbytes
        if is_whole and path is not None and not is_as_written(path):
            is_whole = blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest() == file.digest
        if not is_whole:
            raise StoreCorrupt(
                f"{path or key} is damaged: it is not what was stored of dataset {name!r}. Resume the run to compute it again.", key
            )


DECODERS: dict[str, Callable[[memoryview], Any]] = {"dataset": Manifest.from_bytes}
