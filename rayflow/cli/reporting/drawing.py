"""Tables and pairs of plain text: what `awk` can read, and no rich for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rayflow.cli.reporting.text import harmless


def text_of(value: object) -> str:
    """A value as a cell: nothing for None, lists with commas."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType]


def draw_pairs(out: TextIO, pairs: Sequence[tuple[str, str]]) -> None:
    """Names and their values, those that have one."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        if value:
            out.write(f"{harmless(name):<{width}}  {harmless(value)}\n")


def draw_table(out: TextIO, titles: Sequence[str], rows: Sequence[Sequence[object]], bold: Sequence[bool] = ()) -> None:
    """Columns that are as wide as their widest cell. Rows that `bold` names stand out on a terminal."""
    cells = [list(titles), *([harmless(text_of(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    for number, line in enumerate(cells):
        text = "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        stands_out = out.isatty() and 0 < number <= len(bold) and bold[number - 1]
        out.write(f"\x1b[1m{text}\x1b[0m\n" if stands_out else f"{text}\n")
