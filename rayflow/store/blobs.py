"""Artifacts of one run: small ones within their record, large ones as files of their own, named by the digest of their bytes.

On a local root a blob is mapped, privately and writably: loading a gigabyte costs no copy, and what a step changes in it never
reaches the file. Digests are verified on reading, except where the file is as this machine wrote it since it was booted (see
`stamps`): 0.1 to 0.15 s a GiB.

Blobs below 1 MiB are read, not mapped: a process may have only 65,530 mappings (vm.max_map_count), and a join may load
100,000 splits.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from blake3 import blake3

from rayflow.model.errors import RayflowException, StoreCorrupt, StoreMissing, SystemFault
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact
from rayflow.store import datasets, slices
from rayflow.store.codecs import Encoded, decode, encode
from rayflow.store.datasets import Place
from rayflow.store.local import LocalStore, fault
from rayflow.store.mapped import holds, note_mapping, path_behind
from rayflow.store.stamps import is_as_written, stamp

INLINE_NBYTES = 32 * 1024
"""What encodes to no more than this lies in the record itself."""

_MAP_FROM_NBYTES = 1 << 20
_PART_NBYTES = 16 << 20
_PARALLEL_READS = _PARALLEL_WRITES = 8
_TOGETHER, _TOGETHER_NBYTES = 64, 64 << 20
_PARTS_TOGETHER = 16
_THREADED_HASH_NBYTES = 4 << 20
_HASH_BESIDE_NBYTES = 16 << 20
_IMMUTABLE = frozenset({"json", "text", "bytes", "range", "sliced", "dataset"})
"""Codecs whose values never share the memory that they are decoded from."""

_TABLE_EXTENSIONS = frozenset({".arrow", ".parquet"})

Lend = Callable[[], "bytearray | memoryview | None"]
"""Gives the bytes of a blob without the store, the caller's own to change where they are writable; None where they are lost."""

_LENT_WAIT_S, _LENT_LOOK_S = 600.0, 0.5


class Blobs:
    """Puts and loads the artifacts of run `run`. `tables` ("arrow" or "parquet") is Arrow on a local root by default, else Parquet.
    Safe to use from several threads."""

    def __init__(
        self,
        store: Store,
        flow: str,
        run: str,
        *,
        tables: str | None = None,
        by_value_modules: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._layout = RunLayout(flow, run)
        self._tables = tables or ("arrow" if store.can_append else "parquet")
        self._by_value_modules = by_value_modules
        self._place = Place(store, self._layout)
        self._put: set[str] = set()
        self._lent: Mapping[str, Lend] = {}

    def put(self, name: str, value: object, *, tables_as_files: bool = False) -> Artifact:
        """Stores a value (or what `encode` made of it) and describes it; durable when this returns, if it is a blob. An `Artifact`
        is returned as it is. With `tables_as_files` even a small table becomes a file, which any tool opens.
        Raises `ArtifactUnserializable`, `StoreFault`."""
        if isinstance(value, Artifact):
            return value
        encoded = value if isinstance(value, Encoded) else self.encode(name, value)
        if _is_small(encoded, tables_as_files):
            return _artifact(encoded)
        digest = self._digest_of_mapped(encoded)
        if digest is not None:
            self._put.add(f"{digest}{encoded.extension}")
        elif encoded.nbytes >= _HASH_BESIDE_NBYTES and isinstance(self._store, LocalStore):
            digest = self._write_while_hashing(encoded, self._store)
        else:
            digest = _digest(encoded.chunks, encoded.nbytes)
            self._write_once({f"{digest}{encoded.extension}": encoded})
        return _artifact(encoded, digest)

    def lend(self, values: Mapping[str, Lend]) -> None:
        """Content of blobs that this process can have without the store, by name, in place of what it could have before."""
        self._lent = values

    def write(self, blobs: Mapping[str, Encoded]) -> None:
        """Stores what `put_all` left for later."""
        self._write_once(blobs)

    def put_all(
        self,
        values: Mapping[str, object],
        *,
        tables_as_files: bool = False,
        skips_unserializable: bool = False,
        later: dict[str, Encoded] | None = None,
    ) -> dict[str, Artifact]:
        """As `put` of each under its name; blobs of moderate size are written together, some at a time, and a value that has several names
        once. With `later` nothing is stored: what is to be goes there, by the name of its blob, for `write`."""
        stored: dict[str, Artifact] = {}
        waiting: dict[str, Encoded] = {}
        names: dict[int, str] = {}
        for name, value in values.items():
            other = names.setdefault(id(value), name)
            if other in stored:
                stored[name] = stored[other]
                continue
            if skips_unserializable and datasets.is_dataset(value):
                continue  # what a failed attempt left is not computed
            try:
                encoded = value if isinstance(value, (Artifact, Encoded)) else self.encode(name, value)
            except RayflowException as error:
                if skips_unserializable and not isinstance(error, SystemFault):
                    continue
                raise
            if later is not None and isinstance(encoded, Encoded) and not _is_small(encoded, tables_as_files):
                stored[name] = artifact = _artifact(encoded, _digest(encoded.chunks, encoded.nbytes))
                later[f"{artifact.blob}"] = encoded
                continue
            if isinstance(encoded, Artifact) or not _is_moderate(encoded, tables_as_files):
                stored[name] = self.put(name, encoded, tables_as_files=tables_as_files)
                continue
            stored[name] = artifact = _artifact(encoded, _digest(encoded.chunks, encoded.nbytes))
            waiting[f"{artifact.blob}"] = encoded
            if len(waiting) >= _TOGETHER or sum(each.nbytes for each in waiting.values()) >= _TOGETHER_NBYTES:
                self._write_once(waiting)
                waiting.clear()
        self._write_once(waiting)
        return stored

    def in_parts(self, name: str, value: Any, whole: Artifact | None = None) -> object:
        """What to put as an indexed sequence of which readers want a few neighbours at a time. `whole` describes it where it is stored.

        The value (or `whole`) itself where it is mapped, small, or cannot be cut; else a `Slices`, encoded, whose parts of about 4 MiB are
        blobs of their own, which this writes. Raises `StoreFault`.
        """
        kept: Any = value if whole is None else whole
        if self._store.local_path(self._layout.record) is not None or not slices.is_divisible(value):
            return kept
        nbytes = slices.nbytes_of(value) if whole is None else whole.nbytes
        try:
            if nbytes is None:
                kept = self.encode(name, value)
                nbytes = kept.nbytes
            found = self._put_parts(name, value, nbytes) if nbytes >= slices.FROM_NBYTES else None
        except RayflowException as error:  # told when the value itself is put
            if isinstance(error, SystemFault):
                raise
            return value
        return kept if found is None else slices.encode(found, value)

    def _put_parts(self, name: str, value: Any, nbytes: int) -> slices.Slices | None:
        """None where what elements have in common makes the parts larger than the whole."""
        starts: list[int] = []
        parts: list[Artifact] = []
        waiting: dict[str, Encoded] = {}
        total = 0
        for start, part in slices.cut(value, nbytes):
            encoded = self.encode(name, part)
            total += encoded.nbytes
            if total > 2 * nbytes:
                return None
            starts.append(start)
            waiting[str(start)] = encoded
            if len(waiting) >= _PARTS_TOGETHER:
                parts += self.put_all(waiting).values()
                waiting = {}
        parts += self.put_all(waiting).values()
        return slices.Slices(len(value), tuple(starts), tuple(part.owned_by(self._layout.run) for part in parts))

    def encode(self, name: str, value: object) -> Encoded:
        """A value as `put` would store it. Raises `ArtifactUnserializable`."""
        return encode(value, name=name, tables=self._tables, by_value_modules=self._by_value_modules, place=self._place)

    def is_same(self, artifact: Artifact, name: str, value: object) -> bool:
        """Whether `put` would describe this value (perhaps one that was loaded, and changed since) as this artifact."""
        encoded = self.encode(name, value)
        if (encoded.codec, encoded.nbytes) != (artifact.codec, artifact.nbytes):
            return False
        if artifact.inline is not None:
            return encoded.to_bytes() == artifact.inline
        path = self._store.local_path(self.key_of(artifact))
        if path is not None and is_as_written(path):
            return holds(path, encoded.chunks)
        return _digest(encoded.chunks, encoded.nbytes) == artifact.digest

    def load(self, artifact: Artifact, name: str = "") -> Any:
        """The value. Raises `StoreMissing` and `StoreCorrupt`, which name the path and the artifact; `UserError` where a module that
        it needs is missing. What a caller changes in the value is seen by no other."""
        if artifact.inline is not None:
            buffer = artifact.inline if artifact.codec in _IMMUTABLE else bytearray(artifact.inline)
        else:
            buffer = self.read(artifact, name)
        value = decode(artifact.codec, buffer, name=name)
        return datasets.opened(value, self._store, name) if isinstance(value, datasets.Manifest) else value

    def read(self, artifact: Artifact, name: str = "") -> bytes | bytearray | memoryview:
        """The verified bytes of an artifact; a blob's are private and writable."""
        if artifact.inline is not None:
            return artifact.inline
        key = self.key_of(artifact)
        path = self._store.local_path(key)
        is_lent = artifact.blob in self._lent
        if is_lent and (path is None or not is_as_written(path)):
            lent = self._lent[f"{artifact.blob}"]()
            if lent is not None and len(lent) == artifact.nbytes:
                return lent
        if path is None:
            read = _read_when_there if is_lent else _read_parts
            buffer: bytearray | memoryview = read(self._store, key, artifact.nbytes)
            is_trusted = False
        else:
            buffer = map_file(path, name)
            if isinstance(buffer, memoryview) and isinstance(buffer.obj, mmap.mmap):
                note_mapping(buffer.obj, path)
            is_trusted = is_as_written(path)
        if len(buffer) != artifact.nbytes or not (is_trusted or _digest([buffer], len(buffer)) == artifact.digest):
            raise StoreCorrupt(
                f"{path or key} is damaged: it is not what was stored as artifact {name!r}. Resume the run to compute it again.",
                key,
            )
        return buffer

    def key_of(self, artifact: Artifact) -> str:
        """The key of an artifact's blob."""
        layout = self._layout if artifact.run is None else RunLayout(self._layout.flow, artifact.run)
        return layout.blob(artifact.blob or "")

    def _digest_of_mapped(self, encoded: Encoded) -> str | None:
        """The digest of a value that is a blob of this run already, mapped and unchanged. None if it is not, or not surely."""
        path = path_behind(encoded.chunks) if encoded.nbytes >= _MAP_FROM_NBYTES else None
        if path is None:
            return None
        digest, extension = os.path.splitext(os.path.basename(path))
        own = self._store.local_path(self._layout.blob(os.path.basename(path)))
        is_it = path == own and extension == encoded.extension and is_as_written(path) and holds(path, encoded.chunks)
        return digest if is_it else None

    def _write_while_hashing(self, encoded: Encoded, store: LocalStore) -> str:
        """Writes the blob, and hashes it meanwhile (by one thread: the other cores have the copy and the disk to serve); returns the
        digest. A blob of that name is replaced by its equal."""
        with ThreadPoolExecutor(1) as beside:
            digest = beside.submit(_digest, encoded.chunks, encoded.nbytes, threads=1)
            key: Callable[[], str] = lambda: self._layout.blob(f"{digest.result()}{encoded.extension}")  # noqa: E731
            store.write_named_later(self._layout.blobs, encoded.chunks, key)
            stamp(store.local_path(key()))
        return digest.result()

    def _write_once(self, blobs: Mapping[str, Encoded]) -> None:
        """Writes those that are not there."""
        missing: dict[str, Encoded] = {}
        for blob, encoded in blobs.items():
            path = self._store.local_path(self._layout.blob(blob))
            if blob not in self._put and (path is None or not _is_intact(path, blob.partition(".")[0], encoded.nbytes)):
                missing[self._layout.blob(blob)] = encoded
        if len(missing) > 1 and isinstance(self._store, LocalStore):
            self._store.write_together({key: encoded.chunks for key, encoded in missing.items()})
        else:
            _write_each(self._store, missing)
        for key in missing:
            path = self._store.local_path(key)
            if path is not None:
                stamp(path)
        self._put.update(blobs)


def _read_when_there(store: Store, key: str, nbytes: int) -> bytearray:
    """What was lent and is lost may not be stored yet: its writer is at it, or is gone, and then the reader is ended by the driver."""
    deadline = time.monotonic() + _LENT_WAIT_S
    while True:
        try:
            return _read_parts(store, key, nbytes)
        except StoreMissing:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LENT_LOOK_S)


def _is_small(encoded: Encoded, tables_as_files: bool) -> bool:
    return encoded.nbytes <= INLINE_NBYTES and not (tables_as_files and encoded.extension in _TABLE_EXTENSIONS)


def _is_moderate(encoded: Encoded, tables_as_files: bool) -> bool:
    """Whether it is a blob that is better written together with others."""
    return not _is_small(encoded, tables_as_files) and encoded.nbytes < _HASH_BESIDE_NBYTES and path_behind(encoded.chunks) is None


def _write_each(store: Store, blobs: Mapping[str, Encoded]) -> None:
    if len(blobs) <= 1:
        for key, encoded in blobs.items():
            store.write(key, encoded.chunks)
        return
    with ThreadPoolExecutor(min(_PARALLEL_WRITES, len(blobs))) as pool:
        done = [pool.submit(store.write, key, encoded.chunks) for key, encoded in blobs.items()]
    for each in done:
        each.result()


def _artifact(encoded: Encoded, digest: str | None = None) -> Artifact:
    """The description of what lies in a blob of that digest, or within the record."""
    if digest is None:
        return Artifact(encoded.codec, encoded.type, encoded.nbytes, encoded.preview, inline=encoded.to_bytes())
    return Artifact(encoded.codec, encoded.type, encoded.nbytes, encoded.preview, blob=f"{digest}{encoded.extension}", digest=digest)


def digest_of(artifact: Artifact) -> str:
    """The hex BLAKE3 of an artifact's bytes: as recorded, or computed where they are inline."""
    return artifact.digest or blake3(artifact.inline or b"").hexdigest()


def digest_of_bytes(buffer: bytes | bytearray | memoryview) -> str:
    """The hex BLAKE3 of some bytes, on several cores where they are many."""
    return _digest([buffer], len(buffer))


def _digest(chunks: Iterable[bytes | bytearray | memoryview], nbytes: int, threads: int = blake3.AUTO) -> str:
    hasher = blake3(max_threads=threads if nbytes > _THREADED_HASH_NBYTES else 1)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.hexdigest()


def _is_intact(path: str, digest: str, nbytes: int) -> bool:
    """Whether the blob is there already. A damaged one is not: the same value written again repairs it."""
    try:
        if os.stat(path).st_size != nbytes:
            return False
        if is_as_written(path):
            return True
        return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest() == digest
    except OSError:
        return False


def map_file(path: str, artifact_name: str = "") -> bytearray | memoryview:
    """The whole file as private, writable memory. Raises `StoreMissing` or another `StoreFault`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size >= _MAP_FROM_NBYTES:
                return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY))
            buffer = bytearray(size)
            return buffer[: os.preadv(fd, [buffer], 0)] if size else buffer
        finally:
            os.close(fd)
    except FileNotFoundError as error:
        whose = f", which holds artifact {artifact_name!r}," if artifact_name else ""
        raise StoreMissing(f"{path}{whose} is gone. Resume the run to compute it again.", path) from error
    except OSError as error:
        raise fault(error, path, "read") from error


def _read_parts(store: Store, key: str, nbytes: int) -> bytearray:
    """A large object by parallel reads of 16 MiB parts."""
    if nbytes <= _PART_NBYTES:
        return bytearray(store.read(key))
    buffer = bytearray(nbytes)

    def fetch(start: int) -> None:
        part = store.read(key, start, min(start + _PART_NBYTES, nbytes))
        buffer[start : start + len(part)] = part

    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        list(pool.map(fetch, range(0, nbytes, _PART_NBYTES)))
    return buffer[:nbytes]
