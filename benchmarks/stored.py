"""Findings in a file, and two of them side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.measures import RAYFLOW, Findings, Key, Measure
from benchmarks.table import advantage, figure, markdown

FORMAT = 2


@dataclass(frozen=True)
class Stored:
    """What a run of the harness leaves behind."""

    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    findings: Findings = field(default_factory=Findings)


def write(path: str, stored: Stored) -> None:
    measures = [
        {**each.key._asdict(), "values": each.values, "persists": each.persists, "remark": each.remark} for each in stored.findings.measures
    ]
    form = {"format": FORMAT, "machine": dict(stored.facts), "measures": measures, "left_out": stored.findings.left_out}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(form, file, indent=1)


def read(path: str) -> Stored:
    """Inverse of `write`. ValueError for what is none."""
    with open(path, encoding="utf-8") as file:
        form = json.load(file)
    if not isinstance(form, dict) or form.get("format") != FORMAT:
        raise ValueError(f"{path} is no findings of this harness.")
    measures = [
        Measure(Key(*(each[name] for name in Key._fields)), each["values"], each["persists"], each["remark"]) for each in form["measures"]
    ]
    return Stored(form["machine"], Findings(measures, form["left_out"]))


def compared(then: Stored, now: Stored) -> str:
    """A row per measure that both have. Where others were measured beside rayflow, what compares is by how much it is better than each,
    since two days of one machine differ by more than two versions of a program; where none was, the figures themselves."""
    rows = [row for each in now.findings.measures if (row := _row(each, then.findings, now.findings)) is not None]
    if not rows:
        return "Nothing was measured both times."
    differing = [f"{name} {then.facts.get(name)} -> {value}" for name, value in now.facts.items() if then.facts.get(name) != value]
    lines = markdown(("benchmark", "case", "measure", "beside", "then", "now", "now is better by"), rows)
    return "\n".join([f"Differs: {', '.join(differing) or 'nothing'}", "", *lines])


def _row(measure: Measure, then: Findings, now: Findings) -> tuple[str, ...] | None:
    earlier = then.find(measure.key)
    if earlier is None:
        return None
    case = (measure.key.benchmark, measure.key.case, measure.key.what)
    if measure.key.contender == RAYFLOW:
        if any(each.key == measure.key.of(each.key.contender) and each.key.contender != RAYFLOW for each in now.measures):
            return None  # it is in the rows of the others
        ratio = _quotient(measure.median, earlier.median) if measure.is_rate else _quotient(earlier.median, measure.median)
        return (*case, "nothing", figure(earlier.median), figure(measure.median), ratio)
    before, after = advantage(earlier, then), advantage(measure, now)
    if before is None or after is None:
        return None
    return (*case, measure.key.contender, f"{before:.3g} x", f"{after:.3g} x", _quotient(after, before))


def _quotient(one: float, other: float) -> str:
    return f"{one / other:.3g} x" if other else ("1 x" if one == other else "")
