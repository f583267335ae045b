"""A split that kills its process once, among many, under `@retry(times=1)`: beside the same flow where none dies. On a warm cluster.

Splits that were started twice had not been reported yet when their worker died; a committed one that is launched again would be
acknowledged work repeated.
"""

from __future__ import annotations

import array
import os
from collections import Counter
from collections.abc import Iterator

from benchmarks.contenders import RAYFLOW_PERSISTS, Contenders
from benchmarks.fanout import splits
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.records import newest_run, repeated

NAME = "fault"
CASES = {"segfault": "100000"}
QUICK = {"segfault": "5000"}
UNHARMED = "rayflow, none dies"


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """The flow with the split that dies, and without."""
    del case
    count = int(size)
    name = splits(size)
    remark = "a split segfaults once"
    yield Entrant(NAME, name, RAYFLOW, lambda: _measure(contenders, count, count * 6 // 10), RAYFLOW_PERSISTS, remark)
    yield Entrant(NAME, name, UNHARMED, lambda: _measure(contenders, count, -1), RAYFLOW_PERSISTS)


def _measure(contenders: Contenders, count: int, culprit: int) -> dict[str, float]:
    with contenders.place("segfault_flow.py") as place:
        options = ["--splits", str(count), "--culprit", str(culprit)]
        ran = contenders.rayflow_in(place, ["segfault_flow.py", "--address", contenders.warm.address, "run", *options])
        run = newest_run(os.path.join(place, "root"), "SegfaultFlow")
        starts = array.array("I")
        with open(os.path.join(place, "starts.bin"), "rb") as file:
            starts.frombytes(file.read())
        again = repeated(run, "square")
        failed = sum(len(attempts) for attempts in run.view.failed.values())
    twice = [index for index, times in Counter(starts).items() if times > 1 and index != culprit]
    return {
        "fan-out s": ran.told("fanout")["seconds"],
        "failed attempts": failed,
        "splits started twice": len(twice),
        "committed splits repeated": again,
    }
