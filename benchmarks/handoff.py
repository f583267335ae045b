"""A large value from one step to the next: from the moment it is made to the moment the next step has read every page of it.

Beside it: one process that writes the same bytes, fsyncs, maps the file and reads every page. The bar (DESIGN 6): 1.3x that.
"""

from __future__ import annotations

from benchmarks.contenders import METAFLOW_PERSISTS, RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import Measure

KINDS = ("numpy", "arrow")


def measure(contenders: Contenders, rounds: int, sizes: list[int]) -> list[Measure]:
    """Seconds of the hand-off, and of the whole process."""
    return [each for kind in KINDS for nbytes in sizes for each in _measure(contenders, rounds, kind, nbytes)]


def _measure(contenders: Contenders, rounds: int, kind: str, nbytes: int) -> list[Measure]:
    case = f"{nbytes >> 20} MiB {kind}"
    options = ("--kind", kind, "--nbytes", str(nbytes))
    programs = {
        "rayflow": (RAYFLOW_PERSISTS, lambda: contenders.rayflow("handoff_flow.py", *options)),
        "raw write+fsync+map": ("the bytes; fsynced", lambda: contenders.raw("handoff_raw.py", *options)),
    }
    if contenders.metaflow is not None:
        programs["Metaflow"] = (METAFLOW_PERSISTS, lambda: contenders.run_metaflow("handoff_flow.py", *options))
    handed = {name: Measure("handoff", case, name, "step to step s", [], persists) for name, (persists, _) in programs.items()}
    whole = {name: Measure("handoff", case, name, "process s", [], persists) for name, (persists, _) in programs.items()}
    for _ in range(rounds):
        for name, (_, run) in programs.items():
            contenders.raw("handoff_raw.py", *options)  # unmeasured: a virtual machine is slow the first time that it touches memory
            ran = run()
            handed[name].values.append(ran.told("handoff")["s"])
            whole[name].values.append(ran.seconds)
    return [*handed.values(), *whole.values()]
