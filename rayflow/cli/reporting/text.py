"""Small texts: durations, sizes, counts, and what makes foreign text harmless on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TextIO

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, clearing
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC (titles, links, clipboard), DCS and other strings
    r"|\x1b[ -/]*[0-~]?"
)
# C0 but tab, DEL, C1, and the marks that reorder what is seen.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """One line that does nothing to a terminal but to be read: escape sequences go, other controls are shown as `\\x07`.

    Of a line that overwrites itself (a progress bar's) its last state remains.
    """
    text = _SEQUENCE.sub("", text).rstrip("\r\n")
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text.rpartition("\r")[2])


def duration(seconds: float) -> str:
    """`0.4s`, `41s`, `4m10s`, `2h05m`, `3d04h`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes}m{int(seconds) % 60:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes < 24 * 60 else f"{minutes // 1440}d{minutes % 1440 // 60:02d}h"


def size(nbytes: int) -> str:
    """`812 B`, `3.4 kB`, `88 MB`, in powers of 1000."""
    amount, units = float(nbytes), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    for larger in units:
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if unit != "B" and amount < 9.95 else f"{amount:.0f} {unit}"


def counted(number: int, noun: str) -> str:
    """`1 task`, `1,200 tasks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def writer(stream: TextIO) -> Callable[[str], None]:
    """Writes lines to the stream and flushes. After the first error of the stream (its reader is gone) it does nothing: the run is
    worth more than its log."""
    is_gone = False

    def write(line: str) -> None:
        nonlocal is_gone
        if is_gone:
            return
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            is_gone = True

    return write
