"""Resuming a foreach of which one split failed: from the start of `resume` until that split begins again, less what a first Ray task costs.

Both processes join the same warm cluster, one after the other. The failed run is made anew each round, and is not measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.contenders import RAYFLOW_PERSISTS, Contenders
from benchmarks.fanout import splits
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.records import done_of, newest_run

NAME = "resume"
CASES = {"resume": "100000"}
QUICK = {"resume": "5000"}
OVER = "replay s, over a first Ray task"


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """One: what it is compared with is a part of its measure."""
    del case
    yield Entrant(NAME, f"{splits(size)}, one failed", RAYFLOW, lambda: _measure(contenders, int(size)), RAYFLOW_PERSISTS)


def _measure(contenders: Contenders, count: int) -> dict[str, float]:
    with contenders.place("resume_flow.py", "first_task_ray.py") as place:
        address = contenders.warm.address
        flow = ["resume_flow.py", "--address", address]
        contenders.rayflow_in(place, [*flow, "run", "--splits", str(count)], exit_code=1)
        done = done_of(newest_run(os.path.join(place, "root"), "ResumeFlow"), "square")
        if done != count - 1:
            raise RuntimeError(f"{done:,} of {count:,} splits were done before the resume, and not all but one.")
        with open(os.path.join(place, "mended"), "w"):
            pass
        first = contenders.raw_in(place, ["first_task_ray.py", address])
        task_s = first.told("task")["began"] - first.began
        resumed = contenders.rayflow_in(place, [*flow, "resume"])
        with open(os.path.join(place, "begun"), encoding="utf-8") as file:
            split_s = float(file.read()) - resumed.began
    return {OVER: split_s - task_s, "start to the split s": split_s, "start to a first Ray task s": task_s}
