"""Following what lone tasks print, while they run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from rayflow.model.records import LogSpan
from rayflow.runtime.logfiles import LogFiles

_PART_NBYTES = 1 << 20


@dataclass
class _Stream:
    """One followed file: how far it was read, and the start of a line that is not finished."""

    path: str
    offset: int
    rest: bytes = b""

    def read(self, stop: int | None) -> list[str]:
        """The new lines up to byte `stop`; with it, an unfinished last line too."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                wanted = _PART_NBYTES if stop is None else max(0, stop - self.offset)
                content = file.read(wanted)
        except OSError:
            return []
        self.offset += len(content)
        lines = (self.rest + content).split(b"\n")
        self.rest = lines.pop()
        if stop is not None and self.rest:
            lines.append(self.rest)
            self.rest = b""
        return [line.decode("utf-8", "replace") for line in lines]


@dataclass
class Tail:
    """The output of one task in progress. Nothing to follow where the log is not on this machine."""

    streams: list[tuple[bool, _Stream]] = field(default_factory=list[tuple[bool, _Stream]])

    @staticmethod
    def of(files: LogFiles, log_name: str | None, out_begin: int, err_begin: int) -> Tail:
        tail = Tail()
        for stream, begin in (("out", out_begin), ("err", err_begin)):
            path = files.path(log_name, stream) if log_name else None
            if path is not None:
                tail.streams.append((stream == "err", _Stream(path, begin)))
        return tail

    def read(self) -> list[tuple[bool, str]]:
        """(is stderr, line) of what is new."""
        return [(is_error, line) for is_error, stream in self.streams for line in stream.read(None)]

    def read_to(self, span: LogSpan) -> list[tuple[bool, str]]:
        """All that is left of the attempt that `span` tells of."""
        return [(is_error, line) for is_error, stream in self.streams for line in stream.read(span.err_end if is_error else span.out_end)]

    def read_all(self) -> list[tuple[bool, str]]:
        """All that is left, for a task whose worker died."""
        lines: list[tuple[bool, str]] = []
        for is_error, stream in self.streams:
            try:
                size = os.path.getsize(stream.path)
            except OSError:
                continue
            lines.extend((is_error, line) for line in stream.read(size))
        return lines
