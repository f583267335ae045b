"""The store on a local directory, by plain `os` calls.

A write is: a temporary name in the same directory, the bytes, fsync, rename (or link, where only a new object may appear),
fsync of every directory that got a new entry. Directories are made before the file is synced, so that a journalling file
system commits both at once and the later syncs of directories find nothing left to do.

Rejected: fsspec's local file system, which never syncs and whose exclusive create lets two writers win (DESIGN.md, section 3).
Not promised: that fsync empties the drive's own cache on macOS; and, where two processes make the same directory at one moment on a
file system without a journal, that the loser's file outlives a power failure within that moment.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rayflow.model.entry import Entry
from rayflow.model.errors import StoreExists, StoreFault, StoreMissing, StoreReadOnly
from rayflow.store.keys import safe_key
from rayflow.store.writing import begin_sync, write_all, write_pieces

_LEAVING = re.compile(r"(.+)/(\.[0-9a-f]{16}\.tmp)")
"""A temporary file of a write that did not end."""

_MAX_OPEN_APPENDS = 32
_MAX_PRUNED = 50
"""How often a directory is made again that another process prunes at the same moment."""

_PARALLEL_SYNCS = 8

_FLAGS = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_sync_data = getattr(os, "fdatasync", os.fsync)

_WAYS_OUT = {
    errno.ENOSPC: "The disk is full: free some space, or give another root with --root; then resume.",
    errno.EDQUOT: "The disk quota is used up: free some space, or give another root with --root; then resume.",
    errno.EFBIG: "The file is larger than this file system or the process limit (ulimit -f) allows.",
    errno.EACCES: "This user may not do that there: check the owner and the mode, or give another root with --root.",
    errno.EPERM: "The system forbids it: check the file's attributes, or give another root with --root.",
    errno.EROFS: "The file system is read-only: give another root with --root.",
    errno.EIO: "The disk reported an I/O error: check the system log; do not trust this disk.",
    errno.ENOTDIR: "A file lies where a directory should be.",
    errno.EISDIR: "A directory lies where a file should be.",
    errno.ENAMETOOLONG: "The path is longer than this file system allows: give a shorter root.",
    errno.EMFILE: "This process has too many open files: raise `ulimit -n`.",
    errno.ENFILE: "The system has too many open files.",
}
_TRANSIENT = {errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY}


def fault(error: OSError, path: str, deed: str) -> StoreFault:
    """The fault that `error` means, naming the path and the way out. `deed` is a verb ("write")."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and deed == "read":
        return StoreMissing(f"There is no {path}.", path)
    text = f"Cannot {deed} {path}: {error.strerror or error}. {_WAYS_OUT.get(error.errno or 0, '')}".rstrip()
    made = StoreReadOnly(text, path) if error.errno == errno.EROFS else StoreFault(text, path)
    made.is_retryable = error.errno in _TRANSIENT
    return made


@contextmanager
def _faults_named(path: str, deed: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise fault(error, path, deed) from error


class LocalStore:
    """The `Store` port under the directory `path`, which is created by the first write. Safe to use from several threads,
    processes and, where the file system has atomic rename and link (NFS included), machines."""

    can_append = True

    def __init__(self, path: str) -> None:
        self.url = os.path.abspath(path)
        self._appends: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._appends)  # a process may drive thousands of runs, each with a store of its own

    def __repr__(self) -> str:
        return f"LocalStore({self.url!r})"

    def local_path(self, key: str) -> str:
        return f"{self.url}/{safe_key(key)}"

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self.local_path(key)
        with _faults_named(path, "read"):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                end = os.fstat(fd).st_size if stop is None else stop
                return _read_range(fd, start, end)
            finally:
                os.close(fd)

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        path = self.local_path(key)
        with _faults_named(path, "write"):
            return self._write(os.path.dirname(path), chunks, lambda: path, only_new)

    def write_named_later(self, directory: str, chunks: Iterable[bytes | memoryview], key_of: Callable[[], str]) -> int:
        """As `write`, to the key in `directory` that `key_of` tells once the bytes are on the disk: its digest is computed
        meanwhile."""
        parent = self.local_path(directory)
        with _faults_named(parent, "write into"):
            return self._write(parent, chunks, lambda: self.local_path(key_of()), False)

    def write_together(self, objects: Mapping[str, Iterable[bytes | memoryview]]) -> None:
        """As `write` of each, but synced at once: 200 files of 1 MiB in 0.2 s instead of 1 s. After a failure some may be there."""
        written: list[_Written] = []
        touched: list[str] = []
        try:
            for key, chunks in objects.items():
                written.append(_Written.create(self.local_path(key), touched))
                written[-1].fill(chunks)
            with ThreadPoolExecutor(min(_PARALLEL_SYNCS, max(1, len(written)))) as pool:
                list(pool.map(_Written.sync, written))
            for each in written:
                each.publish()
        finally:
            for each in written:
                each.discard()
        _sync_parents([*{os.path.dirname(each.path) for each in written}, *touched])

    def _write(self, parent: str, chunks: Iterable[bytes | memoryview], path_of: Callable[[], str], only_new: bool) -> int:
        temporary = f"{parent}/.{os.urandom(8).hex()}.tmp"
        fd, touched = _create(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS)
        try:
            try:
                nbytes = write_pieces(fd, chunks)
                os.fsync(fd)
            finally:
                os.close(fd)
            if only_new:
                _link(temporary, path_of())
            else:
                os.rename(temporary, path_of())
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        if only_new:
            os.unlink(temporary)
        _sync_directory(parent)
        _sync_parents(touched)
        return nbytes

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        path = self.local_path(key)
        with self._lock, _faults_named(path, "append to"):
            fd = self._append_fd(path)
            write_all(fd, line)
            if is_durable:
                _sync_data(fd)
            if os.fstat(fd).st_nlink == 0:
                self._forget(path)
                raise StoreFault(f"{path} was deleted while it was being written.", key)

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key, _, is_leaving in self._below(prefix) if not is_leaving)

    def entries(self, prefix: str) -> Iterator[Entry]:
        for key, entry, is_leaving in sorted(self._below(prefix), key=lambda each: each[0]):
            with _faults_named(entry.path, "look at"), suppress(FileNotFoundError):  # gone since it was listed
                status = entry.stat()
                yield Entry(key, status.st_size, status.st_mtime_ns // 1000, is_leaving)

    def _below(self, prefix: str) -> list[_Found]:
        top = f"{self.url}/{safe_key(prefix)}" if prefix else self.url
        found: list[_Found] = []
        with _faults_named(top, "list"):
            _collect(top, f"{prefix}/" if prefix else "", found)
        return found

    def delete(self, key: str) -> None:
        leaving = _LEAVING.fullmatch(key)
        path = f"{self.local_path(leaving[1])}/{leaving[2]}" if leaving else self.local_path(key)
        with self._lock:
            self._forget(path)
        with _faults_named(path, "delete"):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)
            self._prune(os.path.dirname(path))

    def close(self) -> None:
        """Closes the files kept open for appending."""
        with self._lock:
            for path in tuple(self._appends):
                self._forget(path)

    def _append_fd(self, path: str) -> int:
        fd = self._appends.get(path)
        if fd is not None:
            self._appends.move_to_end(path)
            return fd
        flags = os.O_WRONLY | os.O_APPEND | _FLAGS
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            fd, touched = _create(path, flags | os.O_CREAT)
            _sync_directory(os.path.dirname(path))
            _sync_parents(touched)
        self._appends[path] = fd
        if len(self._appends) > _MAX_OPEN_APPENDS:
            self._forget(next(iter(self._appends)))
        return fd

    def _forget(self, path: str) -> None:
        fd = self._appends.pop(path, None)
        if fd is not None:
            os.close(fd)

    def _prune(self, directory: str) -> None:
        """Removes empty directories upwards, below the root: objects have no directories, so none should stay behind."""
        while len(directory) > len(self.url):
            try:
                os.rmdir(directory)
            except OSError:  # not empty, gone, or not ours: it stays
                return
            directory = os.path.dirname(directory)


@dataclass
class _Written:
    """A file on its way: under a temporary name until it is published."""

    path: str
    temporary: str
    fd: int

    @staticmethod
    def create(path: str, touched: list[str]) -> _Written:
        """`touched` gets the directories that got a new directory."""
        temporary = f"{os.path.dirname(path)}/.{os.urandom(8).hex()}.tmp"
        with _faults_named(path, "write"):
            fd, new = _create(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS)
        touched.extend(new)
        return _Written(path, temporary, fd)

    def fill(self, chunks: Iterable[bytes | memoryview]) -> None:
        with _faults_named(self.path, "write"):
            write_pieces(self.fd, chunks)
        begin_sync(self.fd, 0, 0)

    def sync(self) -> None:
        with _faults_named(self.path, "write"):
            os.fsync(self.fd)

    def publish(self) -> None:
        with _faults_named(self.path, "write"):
            os.rename(self.temporary, self.path)
        self.temporary = ""

    def discard(self) -> None:
        """Closes the file, and removes it if it was not published."""
        os.close(self.fd)
        if self.temporary:
            with suppress(OSError):
                os.unlink(self.temporary)


def _create(path: str, flags: int) -> tuple[int, list[str]]:
    """The file, opened for writing, and the directories that got a new directory on the way."""
    touched: list[str] = []
    for _ in range(_MAX_PRUNED):
        try:
            return os.open(path, flags, 0o666), touched
        except FileNotFoundError:
            touched += _make_directories(os.path.dirname(path))
    return os.open(path, flags, 0o666), touched


def _make_directories(path: str) -> list[str]:
    """Makes `path` and its parents; returns the directories that got a new entry, deepest first."""
    missing: list[str] = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        with suppress(FileExistsError, FileNotFoundError):  # another made it, or pruned its parent: the caller tries again
            os.mkdir(directory)
    return [os.path.dirname(directory) for directory in missing]


def _read_range(fd: int, start: int, stop: int) -> bytes:
    first = os.pread(fd, stop - start, start) if stop > start else b""
    if len(first) >= stop - start or not first:
        return first
    parts, at = [first], start + len(first)
    while at < stop and (part := os.pread(fd, stop - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _link(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # NFS may answer "exists" to the repetition of a request which it had carried out: two links mean that it was ours.
        if os.stat(temporary).st_nlink != 2:
            raise StoreExists(f"{path} exists already.", path) from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise StoreFault(
            f"Cannot create {path}: its file system has no hard links, without which two drivers could both believe they own a run."
            " Give a root on another file system with --root.",
            path,
        ) from error


def _sync_parents(touched: Iterable[str]) -> None:
    for directory in touched:
        with suppress(FileNotFoundError):  # pruned meanwhile, with what we had made in it
            _sync_directory(directory)


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a directory
            raise
    finally:
        os.close(fd)


_Found = tuple[str, "os.DirEntry[str]", bool]
"""A key, its directory entry, and whether it is a leaving."""


def _collect(directory: str, prefix: str, found: list[_Found]) -> None:
    """Adds the files below `directory`. Hidden names, leavings aside (droppings of other programs), are no objects, and links to
    directories are not followed, since they can form loops."""
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = prefix + entry.name
        is_leaving = entry.name.startswith(".")
        if is_leaving and not _LEAVING.fullmatch(key):
            continue
        if entry.is_dir(follow_symlinks=False):
            _collect(entry.path, f"{key}/", found)
        elif entry.is_file():
            found.append((key, entry, is_leaving))


def _close_all(descriptors: OrderedDict[str, int]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
