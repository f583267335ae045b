"""What is measured, and how a program is run to measure it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measure:
    """The values of one measure over the rounds. `persists` says what is on disk when the program is done."""

    benchmark: str
    case: str
    contender: str
    what: str
    values: list[float] = field(default_factory=list[float])
    persists: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.what.endswith("/s")


@dataclass(frozen=True)
class Ran:
    """A program that ended well: its wall time, its own peak memory (not its children's), and its output."""

    seconds: float
    peak_mb: float
    output: str

    def told(self, word: str) -> Any:
        """What the program printed as `word {json}`, wherever in the line."""
        for line in self.output.splitlines():
            _, found, rest = line.partition(f"{word} {{")
            if found:
                return json.loads("{" + rest)
        raise RuntimeError(f"The program did not say {word!r}:\n{self.output}")


def run(command: Sequence[str], cwd: str, environ: Mapping[str, str] | None = None) -> Ran:
    """Runs a program to its end. RuntimeError with its output where it fails."""
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "RAYFLOW_ROOT", "RAY_ADDRESS")}
    path = os.path.join(cwd, "output.txt")
    with open(path, "w", encoding="utf-8") as sink:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env={**outside, **(environ or {})}, stdout=sink, stderr=subprocess.STDOUT)
        peak_mb = 0.0
        while process.poll() is None:
            peak_mb = max(peak_mb, _peak_mb(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - begin
    with open(path, encoding="utf-8", errors="replace") as file:
        output = file.read()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return Ran(seconds, peak_mb, output)


def _peak_mb(pid: int) -> float:
    """The high-water mark of a process's resident memory so far; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0
