"""`python -m benchmarks [hello|fanout|handoff|scheduler|all]`: measures, and prints one table."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks import fanout, handoff, hello, scheduler
from benchmarks.contenders import Contenders, metaflow_python
from benchmarks.machine import byte_compile, facts
from benchmarks.measures import Measure
from benchmarks.table import as_text

NAMES = ("hello", "fanout", "handoff", "scheduler")
MIB = 1 << 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, "all"], default="all", metavar="NAME", help=f"{', '.join(NAMES)} or all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each program is run (3)")
    parser.add_argument("--json", metavar="FILE", help="write the measures and the machine's facts there too")
    parser.add_argument("--metaflow", metavar="PYTHON", help="a Python that has Metaflow; 'make': make one in a temporary directory, by uv")
    parser.add_argument("--splits", type=int, default=100_000, help="splits of rayflow's foreach (100000)")
    parser.add_argument("--raw-splits", type=int, default=5_000, help="tasks of the raw Ray loop (5000)")
    parser.add_argument("--sizes", default="64,1024", help="MiB that are handed on (64,1024)")
    return parser.parse_args()


def measured(options: argparse.Namespace, contenders: Contenders) -> Iterator[Measure]:
    """The measures of the benchmarks that were asked for, in the order of `NAMES`."""
    wanted = NAMES if options.names == "all" or "all" in options.names else options.names
    if "hello" in wanted:
        yield from hello.measure(contenders, options.rounds)
    if "fanout" in wanted:
        yield from fanout.measure(contenders, options.rounds, options.splits, options.raw_splits)
    if "handoff" in wanted:
        yield from handoff.measure(contenders, options.rounds, [int(size) * MIB for size in options.sizes.split(",")])
    if "scheduler" in wanted:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints rows of its own
            rows = scheduler.main()
        for row in rows:
            yield Measure("scheduler", str(row["shape"]), "rayflow", "us a batch", [float(row["us_per_batch"])], "nothing: no I/O")
            yield Measure("scheduler", str(row["shape"]), "rayflow", "peak MB", [float(row["peak_mb"])], "nothing: no I/O")


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="rf-bench-") as directory:
        contenders = Contenders(directory, sys.executable, metaflow_python(options.metaflow, directory))
        for python in contenders.pythons:
            byte_compile(python)
        found = list(measured(options, contenders))
        known = facts(contenders.metaflow)
    print(as_text(known, found))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": known, "measures": [asdict(each) for each in found]}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
