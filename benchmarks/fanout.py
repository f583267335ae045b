"""A foreach of trivial splits, beside one Ray task per item on a cluster of the same kind.

rayflow's rate is from the first split's start to the join's end, by the run's own records; Ray's is around submitting and getting, after
a warm-up. The bar (DESIGN 6): 40x Ray's rate at 100,000 splits.
"""

from __future__ import annotations

from benchmarks.contenders import NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import Measure, Ran


def measure(contenders: Contenders, rounds: int, splits: int, raw_splits: int) -> list[Measure]:
    """Splits a second, which compare, and of each its own number: seconds of the whole process, and the driver's peak memory."""
    found: list[Measure] = []
    programs = (
        ("rayflow", f"{splits:,} splits", RAYFLOW_PERSISTS, lambda: contenders.rayflow("fanout_flow.py", "--splits", str(splits))),
        ("raw Ray", f"{raw_splits:,} tasks", NOTHING, lambda: contenders.raw("fanout_ray.py", str(raw_splits))),
    )
    ran: dict[str, list[Ran]] = {name: [] for name, *_ in programs}
    for _ in range(rounds):
        for name, _, _, run in programs:
            ran[name].append(run())
    for name, count, persists, _ in programs:
        rates = [each.told("fanout")["per_s"] for each in ran[name]]
        found.append(Measure("fanout", "foreach", name, "splits/s", rates, persists))
        found.append(Measure("fanout", count, name, "process s", [each.seconds for each in ran[name]], persists))
        found.append(Measure("fanout", count, name, "driver peak MB", [each.peak_mb for each in ran[name]], persists))
    return sorted(found, key=lambda each: each.what, reverse=True)
