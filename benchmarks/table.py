"""The one table, as Markdown: it can be read in a terminal and pasted into the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.measures import Measure

HEADER = ("benchmark", "case", "program", "measure", "median", "spread", "rayflow is better by", "persists")


def as_text(facts: Mapping[str, str], measures: Sequence[Measure]) -> str:
    """The facts in a line, then a row per measure."""
    rows = [HEADER, *(_row(each, measures) for each in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([", ".join(f"{name} {value}" for name, value in facts.items()), "", *lines])


def _row(measure: Measure, measures: Sequence[Measure]) -> tuple[str, ...]:
    spread = f"{_figure(min(measure.values))} .. {_figure(max(measure.values))}" if len(measure.values) > 1 else ""
    figures = (_figure(measure.median), spread, _advantage(measure, measures))
    return (measure.benchmark, measure.case, measure.contender, measure.what, *figures, measure.persists)


def _advantage(measure: Measure, measures: Sequence[Measure]) -> str:
    """Above 1 where rayflow's median of the same measure is the better one: less time, less memory, or a higher rate."""
    ours = [each for each in measures if (each.case, each.what, each.contender) == (measure.case, measure.what, "rayflow")]
    if not ours or measure.contender == "rayflow":
        return ""
    ratio = measure.median / ours[0].median
    return f"{1 / ratio if measure.is_rate else ratio:.3g} x"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
