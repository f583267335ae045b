"""Which cases are measured: what the names on the command line mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from benchmarks import client, fanout, fault, handoff, hello, memory, resume, scheduler, whole
from benchmarks.contenders import Contenders
from benchmarks.measures import Entrant


class Benchmark(Protocol):
    """A module of this package. `CASES` and `QUICK` are its cases with their sizes; a case that has no size has an empty one."""

    NAME: str
    CASES: Mapping[str, str]
    QUICK: Mapping[str, str]

    def entrants(self, contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
        """The programs that are run for the case, in the order of the table."""
        ...


class Wanted(NamedTuple):
    benchmark: str
    case: str
    size: str


BENCHMARKS: Sequence[Benchmark] = (hello, fanout, whole, fault, handoff, resume, client, scheduler, memory)  # type: ignore[assignment]
_SIZE = re.compile(r"[1-9][0-9]*")
_SIZES = re.compile(r"[1-9][0-9]*x[1-9][0-9]*")


def wanted(names: Sequence[str], *, is_quick: bool = False) -> list[Wanted]:
    """The cases, each once, in the order of `BENCHMARKS`; ValueError for a name that is none."""
    found = [each for name in names or [module.NAME for module in BENCHMARKS] for each in _of(name, is_quick=is_quick)]
    order = [module.NAME for module in BENCHMARKS]
    return sorted(dict.fromkeys(found), key=lambda each: order.index(each.benchmark))


def _of(name: str, *, is_quick: bool) -> Iterator[Wanted]:
    case, colon, size = name.partition(":")
    for module in BENCHMARKS:
        usual = {**module.CASES, **module.QUICK} if is_quick else module.CASES
        if name == module.NAME:
            yield from (Wanted(module.NAME, *each) for each in (module.QUICK if is_quick else module.CASES).items())
            return
        if case in usual:
            yield Wanted(module.NAME, case, _checked(case, size, usual[case]) if colon else usual[case])
            return
    cases = [case for module in BENCHMARKS for case in module.CASES]
    raise ValueError(
        f"There is no benchmark {name!r}. Choose of {', '.join(module.NAME for module in BENCHMARKS)}, or of {', '.join(cases)}."
    )


def _checked(case: str, size: str, usual: str) -> str:
    form = _SIZES if "x" in usual else _SIZE
    if not usual or not form.fullmatch(size):
        raise ValueError(f"{case!r} has no size {size!r}: " + (f"it is written as in {case}:{usual}." if usual else "it has none."))
    return size
