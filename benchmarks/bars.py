"""The bars that rayflow sets itself: each is one ratio of two medians, or one median, and what it must not miss.

A bar is judged where its measures have the sizes that it names (a case's name has its size), at least five rounds, and a machine of two
cores; else it is shown, and not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import client, fault, handoff, hello, resume
from benchmarks.measures import RAYFLOW, Findings, Key, Measure

ROUNDS = 5
CORES = 2


@dataclass(frozen=True)
class Bar:
    """`subject` is rayflow's. Without a reference its median is the figure, else its ratio to that of the reference: at least `limit` where
    the measure is a rate, at most where it is a cost."""

    subject: Key
    limit: float
    reference: Key | None = None
    unit: str = ""

    def judge(self, findings: Findings, cores: int) -> str | None:
        """The bar and how it was met, for the table; None where it was not measured."""
        subject = findings.find(self.subject)
        reference = findings.find(self.reference) if self.reference else None
        if subject is None or (self.reference is not None and reference is None):
            return None
        figure = subject.median / reference.median if reference is not None else subject.median
        stated = f"{'>=' if subject.is_rate else '<='} {_number(self.limit)} {self._unit}"
        rounds = min(len(each.values) for each in (subject, reference) if each is not None)
        if rounds < ROUNDS or cores != CORES:
            return f"{_number(figure)} (bar: {stated}; not judged: {_why(rounds, cores)})"
        is_met = figure >= self.limit if subject.is_rate else figure <= self.limit
        return f"{'met' if is_met else 'NOT MET'}: {_number(figure)} {stated}"

    @property
    def _unit(self) -> str:
        if self.reference is None:
            return self.unit
        is_other = self.reference.contender != self.subject.contender
        return f"x {self.reference.contender if is_other else self.reference.case}"

    @property
    def row(self) -> Key:
        """Beside which measure it is shown: the one that rayflow's is compared with, where that is in the same case."""
        reference = self.reference
        return reference if reference is not None and reference.case == self.subject.case else self.subject


def _why(rounds: int, cores: int) -> str:
    return f"{rounds} of {ROUNDS} rounds" if rounds < ROUNDS else f"{cores} cores, not {CORES}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ours(benchmark: str, case: str, what: str) -> Key:
    return Key(benchmark, case, RAYFLOW, what)


def _beside(contender: str, subject: Key, limit: float) -> Bar:
    return Bar(subject, limit, subject.of(contender))


_PLAIN = _ours("fanout", "100,000 trivial", "splits/s")
_WHOLE = _ours("whole", "1,000,000 splits", "process s")
_FAULT = _ours("fault", "100,000 splits", "fan-out s")
_TEN_MILLION = _ours("scheduler", "10,000,000 splits", "us a batch")
_COLD = _ours("hello", hello.COLD, "process s")
_HANDED = [f"1024 MiB {kind}" for kind in ("numpy", "arrow", "pandas")]

BARS: Sequence[Bar] = (
    _beside("raw Ray", _PLAIN, 40),
    Bar(_PLAIN._replace(case="100,000 switch"), 0.5, _PLAIN),
    Bar(_PLAIN._replace(case="1,000 x 100 nested"), 0.5, _PLAIN),
    _beside("raw Ray", _WHOLE, 1 / 50),
    Bar(_WHOLE._replace(what="driver peak MB"), 500, unit="MB"),
    Bar(_ours("fanout", "200 100ms", "x ideal"), 1 / 0.97, unit="x ideal (97 % of it)"),
    Bar(_ours("fanout", "10,000 straggler", "x ideal"), 1.2, unit="x ideal"),
    Bar(_ours("fanout", "10,000 lognormal", "x ideal"), 1.2, unit="x ideal"),
    _beside("Metaflow", _COLD, 0.6),
    Bar(_COLD._replace(case=hello.WARM), 0.5, _COLD.of("Metaflow")),
    _beside("Metaflow", _COLD._replace(case=hello.BRANCHES), 1.0),
    *(_beside(handoff.RAW, _ours("handoff", case, "step to step s"), 1.3) for case in _HANDED),
    *(_beside(peer, _ours("handoff", case, "process s"), 1.0) for case in _HANDED for peer in ("Luigi", "Kedro")),
    *(_beside("Metaflow", _ours("handoff", case, "process s"), 1 / 12) for case in _HANDED),
    _beside(fault.UNHARMED, _FAULT, 1.05),
    Bar(_FAULT._replace(what="failed attempts"), 1, unit="failed attempt"),
    Bar(_FAULT._replace(what="committed splits repeated"), 0, unit="committed splits repeated"),
    Bar(_ours("scheduler", "10,000,000 splits", "peak MB"), 200, unit="MB"),
    Bar(_TEN_MILLION, 3, _TEN_MILLION._replace(case="1,000,000 splits")),
    Bar(_ours("client", client.HELP, "process ms"), 150, unit="ms"),
    Bar(_ours("client", client.IMPORT, "ms over bare Python"), 60, unit="ms"),
    Bar(_ours("client", "newest of 10,000 runs", "ms after import"), 50, unit="ms"),
    Bar(_ours("resume", "100,000 splits, one failed", resume.OVER), 0.5, unit="s"),
)


def judged(measure: Measure, findings: Findings, cores: int, bars: Sequence[Bar] = BARS) -> str:
    """The bars that are shown beside the measure, each with what came of it."""
    verdicts = (bar.judge(findings, cores) for bar in bars if bar.row == measure.key)
    return "; ".join(verdict for verdict in verdicts if verdict is not None)
