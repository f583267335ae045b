"""The one table, as Markdown: it can be read in a terminal and pasted into a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bars import judged
from benchmarks.measures import RAYFLOW, Findings, Measure

HEADER = ("benchmark", "case", "program", "measure", "median", "spread", "rayflow is better by", "bar", "persists")


def as_text(facts: Mapping[str, str], findings: Findings) -> str:
    """The facts in a line, then a row per measure, then what was left out."""
    cores = int(facts.get("cores", 0))
    lines = markdown(HEADER, [_row(each, findings, cores) for each in findings.measures])
    left_out = ["", *(f"Left out: {_line(each)}" for each in findings.left_out)] if findings.left_out else []
    return "\n".join([", ".join(f"{name} {value}" for name, value in facts.items()), "", *lines, *left_out])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose columns are aligned."""
    every = [header, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in every]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def advantage(measure: Measure, findings: Findings) -> float | None:
    """Above 1 where rayflow's median of the same measure is the better one: less time, less memory, or a higher rate."""
    ours = findings.find(measure.key.of(RAYFLOW))
    if ours is None or measure.key.contender == RAYFLOW or not ours.median or not measure.median:
        return None
    ratio = measure.median / ours.median
    return 1 / ratio if measure.is_rate else ratio


def figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _row(measure: Measure, findings: Findings, cores: int) -> tuple[str, ...]:
    values, ratio = measure.values, advantage(measure, findings)
    spread = f"{figure(min(values))} .. {figure(max(values))}" if len(values) > 1 else ""
    program = f"{measure.key.contender} ({measure.remark})" if measure.remark else measure.key.contender
    better = "" if ratio is None else f"{ratio:.3g} x"
    bar = judged(measure, findings, cores)
    return (
        measure.key.benchmark,
        measure.key.case,
        program,
        measure.key.what,
        figure(measure.median),
        spread,
        better,
        bar,
        measure.persists,
    )


def _line(text: str) -> str:
    """A reason may be a program's whole complaint: its first and its last line say most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} ... {lines[-1]}"
