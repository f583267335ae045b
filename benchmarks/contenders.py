"""How each contender's program is run: with which interpreter, in a place of its own, and on which cluster."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.cluster import WarmCluster
from benchmarks.peers import PEERS
from benchmarks.running import Program, Ran, run

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")

RAYFLOW_PERSISTS = "artifacts, records, logs; fsynced"
NOTHING = "nothing"
_IMPORT = re.compile(r"^from (\w+) import", re.MULTILINE)


@dataclass(frozen=True)
class Contenders:
    """`python` has rayflow and Ray; `peers` are the interpreters of the peers that are there, by name. Everything is written below
    `directory`."""

    directory: str
    python: str
    peers: Mapping[str, str]
    warm: WarmCluster
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def slots(self) -> int:
        return self.warm.cpus

    @property
    def command(self) -> str:
        """The program `rayflow`."""
        return os.path.join(os.path.dirname(self.python), "rayflow")

    def rayflow(self, flow: str, *arguments: str, is_warm: bool = False) -> Ran:
        """`python FLOW run ...`, into a root of its own; on the warm cluster, or as a user without one would."""
        with self.place(flow) as place:
            return self.rayflow_in(place, [flow, *self._joined(is_warm), "run", *arguments])

    def rayflow_in(self, place: str, arguments: Sequence[str], exit_code: int = 0) -> Ran:
        """`python FLOW ...` in a place that stays, with `{place}/root` as its root. The options before the command are quiet ones."""
        flow, *rest = arguments
        return run(Program([self.python, flow, "--quiet", *rest], place, self.environ_in(place), exit_code))

    def rayflow_read(self, place: str, command: Sequence[str]) -> Ran:
        """A program that reads `{place}/root` with rayflow's client."""
        return run(Program([self.python, *command], place, self.environ_in(place)))

    def environ_in(self, place: str) -> dict[str, str]:
        """What makes rayflow keep everything in that place, whatever the user's own settings are."""
        return {"RAYFLOW_ROOT": f"{place}/root", "RAYFLOW_USER": "bench", "HOME": place, **self.environ, **self._entry()}

    def raw(self, program: str, *arguments: str) -> Ran:
        """A program without any workflow system, in rayflow's environment."""
        with self.place(program) as place:
            return self.raw_in(place, [program, *arguments])

    def raw_in(self, place: str, command: Sequence[str]) -> Ran:
        return run(Program([self.python, *command], place, {"HOME": place, **self._entry()}))

    def raw_ray(self, program: str, *arguments: str, is_warm: bool = False) -> Ran:
        """A Ray program, whose first argument is the address: that of the warm cluster, or `local` for one of its own."""
        return self.raw(program, self.warm.address if is_warm else "local", *arguments)

    def peer(self, name: str, program: str, *arguments: str) -> Ran:
        """The peer's own program, or with a flow that names rayflow the same flow by Metaflow."""
        with self.place(program) as place:
            path = os.path.join(place, program)
            with open(path, encoding="utf-8") as file:
                source = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(source.replace("from rayflow import", f"from {name.lower()} import"))
            return run(Program([self.peers[name], program, *arguments], place, PEERS[name].environ_in(place)))

    def _joined(self, is_warm: bool) -> list[str]:
        return ["--address", self.warm.address] if is_warm else []

    def _entry(self) -> Mapping[str, str]:
        return self.warm.environ if self.warm.is_up else {}

    @contextmanager
    def place(self, *programs: str) -> Iterator[str]:
        """A directory with these programs and what they import of each other, and with nothing left to write from the one before."""
        os.sync()
        place = tempfile.mkdtemp(dir=self.directory)
        try:
            for name in programs:
                copy_program(name, place)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def copy_program(name: str, place: str) -> None:
    """Copies a program of `programs/`, and the programs that it imports."""
    shutil.copy(os.path.join(PROGRAMS, name), place)
    with open(os.path.join(PROGRAMS, name), encoding="utf-8") as file:
        imported = _IMPORT.findall(file.read())
    for module in imported:
        if os.path.exists(os.path.join(PROGRAMS, f"{module}.py")):
            copy_program(f"{module}.py", place)
