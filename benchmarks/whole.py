"""A large foreach as a whole process, start included: nothing is running beforehand, and rayflow
chooses by itself whether it starts Ray or performs the splits in local processes.

Raw Ray would take too long, and more memory than there is: its time and its driver's memory are extrapolated from fewer tasks. Afterwards a
hundred of rayflow's splits are read, each by its own path.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders import NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.fanout import RAW_TASKS, splits
from benchmarks.measures import RAYFLOW, Entrant

NAME = "whole"
CASES = {"whole": "1000000"}
QUICK = {"whole": "20000"}
BASE_TASKS = 100


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """rayflow, and one Ray task per item."""
    del case
    count, tasks = int(size), min(int(size), RAW_TASKS)
    name = splits(size)
    remark = f"extrapolated from {tasks:,}" if tasks < count else ""
    yield Entrant(NAME, name, RAYFLOW, lambda: _rayflow(contenders, count), RAYFLOW_PERSISTS)
    yield Entrant(NAME, name, "raw Ray", lambda: _raw(contenders, count, tasks), NOTHING, remark)


def _rayflow(contenders: Contenders, count: int) -> dict[str, float]:
    with contenders.place("trivial_flow.py", "addressed.py") as place:
        ran = contenders.rayflow_in(place, ["trivial_flow.py", "run", "--splits", str(count)])
        read = contenders.rayflow_read(place, ["addressed.py", "TrivialFlow", "square", str(count)]).told("addressed")
    per_s = ran.told("fanout")["per_s"]
    return {"process s": ran.seconds, "driver peak MB": ran.peak_mb, "splits/s": per_s, "ms to read a split by its path": read["ms_each"]}


def _raw(contenders: Contenders, count: int, tasks: int) -> dict[str, float]:
    """Start and end once, the loop and its memory as often as the tasks that were run go into all."""
    base = contenders.raw_ray("fanout_ray.py", "trivial", str(BASE_TASKS))
    ran = contenders.raw_ray("fanout_ray.py", "trivial", str(tasks))
    told = ran.told("fanout")
    mb_each = (ran.peak_mb - base.peak_mb) / (tasks - BASE_TASKS)
    return {
        "process s": ran.seconds + told["seconds"] * (count / tasks - 1),
        "driver peak MB": ran.peak_mb + mb_each * (count - tasks),
        "splits/s": told["per_s"],
    }
