"""Three steps that do nothing: what a user waits for. The bar (DESIGN 6): 0.6x Metaflow's time, nothing running beforehand."""

from __future__ import annotations

from benchmarks.contenders import METAFLOW_PERSISTS, NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import Measure


def measure(contenders: Contenders, rounds: int) -> list[Measure]:
    """Seconds of the whole process."""
    programs = {
        "rayflow": (RAYFLOW_PERSISTS, lambda: contenders.rayflow("hello_flow.py")),
        "raw Ray": (NOTHING, lambda: contenders.raw("hello_ray.py")),
    }
    if contenders.metaflow is not None:
        programs["Metaflow"] = (METAFLOW_PERSISTS, lambda: contenders.run_metaflow("hello_flow.py"))
    found = {name: Measure("hello", "3 steps", name, "process s", [], persists) for name, (persists, _) in programs.items()}
    for _ in range(rounds):
        for name, (_, run) in programs.items():
            found[name].values.append(run().seconds)
    return list(found.values())
