"""The driver's memory per split: its peak above that of a fan-out of a hundred, beside Ray's for a reference. On a warm cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.contenders import NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.fanout import RAW_TASKS, splits
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.running import Ran

NAME = "memory"
CASES = {"memory": "100000"}
QUICK = {"memory": "10000"}
BASE = 100


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """rayflow, and one Ray task per item."""
    del case
    count, tasks = int(size), min(int(size), RAW_TASKS)

    def flow(number: int) -> Ran:
        return contenders.rayflow("trivial_flow.py", "--splits", str(number), is_warm=True)

    def ray(number: int) -> Ran:
        return contenders.raw_ray("fanout_ray.py", "trivial", str(number), is_warm=True)

    yield Entrant(NAME, splits(size), RAYFLOW, lambda: _grown(flow, count), RAYFLOW_PERSISTS)
    yield Entrant(NAME, splits(size), "raw Ray", lambda: _grown(ray, tasks), NOTHING, f"of {tasks:,} tasks")


def _grown(run: Callable[[int], Ran], count: int) -> dict[str, float]:
    base, ran = run(BASE), run(count)
    return {"driver KB a split": (ran.peak_mb - base.peak_mb) * 1024 / (count - BASE), "driver peak MB": ran.peak_mb}
