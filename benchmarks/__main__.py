"""`python -m benchmarks [NAME...]`: measures, and prints one table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import stored
from benchmarks.cluster import WarmCluster
from benchmarks.contenders import Contenders
from benchmarks.machine import byte_compile, facts
from benchmarks.measures import Entrant, Findings, interleaved
from benchmarks.peers import PEERS, cache_directory, environments
from benchmarks.plot import draw
from benchmarks.selection import BENCHMARKS, Wanted, wanted
from benchmarks.table import as_text

EPILOG = "Benchmarks and their cases: " + "; ".join(
    f"{module.NAME}: " + ", ".join(f"{case}:{size}" if size else case for case, size in module.CASES.items()) for module in BENCHMARKS
)


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    wanted: Sequence[Wanted]
    rounds: int
    peers: Sequence[str]
    environments: str
    json: str | None
    compare: str | None
    plot: str | None


def parse(arguments: Sequence[str]) -> Options:
    """The command line as options; exits with 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=EPILOG)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a benchmark, a case, or CASE:SIZE. Default: all benchmarks")
    parser.add_argument("--rounds", type=int, help="how often each program is run (5; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="few cases, small sizes: whether everything works, no figures to quote")
    parser.add_argument("--peers", default="all", help=f"which of {', '.join(PEERS)} to measure beside, or 'all', or 'none'")
    parser.add_argument(
        "--environments", default=cache_directory(), metavar="DIR", help="where the peers' environments are kept (the user's cache)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the measures and the machine's facts there")
    parser.add_argument("--compare", metavar="FILE", help="compare with what --json wrote")
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the measures that compare, as SVG or PNG (needs matplotlib: the extra 'bench')"
    )
    given = parser.parse_args(arguments)
    peers = {"all": list(PEERS), "none": []}.get(given.peers, given.peers.split(","))
    try:
        chosen = wanted(given.names, is_quick=given.quick)
    except ValueError as fault:
        parser.error(str(fault))
    if unknown := [name for name in peers if name not in PEERS]:
        parser.error(f"There is no peer {unknown[0]!r}. Choose of {', '.join(PEERS)}.")
    rounds = given.rounds or (1 if given.quick else 5)
    return Options(chosen, rounds, peers, given.environments, given.json, given.compare, given.plot)


def measured(options: Options, contenders: Contenders) -> Iterator[Findings]:
    """Benchmark by benchmark; within one, all cases are interleaved. No cluster outlives its benchmark."""
    for module in BENCHMARKS:
        entrants: list[Entrant] = []
        for each in options.wanted:
            if each.benchmark == module.NAME:
                entrants.extend(module.entrants(contenders, each.case, each.size))
        try:
            if entrants:
                yield interleaved(entrants, options.rounds, _say)
        finally:
            contenders.warm.close()


def main(arguments: Sequence[str]) -> int:
    """0 when all that rayflow and raw Ray were to do was measured, else 1."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    earlier = stored.read(options.compare) if options.compare else None
    _say("preparing: byte-compiling, and the environments of the peers")
    byte_compile(sys.executable)
    peers = environments(options.peers, options.environments)
    known = facts(peers.versions)
    findings = Findings(left_out=list(peers.left_out))
    with tempfile.TemporaryDirectory(prefix="rf-bench-") as directory:
        contenders = Contenders(directory, sys.executable, peers.pythons, WarmCluster(sys.executable, os.cpu_count() or 1))
        for found in measured(options, contenders):
            findings.extend(found)
    now = stored.Stored(known, findings)
    print(as_text(known, findings))
    if options.json:
        stored.write(options.json, now)
    if earlier is not None:
        print(f"\nBeside {options.compare}:\n\n{stored.compared(earlier, now)}")
    if options.plot and not draw(options.plot, known, findings):
        _say("nothing was measured that compares: there is no plot")
    return 1 if len(findings.left_out) > len(peers.left_out) else 0


def _say(text: str) -> None:
    print(f"[benchmarks] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
