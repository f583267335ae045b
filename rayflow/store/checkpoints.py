"""Checkpoints of tasks: what a step saves while it works, so that its next attempt, or the resume of a run that died, goes on from there.

A checkpoint is some data objects and, written last, a manifest that names them with their sizes and digests: what is cut short is never
seen. Of a series (`name`) the last few are kept. They lie below the run that saved them,

    checkpoints/<step>-<index>[-<lap>]/saved/<name>.<number>.json      the manifest, create-only
                                      /<nonce>/<i>                    the files, or the encoded value

and a task sees those of its own key in its run and in the runs that this one continues, as far as it had the same inputs there. Each
checkpoint has its data for itself: sharing equal files between them (content-addressed, as artifacts are) was rejected, since several
processes of one task may save at once, and removing an old checkpoint must not look for what another is just about to name.

Files are written one after another, each by the store as a whole: on a bucket one takes as much memory as it has bytes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from blake3 import blake3

from rayflow.model.errors import StoreCorrupt, StoreExists, StoreFault, StoreMissing, UserError
from rayflow.model.layout import RunLayout, safe_name
from rayflow.model.ports import Store
from rayflow.store.codecs import decode, encode

DEFAULT_NAME = "checkpoint"
_PIECE_NBYTES = 8 << 20
_VALUE, _FILE, _DIRECTORY = "value", "file", "directory"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """A data object: the file that it was (empty for a value), its key, its bytes, their digest (hex BLAKE3)."""

    path: str
    key: str
    nbytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint: the `number`-th of series `name`, which run `run` saved at `saved_us` (microseconds since 1970, UTC)."""

    name: str
    number: int
    run: str
    saved_us: int
    kind: str
    pieces: tuple[Piece, ...]
    codec: str = ""

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return sum(piece.nbytes for piece in self.pieces)

    @staticmethod
    def from_json(content: bytes, key: str) -> Saved:
        """StoreCorrupt where that is no manifest."""
        try:
            form: dict[str, Any] = json.loads(content)
            pieces = tuple(Piece(**piece) for piece in form.pop("pieces"))
            return Saved(pieces=pieces, **form)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreCorrupt(f"The checkpoint {key} is damaged: {error}.", key) from error


class Checkpoints:
    """`current.checkpoint`: the checkpoints of one task. `runs` tells in which runs the task looks for them, its own first; `keep` is how
    many of each name stay; `scratch` is where temporary directories are made.

    It can be pickled: a process that the task starts (a worker of Ray Train) saves and loads what the task itself does.
    """

    def __init__(
        self, store: Store, flow: str, runs: Callable[[], tuple[str, ...]], task: str, keep: int, scratch: str | None = None
    ) -> None:
        self._store = store
        self._flow = flow
        self._told_runs = runs
        self._task = task
        self._keep = keep
        self._scratch = scratch
        self._directory: str | None = None
        self._temporary: list[str] = []
        self._found_any: bool | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._store.url, self._flow, self._runs, self._task, self._keep)

    @cached_property
    def _runs(self) -> tuple[str, ...]:
        return self._told_runs()

    def __repr__(self) -> str:
        return f"<checkpoints of {self._flow}/{self._task}>"

    @property
    def is_loaded(self) -> bool:
        """Whether an earlier attempt, or a run that this one continues, left a checkpoint."""
        if self._found_any is None:
            self._found_any = next(self._keys(None), None) is not None
        return self._found_any

    @property
    def directory(self) -> str:
        """A directory of the attempt's own, which begins with the files of the newest checkpoint called "checkpoint", where that is files.
        It is removed when the attempt is over: `save()` keeps what is in it."""
        if self._directory is None:
            self._directory = self._made()
            newest = self._newest(DEFAULT_NAME)
            if newest is not None and newest.kind != _VALUE:
                self._restored(newest, self._directory)
        return self._directory

    def save(self, what: Any = None, *, name: str = DEFAULT_NAME) -> Saved:
        """Saves a file or a directory (a path), or any other value that an artifact could be; by default what is in `directory`. It is
        durable when this returns. UserError for a path that is not there, ArtifactUnserializable for a value that cannot be stored."""
        safe_name("The name of a checkpoint", name)
        if "." in name:
            raise UserError(f"A checkpoint cannot be called {name!r}: give a name without '.'.")
        _ = self.is_loaded  # known before there is one of our own
        before = self._newest(name)
        number = before.number + 1 if before is not None else 1
        kind, codec, pieces = self._written(self.directory if what is None else what, name)
        while True:
            saved = Saved(name, number, self._runs[0], time.time_ns() // 1000, kind, pieces, codec)
            try:
                self._store.write(self._key(saved.run, name, number), [json.dumps(asdict(saved)).encode()], only_new=True)
                break
            except StoreExists:
                number += 1
        self._forget_old(name)
        return saved

    def load(self, name: str = DEFAULT_NAME) -> Any:
        """The newest checkpoint of that name: the value, or the path of a temporary copy of the file or directory. None where there is
        none. One that is damaged is passed over, for the one before it, with a warning."""
        for saved in self._series(name):
            try:
                return self._loaded(saved)
            except (StoreCorrupt, StoreMissing) as fault:
                _log.warning("Checkpoint %d '%s' of %s is passed over. %s", saved.number, name, self._task, fault)
        return None

    def saved(self, name: str | None = None) -> list[Saved]:
        """The checkpoints, or those of that name, newest first."""
        names = [name] if name is not None else list(dict.fromkeys(_parts(key)[0] for key in self._keys(None)))
        return sorted((saved for each in names for saved in self._series(each)), key=lambda saved: -saved.saved_us)

    def close(self) -> None:
        """Removes the temporary directories."""
        self._directory = None
        while self._temporary:
            shutil.rmtree(self._temporary.pop(), ignore_errors=True)

    # -- what there is -------------------------------------------------------------------------------------------------

    def _keys(self, name: str | None, runs: Iterable[str] | None = None) -> Iterator[str]:
        """Manifests, those of this run first, in each run those with the highest number first."""
        for run in self._runs if runs is None else runs:
            prefix = f"{RunLayout(self._flow, run).checkpoints(self._task)}/saved"
            keys = [key for key in self._store.list(prefix) if name is None or _parts(key)[0] == name]
            yield from sorted(keys, key=lambda key: -_parts(key)[1])

    def _series(self, name: str) -> Iterator[Saved]:
        for key in self._keys(name):
            try:
                yield Saved.from_json(self._store.read(key), key)
            except StoreMissing:  # just removed, by whoever saved a newer one
                continue
            except StoreCorrupt as fault:
                _log.warning("A checkpoint is passed over. %s", fault)

    def _newest(self, name: str) -> Saved | None:
        return next(self._series(name), None)

    def _key(self, run: str, name: str, number: int) -> str:
        return f"{RunLayout(self._flow, run).checkpoints(self._task)}/saved/{name}.{number:06d}.json"

    # -- writing -------------------------------------------------------------------------------------------------------

    def _written(self, what: Any, name: str) -> tuple[str, str, tuple[Piece, ...]]:
        """The data objects of a checkpoint that has no manifest yet."""
        prefix = f"{RunLayout(self._flow, self._runs[0]).checkpoints(self._task)}/{uuid.uuid4().hex}"
        if not isinstance(what, (str, os.PathLike)):
            encoded = encode(what, name=name, tables="arrow" if self._store.can_append else "parquet")
            return _VALUE, encoded.codec, (self._piece("", f"{prefix}/0", iter(encoded.chunks)),)
        path = os.fspath(what)
        if os.path.isfile(path):
            return _FILE, "", (self._piece(os.path.basename(path), f"{prefix}/0", _pieces_of(path)),)
        if not os.path.isdir(path):
            raise UserError(f"There is no file or directory {path} to save as a checkpoint. Give a path that is there, or a value.")
        files = sorted(_files_below(path))
        found = (self._piece(name, f"{prefix}/{i}", _pieces_of(os.path.join(path, name))) for i, name in enumerate(files))
        return _DIRECTORY, "", tuple(found)

    def _piece(self, path: str, key: str, chunks: Iterable[bytes | memoryview]) -> Piece:
        hasher = blake3()

        def passed() -> Iterator[bytes | memoryview]:
            for chunk in chunks:
                hasher.update(chunk)
                yield chunk

        nbytes = self._store.write(key, passed())
        return Piece(path, key, nbytes, hasher.hexdigest())

    def _forget_old(self, name: str) -> None:
        """Of this run's own; the manifest first, so that nothing names what is gone."""
        for key in list(self._keys(name, self._runs[:1]))[self._keep :]:
            try:
                old = Saved.from_json(self._store.read(key), key)
            except StoreFault:
                continue
            self._store.delete(key)
            for piece in old.pieces:
                self._store.delete(piece.key)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _loaded(self, saved: Saved) -> Any:
        if saved.kind == _VALUE:
            (piece,) = saved.pieces
            content = bytearray(self._store.read(piece.key))
            _check(piece, blake3(content).hexdigest(), len(content))
            return decode(saved.codec, content, name=saved.name)
        directory = self._made()
        self._restored(saved, directory)
        return os.path.join(directory, saved.pieces[0].path) if saved.kind == _FILE else directory

    def _restored(self, saved: Saved, directory: str) -> None:
        for piece in saved.pieces:
            path = os.path.normpath(os.path.join(directory, piece.path))
            if not path.startswith(directory + os.sep):
                raise StoreCorrupt(f"The checkpoint has a file {piece.path!a}, which would leave its directory.", piece.key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            hasher, nbytes = blake3(), 0
            with open(path, "wb") as file:
                while nbytes < piece.nbytes:
                    chunk = self._store.read(piece.key, nbytes, min(nbytes + _PIECE_NBYTES, piece.nbytes))
                    if not chunk:
                        break
                    hasher.update(chunk)
                    nbytes += file.write(chunk)
            _check(piece, hasher.hexdigest(), nbytes)

    def _made(self) -> str:
        scratch = self._scratch if self._scratch and os.path.isdir(self._scratch) else None
        directory = tempfile.mkdtemp(prefix="checkpoint-", dir=scratch)
        self._temporary.append(directory)
        return os.path.realpath(directory)


def checkpoints_below(store: Store, layout: RunLayout) -> Iterator[tuple[str, Saved]]:
    """The manifests of a run's checkpoints, and what they say. StoreCorrupt where one is damaged."""
    for key in store.list(layout.all_checkpoints):
        if key.rpartition("/")[0].endswith("/saved"):
            yield key, Saved.from_json(store.read(key), key)


def _reopened(url: str, flow: str, runs: tuple[str, ...], task: str, keep: int) -> Checkpoints:
    from rayflow.store.opening import open_store

    return Checkpoints(open_store(url), flow, lambda: runs, task, keep)


def _check(piece: Piece, digest: str, nbytes: int) -> None:
    if nbytes != piece.nbytes or digest != piece.digest:
        raise StoreCorrupt(f"{piece.key} is damaged: it is not what was saved.", piece.key)


def _parts(key: str) -> tuple[str, int]:
    """The name and the number in the key of a manifest."""
    name, _, rest = key.rpartition("/")[2].partition(".")
    number = rest.partition(".")[0]
    return name, int(number) if number.isdecimal() else 0


def _files_below(directory: str) -> Iterator[str]:
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, directory).replace(os.sep, "/")


def _pieces_of(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_PIECE_NBYTES):
            yield chunk
