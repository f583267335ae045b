"""What a store says of an object without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of an object: its size in bytes, and when it was written, in microseconds since 1970 by the clock of whoever
    keeps it. `is_leaving`: what a writer that died left under a temporary name, which no reader sees."""

    key: str
    nbytes: int
    modified_us: int
    is_leaving: bool = False
