"""A large value from one step to the next: from the moment it is made to the moment the next step has read every page of it.

Beside it: one process that writes the same bytes, fsyncs, maps the file and reads every page; and the same flow by the peers, the whole
process of which compares with rayflow's. A size is in MiB.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from benchmarks.contenders import RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.peers import PEERS
from benchmarks.running import Ran

NAME = "handoff"
CASES = {"numpy": "1024", "arrow": "1024", "pandas": "1024"}
QUICK = {"numpy": "64", "arrow": "64", "pandas": "64"}
RAW = "raw write+fsync+map"
MIB = 1 << 20


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """rayflow, the bare bytes, and the peers that hand values on by the disk."""
    name, nbytes = f"{size} MiB {case}", str(int(size) * MIB)
    options = ("--kind", case, "--nbytes", nbytes)
    peers: dict[str, Callable[[], Ran]] = {
        "Metaflow": lambda: contenders.peer("Metaflow", "handoff_flow.py", "--quiet", "run", *options),
        "Luigi": lambda: contenders.peer("Luigi", "handoff_luigi.py", case, nbytes),
        "Kedro": lambda: contenders.peer("Kedro", "handoff_kedro.py", case, nbytes),
    }

    def raw() -> Ran:
        return contenders.raw("handoff_raw.py", case, nbytes)

    def measured(run: Callable[[], Ran]) -> Callable[[], Mapping[str, float]]:
        def one() -> Mapping[str, float]:
            raw()  # unmeasured: a virtual machine is slow the first time that it touches memory
            os.sync()  # what a peer left to the kernel is not to be written while the next one waits for the disk
            ran = run()
            told = ran.told("handoff")
            if told["nbytes"] < int(nbytes) * 0.9:
                raise RuntimeError(f"Only {told['nbytes']:,} bytes of {nbytes} arrived.")
            return {"step to step s": told["s"], "process s": ran.seconds}

        return one

    yield Entrant(NAME, name, RAYFLOW, measured(lambda: contenders.rayflow("handoff_flow.py", *options)), RAYFLOW_PERSISTS)
    yield Entrant(NAME, name, RAW, measured(raw), "the bytes; fsynced")
    for peer, run in peers.items():
        if peer in contenders.peers:
            yield Entrant(NAME, name, peer, measured(run), PEERS[peer].persists)
