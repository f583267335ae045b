"""What a task printed: ranges of its worker's two log files, with times from the marks beside them.

`<name>.out` and `.err` are raw bytes; `<name>.marks` are records of three little-endian 64-bit integers: microseconds since 1970,
size of out, size of err, noted about every 50 ms. A line's time is that of the first mark at which the file held all of it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rayflow.catalog.reading import Underway
from rayflow.catalog.run import read_run
from rayflow.client.attempts import Attempt
from rayflow.client.base import utc_time
from rayflow.model.errors import StoreMissing, UserError
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.store.scrubbing import without_filling

_STREAMS = {"stdout": "out", "stderr": "err"}
_MARK = struct.Struct("<qqq")


@dataclass(frozen=True, slots=True)
class LogRange:
    """The output of one attempt to one stream: bytes [begin, end) of a log; `end` is None while the task writes.

    `ended_us` (microseconds since 1970) stands in for the time of lines that no mark covers.
    """

    store: Store
    layout: RunLayout
    name: str
    stream: str
    begin: int
    end: int | None
    ended_us: int

    @property
    def nbytes(self) -> int:
        """Bytes that are there now."""
        return self.end - self.begin if self.end is not None else len(self.read())

    def read(self) -> bytes:
        """The bytes; none where the log is gone, or not written yet. RayflowNotFound where the whole run is gone."""
        if self.end is not None and self.end <= self.begin:
            return b""
        try:
            return without_filling(self.store.read(self.layout.log(self.name, self.stream), self.begin, self.end))
        except StoreMissing:
            read_run(self.store, self.layout.flow, self.layout.run)
            return b""

    def text(self) -> str:
        """All of it; each line ends with a newline, the last one too."""
        text = self.read().decode("utf-8", "replace")
        return text if not text or text.endswith("\n") else text + "\n"

    def lines(self) -> Iterator[tuple[datetime, bytes]]:
        """(time, line without its newline), in order. Times are naive and in UTC."""
        yield from self.lines_of(self.read())

    def lines_of(self, content: bytes) -> Iterator[tuple[datetime, bytes]]:
        """The same of what was read already: the beginning of the range."""
        if not content:
            return
        times, sizes = self._marks()
        position = self.begin
        for line in content.removesuffix(b"\n").split(b"\n"):
            position += len(line) + 1
            mark = bisect_left(sizes, min(position, self.begin + len(content)))
            yield utc_time(times[mark] if mark < len(times) else self.ended_us), line

    def _marks(self) -> tuple[list[int], list[int]]:
        """Times, and the sizes of this stream at them. What was not yet wholly written of the last mark is left out."""
        try:
            content = self.store.read(self.layout.log(self.name, "marks"))
        except StoreMissing:
            return [], []
        column = 1 if self.stream == "out" else 2
        marks = list(_MARK.iter_unpack(content[: len(content) - len(content) % _MARK.size]))
        return [mark[0] for mark in marks], [mark[column] for mark in marks]


def log_of(attempt: Attempt, stream: str, now_us: int) -> LogRange | None:
    """What an attempt wrote to "stdout" or "stderr"; None where nothing is known of it. `now_us` stands in for the time of lines that are
    newer than all marks."""
    if stream not in _STREAMS:
        raise UserError(f"There is no stream '{stream}'. The streams of a task are 'stdout' and 'stderr'.")
    handle, kind = attempt.handle, _STREAMS[stream]
    layout = RunLayout(handle.layout.flow, attempt.run)
    underway = attempt.underway
    if underway is not None and underway.log_name is not None:
        begin = underway.out_begin if kind == "out" else underway.err_begin
        if attempt.before is not None and attempt.before.name == underway.log_name:
            begin = max(begin, attempt.before.out_end if kind == "out" else attempt.before.err_end)
        end = _next_begin(handle.opened.begins.get(underway.log_name, ()), underway, kind)
        return LogRange(handle.store, layout, underway.log_name, kind, begin, end, now_us)
    row = attempt.row
    if row is None or row.logs is None:
        return None
    span = row.logs
    begin, end = (span.out_begin, span.out_end) if kind == "out" else (span.err_begin, span.err_end)
    return LogRange(handle.store, layout, span.name, kind, begin, end, row.started_us + int(row.seconds * 1e6))


def _next_begin(begins: Sequence[tuple[int, int]], underway: Underway, kind: str) -> int | None:
    """Where the worker's next batch begins in the log: its attempt is then over, though it is not recorded yet. None while it goes on."""
    place = underway.place + 1
    return None if place >= len(begins) else begins[place][0 if kind == "out" else 1]
