"""Values read from a bucket, kept on this machine's disk: the next look, in this process or another, needs no network for them.

What is kept never changes under its key: packs, whose names are random, and blobs, whose names are digests. So nothing is ever asked
again, nothing goes stale, and runs of two endpoints may share a bucket's name. Kept are ranges, as they were read. A file is the digest
of the rest (blake2b, 32 bytes), and the rest: what a disk damaged is fetched again. The files that were not used for longest go first.

The setting CACHE says where (`off`: nowhere), CACHE_GB how much. A cache that cannot be written to is no error.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b

from rayflow.model.entry import Entry
from rayflow.model.ports import Store
from rayflow.settings.reading import StatedSettings
from rayflow.settings.table import CACHE, CACHE_GB

DEFAULT_GB = 10.0

_SHELF, _FILE = re.compile("[0-9a-f]{2}"), re.compile(r"[0-9a-f]{30}(\.[0-9a-f]{16}\.tmp)?")
"""The names that are the cache's own: the directory is the user's."""
_DIGEST_NBYTES = 32
_KEPT = ("packs", "blobs")
_LARGEST_SHARE = 0.25
"""A larger part of the cache than this is not given to one value."""
_LEFT_SHARE = 0.8
"""How full the cache is after old values went."""
_TOUCH_EVERY_S = 3600.0


def cached(store: Store, settings: StatedSettings) -> Store:
    """The store, its values kept as the settings say; a local store is given back as it is. UsageError for a limit that is no number."""
    if store.local_path("rayflow.json") is not None:
        return store
    place = settings[CACHE] or os.path.join(_home_of_caches(settings.environ), "rayflow")
    if place.lower() == "off":
        return store
    limit_gb = settings[CACHE_GB]
    return CachedStore(store, _cache_at(os.path.abspath(place), int((DEFAULT_GB if limit_gb is None else limit_gb) * 1e9)))


def _home_of_caches(environ: Mapping[str, str]) -> str:
    return environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")


@lru_cache(maxsize=8)
def _cache_at(directory: str, limit_nbytes: int) -> Cache:
    return Cache(directory, limit_nbytes)


class Cache:
    """Bytes by name in a directory, at most `limit_nbytes` of them for long. Any number of processes and threads may use it at once."""

    def __init__(self, directory: str, limit_nbytes: int) -> None:
        self.directory = directory
        self.limit_nbytes = limit_nbytes
        self._held_nbytes: int | None = None
        """As far as this process knows: others keep values too. None before it looked."""

    def get(self, name: str) -> bytes | None:
        """What was kept under the name; None where nothing is, or its file was damaged."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                digest, content = file.read(_DIGEST_NBYTES), file.read()
                used_s = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        if digest != _digest(content):
            return None
        if time.time() - used_s > _TOUCH_EVERY_S:
            with suppress(OSError):
                os.utime(path)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Keeps the bytes, unless they are too many or the disk does not take them."""
        if len(content) > self.limit_nbytes * _LARGEST_SHARE:
            return
        path = self._path(name)
        temporary = f"{path}.{os.urandom(8).hex()}.tmp"
        try:
            for directory in (self.directory, os.path.dirname(path)):
                os.makedirs(directory, mode=0o700, exist_ok=True)
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_digest(content))
                file.write(content)
            os.replace(temporary, path)
            self._grow(len(content) + _DIGEST_NBYTES)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)

    def _grow(self, nbytes: int) -> None:
        """Makes room where the limit is passed."""
        self._held_nbytes = self._held_nbytes + nbytes if self._held_nbytes is not None else sum(size for _, size, _ in self._files())
        if self._held_nbytes <= self.limit_nbytes:
            return
        files = sorted(self._files())
        held = sum(size for _, size, _ in files)
        for _, size, path in files:
            if held <= self.limit_nbytes * _LEFT_SHARE:
                break
            with suppress(OSError):
                os.unlink(path)
            held -= size
        self._held_nbytes = held

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """(last use, size, path) of every file, also of those that a killed process began."""
        for shelf in _entries(self.directory, _SHELF):
            for file in _entries(shelf.path, _FILE):
                with suppress(OSError):
                    status = file.stat(follow_symlinks=False)
                    yield status.st_mtime, status.st_size, file.path

    def _path(self, name: str) -> str:
        hashed = blake2b(name.encode(), digest_size=16).hexdigest()
        return os.path.join(self.directory, hashed[:2], hashed[2:])


def _entries(directory: str, names: re.Pattern[str]) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(directory) as entries:
        return [entry for entry in entries if names.fullmatch(entry.name)]
    return []


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_NBYTES).digest()


class CachedStore:
    """A `Store` that keeps the values which it reads."""

    can_append = False

    def __init__(self, store: Store, cache: Cache) -> None:
        self.url = store.url
        self._store = store
        self._cache = cache

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        parts = key.split("/")
        if len(parts) < 5 or parts[1] != "runs" or parts[3] not in _KEPT:
            return self._store.read(key, start, stop)
        name = f"{self.url}/{key} {start} {stop}"
        content = self._cache.get(name)
        if content is None:
            content = self._store.read(key, start, stop)
            self._cache.put(name, content)
        return content

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        return self._store.write(key, chunks, only_new=only_new)

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        self._store.append(key, line, is_durable=is_durable)

    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)

    def entries(self, prefix: str) -> Iterator[Entry]:
        return self._store.entries(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def local_path(self, key: str) -> str | None:
        return self._store.local_path(key)
