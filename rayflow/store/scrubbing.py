"""Taking back what was printed: bytes are overwritten where they lie, so that every record which names a range of them stays true.

A range becomes a line that says so, and zeros, which readers of output leave out (`without_filling`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from rayflow.model.errors import StoreMissing
from rayflow.model.ports import Store
from rayflow.store.local import fault

REDACTED = b"[REDACTED]\n"


def scrub(store: Store, key: str, ranges: Iterable[tuple[int, int]]) -> int:
    """Overwrites ranges [begin, end) of an object; returns how many bytes that were. Nothing happens where it is gone.

    On a local disk this is done in place, since its writer may still append to it. Not promised: atomicity; what was interrupted is to be
    done again.
    """
    path = store.local_path(key)
    if path is None:
        return _scrub_object(store, key, ranges)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            size, done = os.fstat(fd).st_size, 0
            for begin, end in ranges:
                filling = _filling(min(end, size) - begin)
                done += os.pwrite(fd, filling, begin) if filling else 0
            os.fsync(fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise fault(error, path, "write") from error
    return done


def _scrub_object(store: Store, key: str, ranges: Iterable[tuple[int, int]]) -> int:
    try:
        content = bytearray(store.read(key))
    except StoreMissing:
        return 0
    done = 0
    for begin, end in ranges:
        filling = _filling(min(end, len(content)) - begin)
        content[begin : begin + len(filling)] = filling
        done += len(filling)
    if done:
        store.write(key, [bytes(content)])
    return done


def _filling(nbytes: int) -> bytes:
    return (REDACTED + b"\0" * (nbytes - len(REDACTED)))[: max(0, nbytes)]


def without_filling(content: bytes) -> bytes:
    """What a reader is to see of output: of what was overwritten only the line that says so."""
    return content.rstrip(b"\0") if content.startswith(REDACTED) else content
