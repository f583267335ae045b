"""A disk that remembers what was done to it, so that it can be shown as a crash at any moment may have left it.

`recorded` notes every operation by which the store changes the disk, in order; `state_after` computes what is there if the machine
stopped after some of them, under the least that POSIX promises: bytes are safe once their file was synced, names once their directory was.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from rayflow.store import local, writing


@dataclass(frozen=True)
class Op:
    """One operation. `file` numbers the files in the order of their creation."""

    kind: str  # create, write, sync, sync directory, rename, link, unlink, mkdir, rmdir
    path: str
    other: str = ""
    file: int = -1
    data: bytes = b""


@dataclass
class Disk:
    """What was done, and what was said meanwhile: (number of operations before it, fact). `fails` may raise instead of letting the n-th
    operation be done."""

    ops: list[Op] = field(default_factory=list[Op])
    said: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])
    fails: Callable[[int, Op], None] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def say(self, fact: Any) -> None:
        with self.lock:
            self.said.append((len(self.ops), fact))

    def before(self, moment: int) -> list[Any]:
        """What was said before the machine stopped after `moment` operations."""
        return [fact for at, fact in self.said if at <= moment]


class _Os:
    """`os`, as the store sees it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._files: dict[int, tuple[str, int]] = {}  # descriptor -> (path, file)
        self._numbers: dict[tuple[int, int], int] = {}  # (device, inode) -> file
        self.fdatasync = self.fsync

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def knows(self, path: str, file: int) -> None:
        """The file at `path` has that number."""
        status = os.stat(path)
        self._numbers[status.st_dev, status.st_ino] = file

    def _do(self, op: Op, act: Callable[[], Any]) -> Any:
        with self._disk.lock:
            if self._disk.fails is not None:
                self._disk.fails(len(self._disk.ops), op)
            result = act()
            self._disk.ops.append(op)
            return result

    def _file(self, fd: int) -> int:
        status = os.fstat(fd)
        return self._numbers.setdefault((status.st_dev, status.st_ino), max(self._numbers.values(), default=0) + 1)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        if not flags & os.O_CREAT:
            fd = os.open(path, flags, mode)
            self._files[fd] = (path, -1 if flags & os.O_DIRECTORY else self._file(fd))
            return fd
        with self._disk.lock:
            is_new = not os.path.lexists(path)
            if self._disk.fails is not None:
                self._disk.fails(len(self._disk.ops), Op("create", path))
            fd = os.open(path, flags, mode)
            number = self._file(fd)
            if is_new:
                # An inode that is used again is another file.
                status = os.fstat(fd)
                number = self._numbers[status.st_dev, status.st_ino] = max(self._numbers.values(), default=0) + 1
                self._disk.ops.append(Op("create", path, file=number))
            self._files[fd] = (path, number)
            return fd

    def close(self, fd: int) -> None:
        self._files.pop(fd, None)
        os.close(fd)

    def write(self, fd: int, data: Any) -> int:
        path, number = self._files[fd]
        return self._do(Op("write", path, file=number, data=bytes(data)), lambda: os.write(fd, data))

    def writev(self, fd: int, parts: Any) -> int:
        return self.write(fd, b"".join(bytes(part) for part in parts))

    def fsync(self, fd: int) -> None:
        path, number = self._files[fd]
        self._do(Op("sync directory" if number < 0 else "sync", path, file=number), lambda: os.fsync(fd))

    def rename(self, path: str, other: str) -> None:
        self._do(Op("rename", path, other), lambda: os.rename(path, other))

    def link(self, path: str, other: str) -> None:
        self._do(Op("link", path, other), lambda: os.link(path, other))

    def unlink(self, path: str) -> None:
        self._do(Op("unlink", path), lambda: os.unlink(path))

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._do(Op("mkdir", path), lambda: os.mkdir(path, mode))

    def rmdir(self, path: str) -> None:
        self._do(Op("rmdir", path), lambda: os.rmdir(path))


@contextmanager
def recorded(fails: Callable[[int, Op], None] | None = None, after: Sequence[Op] = ()) -> Iterator[Disk]:
    """Notes what the store does, in this process, `after` what was done to the files before."""
    disk = Disk(list(after), fails=fails)
    seen = _Os(disk)
    for path, file in names_after(disk.ops).items():
        seen.knows(path, file)
    with (
        mock.patch.object(local, "os", seen),
        mock.patch.object(writing, "os", seen),
        mock.patch.object(local, "_sync_data", seen.fdatasync),
        mock.patch.object(local, "begin_sync", lambda *_: None),
        mock.patch.object(writing, "begin_sync", lambda *_: None),
    ):
        yield disk


def failing(number: int, code: int, *, for_ever: bool) -> Callable[[int, Op], None]:
    """The operation of that number fails; with `for_ever` all from there on."""
    is_over = False

    def fails(at: int, op: Op) -> None:
        nonlocal is_over
        if at >= number and not is_over:
            is_over = not for_ever
            raise OSError(code, os.strerror(code), op.path)

    return fails


ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.ETIMEDOUT)


def unsafe(ops: list[Op]) -> list[int]:
    """The operations that a crash now could undo: by number."""
    waiting: dict[str | int, list[int]] = {}
    for number, op in enumerate(ops):
        if op.kind == "sync":
            waiting.pop(op.file, None)
        elif op.kind == "sync directory":
            waiting.pop(op.path, None)
        elif op.kind == "write":
            waiting.setdefault(op.file, []).append(number)
        else:
            waiting.setdefault(os.path.dirname(op.other or op.path), []).append(number)
    return sorted(number for numbers in waiting.values() for number in numbers)


def names_after(ops: list[Op], lost: frozenset[int] = frozenset()) -> dict[str, int]:
    """The file behind each path."""
    names: dict[str, int] = {}
    for number, op in enumerate(ops):
        if number in lost:
            continue
        if op.kind == "create":
            names[op.path] = op.file
        elif op.kind == "rename" and op.path in names:
            names[op.other] = names.pop(op.path)
        elif op.kind == "link" and op.path in names:
            names[op.other] = names[op.path]
        elif op.kind == "unlink":
            names.pop(op.path, None)
    return names


def state_after(ops: list[Op], lost: frozenset[int] = frozenset(), torn: int | None = None) -> dict[str, bytes]:
    """The files that are there, by path, if the operations `lost` never reached the disk, and of the last one, where that is a write, only
    the first `torn` bytes did."""
    contents: dict[int, bytes] = {}
    for number, op in enumerate(ops):
        if op.kind == "write":
            data = b"\0" * len(op.data) if number in lost else op.data
            if torn is not None and number == len(ops) - 1:
                data = data[:torn]
            contents[op.file] = contents.get(op.file, b"") + data
    cut = {op.file for number, op in enumerate(ops) if op.kind == "write" and number in lost}
    return {
        path: contents.get(file, b"").rstrip(b"\0") if file in cut else contents.get(file, b"")
        for path, file in names_after(ops, lost).items()
    }


def written(state: dict[str, bytes], old: str, new: Path) -> None:
    """Makes the files of a state, which lay under `old`, under the directory `new`."""
    new.mkdir(parents=True, exist_ok=True)
    for path, content in state.items():
        target = new / os.path.relpath(path, old)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
