"""What a child has written so far, line by line, and showing it to whoever called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from rayflow.runner.process import STREAMS, FlowProcess


def lines_from(path: str, position: int, *, is_over: bool) -> Iterator[tuple[int, str]]:
    """(position after it, line without its newline) of the file's lines from `position` on. A last line without a newline only where
    nothing more will be written."""
    with open(path, "rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n") and not is_over:
                return
            position += len(line)
            yield position, line.decode("utf-8", "replace").rstrip()


@dataclass
class Relay:
    """Copies to this process's own streams what the child's have gained since the last look; to its standard output alone where
    `is_merged`."""

    process: FlowProcess
    is_merged: bool = False
    _positions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0), init=False)

    def look(self, streams: tuple[str, ...], *, is_over: bool = False) -> None:
        """`is_over`: nothing more will be written."""
        for stream in streams:
            found = list(lines_from(self.process.log_files[stream], self._positions[stream], is_over=is_over))
            if found:
                self._positions[stream] = found[-1][0]
                say("\n".join(line for _, line in found), sys.stderr if stream == "stderr" and not self.is_merged else sys.stdout)


def say(text: str, out: TextIO | None = None) -> None:
    """A text and a newline, to whoever called and asked to see it."""
    print(text, file=out or sys.stdout, flush=True)
