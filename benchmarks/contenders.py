"""The programs that are compared, and with which interpreter each runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.measures import Ran, run

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")

RAYFLOW_PERSISTS = "artifacts, records, logs; fsynced"
METAFLOW_PERSISTS = "artifacts, records, logs; no fsync"
NOTHING = "nothing"


@dataclass(frozen=True)
class Contenders:
    """`python` has rayflow and Ray, `metaflow` (or None) has Metaflow. Everything is written below `directory`."""

    directory: str
    python: str
    metaflow: str | None

    @property
    def pythons(self) -> list[str]:
        return [self.python, *([self.metaflow] if self.metaflow else [])]

    def rayflow(self, flow: str, *arguments: str) -> Ran:
        """`python FLOW run ...`, into a root of its own."""
        with self._place() as place:
            return self._flow(place, self.python, "rayflow", flow, ["--quiet", "run", *arguments], {"RAYFLOW_ROOT": f"{place}/root"})

    def run_metaflow(self, flow: str, *arguments: str) -> Ran:
        """The same flow by Metaflow, into a store of its own."""
        assert self.metaflow is not None
        with self._place() as place:
            environ = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": place, "METAFLOW_HOME": place, "METAFLOW_USER": "bench", "HOME": place}
            return self._flow(place, self.metaflow, "metaflow", flow, ["--quiet", "run", *arguments], environ)

    def raw(self, program: str, *arguments: str) -> Ran:
        """A program without any workflow system."""
        with self._place() as place:
            return run([self.python, os.path.join(PROGRAMS, program), *arguments], place)

    def _flow(self, place: str, python: str, module: str, flow: str, arguments: list[str], environ: dict[str, str]) -> Ran:
        with open(os.path.join(PROGRAMS, flow), encoding="utf-8") as file:
            source = file.read()
        with open(os.path.join(place, flow), "w", encoding="utf-8") as file:
            file.write(source.replace("from rayflow import", f"from {module} import"))
        return run([python, flow, *arguments], place, {"RAYFLOW_USER": "bench", **environ})

    @contextmanager
    def _place(self) -> Iterator[str]:
        """A directory for one program, with nothing left to write from the one before."""
        os.sync()
        place = tempfile.mkdtemp(dir=self.directory)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def metaflow_python(given: str | None, directory: str) -> str | None:
    """The interpreter that has Metaflow: the given one, or one that uv makes."""
    if given != "make":
        return given
    venv = os.path.join(directory, "metaflow")
    subprocess.run(["uv", "venv", "-q", venv], check=True)
    python = os.path.join(venv, "bin", "python")
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, "metaflow", "numpy", "pyarrow", "setuptools<81"], check=True)
    return python
