"""What a step prints: two append-only files per worker and step, with a span per attempt.

In a worker process descriptors 1 and 2 *are* the files (dup2), so that subprocesses and C code are caught, and what was written
before a crash is there. A sampler notes (time, size of out, size of err) about twenty times a second, so that lines have times
at no cost per line, and it enforces the size cap. In the launcher's own process (inline runs) `sys.stdout` and `sys.stderr` are copied
instead: the debugger's prompt must reach the terminal.

Measured: dup2 and offsets cost 1-2 us a silent split; redirecting Python's streams per split 16 us.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
import tempfile
import threading
import time
from typing import Any, TextIO

from rayflow.model.records import LogSpan
from rayflow.runtime.logfiles import STREAMS, LogFiles

MARK = struct.Struct("<qqq")
SAMPLE_S = 0.05
TRUNCATED = b"[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]\n"
_CUT = b"\n" + TRUNCATED
_STREAMS = ("out", "err")

Sizes = tuple[int, int]
Span = tuple[int, int, int, int]


class Capture:
    """The output of one worker for one step. `sizes` tells where the two files end now."""

    def __init__(self, files: LogFiles, step: str, cap_nbytes: int) -> None:
        self.name = f"{step}/w{os.getpid()}-{os.urandom(3).hex()}"
        self._where = files
        self._cap_nbytes = cap_nbytes
        opened = [self._opened(stream) for stream in STREAMS]
        self._paths, self._files = [path for path, _ in opened], [descriptor for _, descriptor in opened]
        self._begin: Sizes = (0, 0)
        self._kept: Sizes = (0, 0)
        self._streams: tuple[TextIO | None, TextIO | None] = (None, None)
        self._cut = [False, False]
        self._has_cut = False
        self._cutting = threading.Lock()
        self._stopped = threading.Event()
        self._is_busy = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="rayflow-marks", daemon=True)

    def _opened(self, stream: str) -> tuple[str, int]:
        """A stream's file, by name and open; one of no name, where nobody else could find it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        path = self._where.path(self.name, stream)
        if path is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return path, os.open(path, flags, 0o666)
        descriptor, path = tempfile.mkstemp(prefix="rayflow-log-")
        os.close(descriptor)
        descriptor = os.open(path, flags)
        os.unlink(path)
        return f"/dev/fd/{descriptor}", descriptor

    def start(self) -> None:
        """Output goes to the files from now on."""
        _flush()
        self._redirect()
        self._sampler.start()

    def _redirect(self) -> None:
        os.dup2(self._files[0], 1)
        os.dup2(self._files[1], 2)
        self._streams = sys.stdout, sys.stderr = _stream(1), _stream(2)

    def resume(self) -> None:
        """Another batch of the step: what user code may have done to the streams is undone."""
        self._is_busy.set()
        self._begin = self.sizes()
        if all(_is_same_file(number + 1, self._files[number]) for number in (0, 1)):
            self.repair()
        else:
            self._redirect()

    def repair(self) -> None:
        """Streams that user code closed or replaced work again."""
        out, err = self._streams
        if sys.stdout is not out or sys.stderr is not err or out is None or err is None or out.closed or err.closed:
            self._redirect()

    def pause(self) -> None:
        """The batch is over."""
        self._note(time.time_ns() // 1000)
        self._is_busy.clear()
        if self.sizes() != self._kept:
            self._where.keep(self.name, self._paths)
            self._kept = self.sizes()

    def sizes(self) -> Sizes:
        """Where the files end. Python's streams on them write through, so that nothing waits in a buffer. (A seek is a third of the price
        of fstat, and harmless to files that are appended to.)"""
        return os.lseek(self._files[0], 0, os.SEEK_END), os.lseek(self._files[1], 0, os.SEEK_END)

    def end(self) -> Span:
        """(begin, end) of stdout, then of stderr, of the attempt that is over. Streams that it closed or replaced work again; a cut file
        grows again. The next attempt starts there: what is written between them, by a thread that goes on, is the next one's."""
        self.repair()
        begin, files = self._begin, self._files
        end = os.lseek(files[0], 0, os.SEEK_END), os.lseek(files[1], 0, os.SEEK_END)
        if end == begin and not self._has_cut:  # silent, as most of a million splits are
            return end[0], end[0], end[1], end[1]
        with self._cutting:  # the sampler may be about to cut
            end = self.sizes()
            if max(end[0] - begin[0], end[1] - begin[1]) > self._cap_nbytes:  # faster than the sampler looks
                self._enforce_cap()
                end = self.sizes()
            if any(self._cut):
                self._redirect()
                self._cut = [False, False]
                self._has_cut = False
        self._begin = end
        return begin[0], end[0], begin[1], end[1]

    def span(self) -> LogSpan:
        """The span of the attempt that is over."""
        return LogSpan(self.name, *self.end())

    def close(self) -> None:
        """The worker turns to another step. What threads of this one still print goes nowhere."""
        self._stopped.set()
        self._is_busy.set()
        self._sampler.join(1.0)
        for descriptor in self._files:
            os.close(descriptor)

    def _sample(self) -> None:
        while not self._stopped.is_set():
            self._is_busy.wait()
            with contextlib.suppress(OSError):
                self._note(time.time_ns() // 1000)
                with self._cutting:
                    self._enforce_cap()
            self._stopped.wait(SAMPLE_S)

    def _note(self, now_us: int) -> None:
        sizes = (os.fstat(self._files[0]).st_size, os.fstat(self._files[1]).st_size)
        if sizes != getattr(self, "_noted", None):
            os.write(self._files[2], MARK.pack(now_us, *sizes))
            self._noted = sizes

    def _enforce_cap(self) -> None:
        """Cuts what is too long, again where a subprocess still holds the file. The caller holds the lock."""
        for which, descriptor in enumerate(self._files[:2]):
            limit = self._begin[which] + self._cap_nbytes
            if os.fstat(descriptor).st_size <= limit + (len(_CUT) if self._cut[which] else 0):
                continue
            self._cut[which] = self._has_cut = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, which + 1)
            os.close(nowhere)
            os.ftruncate(descriptor, limit)
            os.write(descriptor, _CUT)


class Copied:
    """The output of an inline run: what is printed reaches the terminal and the log alike. Offers what `Capture` does."""

    def __init__(self, files: LogFiles, step: str, cap_nbytes: int) -> None:
        self.name = f"{step}/w{os.getpid()}-{os.urandom(3).hex()}"
        self._store = files.store
        self._layout = files.layout
        self._cap_nbytes = cap_nbytes
        self._tees: list[_Tee] = []
        self._begin: Sizes = (0, 0)
        self._before: tuple[TextIO, TextIO] | None = None
        self._contents = (io.BytesIO(), io.BytesIO())
        self._written = [0, 0]

    def start(self) -> None:
        return None

    def resume(self) -> None:
        self._before = (sys.stdout, sys.stderr)
        self._begin = self.sizes()
        self._insert()

    def _insert(self) -> None:
        assert self._before is not None
        self._tees = [_Tee(stream, log, self._cap_nbytes) for stream, log in zip(self._before, self._contents, strict=True)]
        sys.stdout, sys.stderr = self._tees  # type: ignore[assignment] - a tee is a text stream in all that matters

    def repair(self) -> None:
        """Streams that user code closed or replaced work again."""
        if self._before is not None and any(
            stream is not tee or tee.closed for stream, tee in zip((sys.stdout, sys.stderr), self._tees, strict=True)
        ):
            self._insert()

    def pause(self) -> None:
        if self._before is not None:
            sys.stdout, sys.stderr = self._before
            self._before = None
        for which, stream in enumerate(_STREAMS):
            content = self._contents[which].getvalue()
            new = content[self._written[which] :]
            if new and self._store.can_append:
                self._store.append(self._layout.log(self.name, stream), new, is_durable=False)
            elif new:
                self._store.write(self._layout.log(self.name, stream), [content])
            self._written[which] = len(content)

    def sizes(self) -> Sizes:
        return self._contents[0].tell(), self._contents[1].tell()

    def end(self) -> Span:
        self.repair()
        begin, end = self._begin, self.sizes()
        self._begin = end
        for tee in self._tees:
            tee.room = self._cap_nbytes
        return begin[0], end[0], begin[1], end[1]

    def span(self) -> LogSpan:
        return LogSpan(self.name, *self.end())

    def close(self) -> None:
        return None


class _Tee(io.TextIOBase):
    """Writes to a text stream, and as UTF-8 to a log until that is full."""

    def __init__(self, stream: TextIO, log: io.BytesIO, room: int) -> None:
        self._stream = stream
        self._log = log
        self.room = room

    def write(self, text: str) -> int:
        self._stream.write(text)
        content = text.encode("utf-8", "replace")
        if self.room > 0:
            self._log.write(content[: self.room])
            if len(content) > self.room:
                self._log.write(_CUT)
            self.room -= len(content)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _stream(descriptor: int) -> TextIO:
    return io.TextIOWrapper(
        io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )  # type: ignore[arg-type] - TextIOWrapper takes raw streams


def _is_same_file(one: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
