"""What this process has mapped, and whether it still is what the file says: told by the kernel instead of by reading a gigabyte.

A blob is mapped privately: a page that is written becomes memory of its own, and `/proc/self/pagemap` says of each page whether it
is still the file's. That takes 15 ms a GiB, a hash 370 ms. Pages that were written are compared with the file, so that the answer is
exact; where the kernel does not tell (macOS, gVisor), all are.

So a step that inherits a value and leaves it alone is done with it at once, and a value that is passed on under another name, or
from an input of a join, is not written again.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_PAGE = mmap.PAGESIZE
_PIECE_NBYTES = 1 << 20
_PAGES_AT_ONCE = 1 << 18
_IS_WRITTEN = bytes(not flags & 0x20 and bool(flags & 0xC0) for flags in range(256))
"""By the top byte of a page's entry: it is not the file's (0x20), and is in memory (0x80) or swapped out (0x40)."""
_RUN = re.compile(b"\1+")


class _Mapping(NamedTuple):
    memory: weakref.ref[mmap.mmap]
    start: int
    stop: int
    path: str


_mappings: dict[int, _Mapping] = {}
"""By id of the mmap object, whose end takes them out."""


def note_mapping(memory: mmap.mmap, path: str) -> None:
    """Remembers what `path` is mapped as, for as long as the mapping lives."""
    start, key = _address_of(memory), id(memory)
    if start is not None:
        alive = weakref.ref(memory, lambda _: _mappings.pop(key, None))
        _mappings[key] = _Mapping(alive, start, start + len(memory), path)


def path_behind(chunks: Iterable[bytes | memoryview]) -> str | None:
    """The file that the largest of the chunks is mapped from, if any is."""
    found = _mapping_of(max(chunks, key=len, default=b""))
    return None if found is None else found[0].path


def holds(path: str, chunks: Iterable[bytes | memoryview]) -> bool:
    """Whether the file consists of these bytes. Reads neither what is mapped from there and was not written since, nor anything behind
    the first difference. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = 0
        for chunk in chunks:
            if not all(_is_equal(fd, at + start, chunk[start:stop]) for start, stop in _unsure(path, at, chunk)):
                return False
            at += len(chunk)
        return os.fstat(fd).st_size == at
    finally:
        os.close(fd)


def _unsure(path: str, at: int, chunk: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """The parts of a chunk that are not known to be the file's bytes at `at`."""
    found = _mapping_of(chunk)
    if found is None or found[0].path != path or found[1] != found[0].start + at:
        yield 0, len(chunk)
        return
    start = found[1]
    for first, last in _written(start, start + len(chunk)):
        yield max(0, first - start), min(len(chunk), last - start)


def _is_equal(fd: int, at: int, chunk: bytes | memoryview) -> bool:
    pieces = range(0, len(chunk), _PIECE_NBYTES)
    return all(os.pread(fd, len(piece := chunk[start : start + _PIECE_NBYTES]), at + start) == piece for start in pieces)


def _written(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """(first, last) addresses of runs of pages that were written since they were mapped, or may have been."""
    end = -(-stop // _PAGE)
    for page in range(start // _PAGE, end, _PAGES_AT_ONCE):
        for run in _RUN.finditer(_flags(page, min(_PAGES_AT_ONCE, end - page))):
            yield (page + run.start()) * _PAGE, (page + run.end()) * _PAGE


def _flags(page: int, count: int) -> bytes:
    """1 for each page that may have been written, else 0."""
    try:
        fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            entries = os.pread(fd, 8 * count, 8 * page)
        finally:
            os.close(fd)
    except OSError:
        entries = b""
    top = entries[7::8] if sys.byteorder == "little" else entries[::8]
    return top.translate(_IS_WRITTEN) if len(top) == count else b"\1" * count


def _mapping_of(chunk: bytes | memoryview) -> tuple[_Mapping, int] | None:
    """The mapping that a chunk lies in, and the chunk's address."""
    start = _address_of(chunk) if len(chunk) >= _PAGE else None
    if start is None:
        return None
    for mapping in list(_mappings.values()):
        if mapping.start <= start and start + len(chunk) <= mapping.stop:
            return mapping, start
    return None


def _address_of(buffer: Any) -> int | None:
    """None where no library is loaded that tells it: then the value is none of that library."""
    if isinstance(buffer, mmap.mmap):
        import ctypes

        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    numpy, pyarrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
    if numpy is not None:
        return numpy.frombuffer(buffer, numpy.uint8).__array_interface__["data"][0]
    return None if pyarrow is None else pyarrow.py_buffer(buffer).address
