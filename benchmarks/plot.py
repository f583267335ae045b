"""The measures in which rayflow has company, as one picture: a panel a measure, a bar a contender, on a logarithmic scale."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from benchmarks.measures import RAYFLOW, Findings, Measure, sorted_by_first
from benchmarks.table import figure

COLUMNS = 3
OURS, OTHERS, INK = "#d1495b", "#8d99ae", "#2b2d42"


def panels(findings: Findings) -> list[list[Measure]]:
    """What compares: the measures of one name that rayflow and others have, where all are above 0."""
    grouped: dict[tuple[str, str, str], list[Measure]] = {}
    for each in sorted_by_first(findings.measures):
        grouped.setdefault((each.key.benchmark, each.key.case, each.key.what), []).append(each)
    return [
        group
        for group in grouped.values()
        if len(group) > 1 and any(each.key.contender == RAYFLOW for each in group) and all(min(each.values) > 0 for each in group)
    ]


def draw(path: str, facts: Mapping[str, str], findings: Findings) -> bool:
    """Writes the picture; the ending says whether SVG or PNG. False where nothing compares."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = panels(findings)
    if not shown:
        return False
    rows = [shown[first : first + COLUMNS] for first in range(0, len(shown), COLUMNS)]
    heights = [1.0 + 0.32 * max(len(panel) for panel in row) for row in rows]
    picture, axes = plt.subplots(
        len(rows), COLUMNS, figsize=(16, sum(heights) + 1.0), squeeze=False, layout="constrained", height_ratios=heights
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, shown, strict=False):
        _panel(axis, panel)
    title = "Medians, with the whole spread; " + ", ".join(f"{name} {value}" for name, value in facts.items())
    picture.suptitle(textwrap.fill(title, 190), fontsize=8, color=INK)
    picture.savefig(path, dpi=110)
    plt.close(picture)
    return True


def _panel(axis: object, panel: Sequence[Measure]) -> None:
    names = [f"{each.key.contender}\n({each.remark})" if each.remark else each.key.contender for each in panel]
    medians = [each.median for each in panel]
    spreads = [[each.median - min(each.values) for each in panel], [max(each.values) - each.median for each in panel]]
    colors = [OURS if each.key.contender == RAYFLOW else OTHERS for each in panel]
    bars = axis.barh(range(len(panel)), medians, xerr=spreads, color=colors, ecolor=INK, height=0.65)
    axis.set_xscale("log")
    axis.set_xlim(min(medians) / 4, max(max(each.values) for each in panel) * 6)
    axis.bar_label(bars, [f" {figure(median)}" for median in medians], padding=2, fontsize=8, color=INK)
    axis.set_yticks(range(len(panel)), names, fontsize=7.5)
    axis.invert_yaxis()
    key, better = panel[0].key, "more" if panel[0].is_rate else "less"
    axis.set_title(f"{key.benchmark}: {key.case}\n{key.what} ({better} is better)", fontsize=9, loc="left", color=INK)
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
