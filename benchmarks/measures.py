"""What is measured, who is measured, and the rounds in which that happens."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

RAYFLOW = "rayflow"


class Key(NamedTuple):
    """What a measure is of. Equal in two runs of the harness: the same thing was measured."""

    benchmark: str
    case: str
    contender: str
    what: str

    def of(self, contender: str) -> Key:
        """The same measure of another contender."""
        return self._replace(contender=contender)


@dataclass(frozen=True)
class Measure:
    """The values of one measure over the rounds. `persists` says what is on disk when the program is done; `remark` what a reader must
    know to compare: that a rate comes from fewer tasks, that a time is extrapolated."""

    key: Key
    values: list[float] = field(default_factory=list[float])
    persists: str = ""
    remark: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.key.what.endswith("/s")


@dataclass(frozen=True)
class Entrant:
    """A contender in a case. `run` performs it once, and returns its figures by the names of the measures."""

    benchmark: str
    case: str
    contender: str
    run: Callable[[], Mapping[str, float]]
    persists: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Findings:
    """What was measured, and what was left out, each with its reason."""

    measures: list[Measure] = field(default_factory=list[Measure])
    left_out: list[str] = field(default_factory=list[str])

    def extend(self, other: Findings) -> None:
        self.measures.extend(other.measures)
        self.left_out.extend(other.left_out)

    def find(self, key: Key) -> Measure | None:
        return next((each for each in self.measures if each.key == key), None)


def interleaved(entrants: Sequence[Entrant], rounds: int, say: Callable[[str], None]) -> Findings:
    """Every entrant once a round, every other round in reverse, so that the machine's moods hit all alike. One that fails is left out
    from then on, with whatever it had measured."""
    found: dict[Entrant, dict[str, list[float]]] = {each: {} for each in entrants}
    failed: dict[Entrant, str] = {}
    for number in range(rounds):
        for entrant in entrants if number % 2 == 0 else reversed(entrants):
            if entrant in failed:
                continue
            name = f"{entrant.benchmark}, {entrant.case}, {entrant.contender}"
            try:
                figures = entrant.run()
            except (RuntimeError, OSError, AssertionError) as fault:
                failed[entrant] = f"{name}: {fault}"
                say(f"{name} failed: {fault}")
                continue
            for what, figure in figures.items():
                found[entrant].setdefault(what, []).append(figure)
            say(f"round {number + 1}/{rounds}: {name}: " + ", ".join(f"{figure:,.4g} {what}" for what, figure in figures.items()))
    measures = [each for entrant in entrants if entrant not in failed for each in _measures(entrant, found[entrant])]
    return Findings(sorted_by_first(measures), list(failed.values()))


def _measures(entrant: Entrant, found: Mapping[str, list[float]]) -> Iterator[Measure]:
    for what, values in found.items():
        key = Key(entrant.benchmark, entrant.case, entrant.contender, what)
        yield Measure(key, values, entrant.persists, entrant.remark)


def sorted_by_first(measures: Sequence[Measure]) -> list[Measure]:
    """Measures that compare beside each other, in the order in which the first of them came."""
    order: dict[tuple[str, str, str], int] = {}
    for each in measures:
        order.setdefault((each.key.benchmark, each.key.case, each.key.what), len(order))
    return sorted(measures, key=lambda each: order[each.key.benchmark, each.key.case, each.key.what])
