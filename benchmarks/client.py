"""Reading, and starting up: what costs milliseconds.

`newest`: the newest of many runs and one small artifact of it, in a process that has imported rayflow. `help`: the whole process of
`rayflow --help`. `import`: what importing takes over bare Python. A value is the least of a few starts, since a start can only be
disturbed upwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from benchmarks.contenders import Contenders
from benchmarks.many_runs import multiply
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.peers import PEERS
from benchmarks.running import Program, run

NAME = "client"
CASES = {"newest": "10000", "help": "", "import": ""}
QUICK = {"newest": "200", "help": "", "import": ""}
HELP, IMPORT = "--help", "import"
STARTS = 5


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """rayflow, and Metaflow where it does the same."""
    if case == "newest":
        yield Entrant(NAME, f"newest of {int(size):,} runs", RAYFLOW, _Newest(contenders, int(size)))
    elif case == "help":
        yield Entrant(NAME, HELP, RAYFLOW, lambda: {"process ms": _least_ms(contenders, [contenders.command, "--help"])})
    else:
        yield Entrant(NAME, IMPORT, RAYFLOW, lambda: _importing(contenders, contenders.python, "rayflow"))
        if "Metaflow" in contenders.peers:
            yield Entrant(NAME, IMPORT, "Metaflow", lambda: _importing(contenders, contenders.peers["Metaflow"], "metaflow"))


class _Newest:
    """The root is made the first time, and stays until the harness ends."""

    def __init__(self, contenders: Contenders, count: int) -> None:
        self.contenders, self.count = contenders, count
        self.place = os.path.join(contenders.directory, f"runs-{count}")

    def __call__(self) -> dict[str, float]:
        with self.contenders.place("hello_flow.py", "newest.py") as place:
            if not os.path.exists(self.place):
                os.mkdir(self.place)
                made = {**self.contenders.environ_in(place), "RAYFLOW_ROOT": f"{self.place}/root"}
                run(Program([self.contenders.python, "hello_flow.py", "--quiet", "run"], place, made))
                multiply(f"{self.place}/root", "HelloFlow", self.count)
                os.sync()
            environ = {**self.contenders.environ_in(place), "RAYFLOW_ROOT": f"{self.place}/root"}
            command = [self.contenders.python, "newest.py", "HelloFlow", "HELLO"]
            return {"ms after import": min(run(Program(command, place, environ)).told("newest")["ms"] for _ in range(STARTS))}


def _importing(contenders: Contenders, python: str, module: str) -> dict[str, float]:
    bare = _least_ms(contenders, [python, "-c", "pass"])
    return {"ms over bare Python": _least_ms(contenders, [python, "-c", f"import {module}"]) - bare}


def _least_ms(contenders: Contenders, command: Sequence[str]) -> float:
    with contenders.place() as place:
        program = Program(command, place, {**PEERS["Metaflow"].environ_in(place), **contenders.environ_in(place)})
        return min(run(program).seconds for _ in range(STARTS)) * 1000
