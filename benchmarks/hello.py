"""What a user waits for: three steps that do nothing, and two branches of two CPU seconds each. Seconds of the whole process.

`cold`: nothing is running beforehand. `warm`: a local cluster is kept by `rayflow up`; raw Ray joins a warm cluster too. `branches`:
nothing is running beforehand, and Ray has to be started by whoever needs it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping

from benchmarks.contenders import NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.peers import PEERS, REPO
from benchmarks.running import Program, Ran, run

NAME = "hello"
COLD, WARM, BRANCHES = "3 steps, nothing running", "3 steps, warm cluster", "2 branches of 2 s CPU"
CASES = {"cold": "", "warm": "", "branches": ""}
QUICK = {"cold": ""}
_HELLO = {"Metaflow": "hello_flow.py --quiet run", "Prefect": "hello_prefect.py", "Dagster": "hello_dagster.py"}
_BRANCHES = {"Metaflow": "branches_flow.py --quiet run", "Prefect": "branches_prefect.py", "Dagster": "branches_dagster.py"}


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """The programs of a case. None of these has a size."""
    del size
    if case == "cold":
        yield Entrant(NAME, COLD, RAYFLOW, lambda: _whole(contenders.rayflow("hello_flow.py"), "HELLO"), RAYFLOW_PERSISTS)
        yield Entrant(NAME, COLD, "raw Ray", lambda: _whole(contenders.raw_ray("hello_ray.py"), "HELLO"), NOTHING)
        yield from _peers(contenders, COLD, _HELLO, "HELLO")
    elif case == "branches":
        yield Entrant(NAME, BRANCHES, RAYFLOW, lambda: _whole(contenders.rayflow("branches_flow.py"), "done"), RAYFLOW_PERSISTS)
        yield Entrant(NAME, BRANCHES, "raw Ray", lambda: _whole(contenders.raw_ray("branches_ray.py"), "done"), NOTHING)
        yield from _peers(contenders, BRANCHES, _BRANCHES, "done")
    else:
        yield Entrant(NAME, WARM, RAYFLOW, lambda: _kept_warm(contenders), RAYFLOW_PERSISTS, "with `rayflow up`")
        yield Entrant(NAME, WARM, "raw Ray", lambda: _joined(contenders), NOTHING)


def _peers(contenders: Contenders, case: str, commands: Mapping[str, str], word: str) -> Iterator[Entrant]:
    for name, command in commands.items():
        if name in contenders.peers:
            run_it = lambda name=name, command=command: _whole(contenders.peer(name, *command.split()), word)  # noqa: E731
            yield Entrant(NAME, case, name, run_it, PEERS[name].persists)


def _whole(ran: Ran, word: str) -> dict[str, float]:
    """`word` is what the last step prints: a program that does not get there is no measure."""
    if word not in ran.output:
        raise RuntimeError(f"The program did not say {word!r}: {ran.output[-500:]}")
    return {"process s": ran.seconds}


def _joined(contenders: Contenders) -> dict[str, float]:
    """Ray's program on a cluster that has run a program before. It is gone before any other contender runs."""
    try:
        contenders.raw_ray("hello_ray.py", is_warm=True)
        return _whole(contenders.raw_ray("hello_ray.py", is_warm=True), "HELLO")
    finally:
        contenders.warm.close()


def _kept_warm(contenders: Contenders) -> dict[str, float]:
    """rayflow's, between `rayflow up` and `rayflow down`; the first flow is not measured."""
    if not has_up(contenders.python):
        raise RuntimeError("This rayflow has no `rayflow up`.")
    with contenders.place("hello_flow.py") as place:
        environ = contenders.environ_in(place)
        run(Program([contenders.command, "up"], place, environ, limit_s=120))
        try:
            contenders.rayflow_in(place, ["hello_flow.py", "run"])
            return _whole(contenders.rayflow_in(place, ["hello_flow.py", "run"]), "HELLO")
        finally:
            run(Program([contenders.command, "down"], place, environ, limit_s=120))


def has_up(python: str) -> bool:
    """Whether that rayflow can keep a local cluster."""
    asked = subprocess.run([python, "-m", "rayflow", "up", "--help"], cwd=REPO, env=dict(os.environ), capture_output=True, check=False)
    return asked.returncode == 0
