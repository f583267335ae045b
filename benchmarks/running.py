"""Running one program to its end, and what is seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_FOREIGN = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "RAYFLOW_", "RAY_", "METAFLOW_", "PREFECT_", "DAGSTER_", "DASK_", "XDG_")
"""Beginnings of variables that would change what is measured."""


@dataclass(frozen=True)
class Program:
    """What is run, where, and how it should end. The limit is there so that a peer that hangs ends the harness not."""

    command: Sequence[str]
    cwd: str
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    exit_code: int = 0
    limit_s: float = 1800.0


@dataclass(frozen=True)
class Ran:
    """A program that ended as expected: when it began (seconds since 1970), its wall time, the CPU time of it and of the children that it
    waited for, its own peak memory (not its children's), and its output."""

    began: float
    seconds: float
    cpu_s: float
    peak_mb: float
    output: str

    def told(self, word: str) -> Any:
        """What the program printed as `word {json}`, wherever in the line."""
        for line in self.output.splitlines():
            _, found, rest = line.partition(f"{word} {{")
            if found:
                return json.loads("{" + rest)
        raise RuntimeError(f"The program did not say {word!r}:\n{_ending(self.output)}")


def run(program: Program) -> Ran:
    """Runs a program to its end. RuntimeError with the end of its output where that is another one than expected."""
    path = os.path.join(program.cwd, "output.txt")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    with open(path, "w", encoding="utf-8") as sink:
        began, begin = time.time(), time.perf_counter()
        process = subprocess.Popen(
            program.command, cwd=program.cwd, env={**outside, **program.environ}, stdout=sink, stderr=sink, start_new_session=True
        )
        watch = _Watch(process.pid, program.limit_s)
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _kill(process.pid)
            raise
        finally:
            watch.is_over.set()
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.join()
    with open(path, encoding="utf-8", errors="replace") as file:
        output = file.read()
    if process.returncode != program.exit_code:
        late = f" (it was stopped after {program.limit_s:.0f} s)" if watch.was_late else ""
        raise RuntimeError(f"{' '.join(program.command)} ended with {process.returncode}{late}:\n{_ending(output)}")
    return Ran(began, seconds, usage.ru_utime + usage.ru_stime, watch.peak_mb, output)


class _Watch(threading.Thread):
    """Follows the peak memory of a process, and ends it at its limit."""

    def __init__(self, pid: int, limit_s: float) -> None:
        super().__init__(daemon=True)
        self.pid, self.limit_s = pid, limit_s
        self.peak_mb, self.was_late, self.is_over = 0.0, False, threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + self.limit_s
        while not self.is_over.wait(0.01):
            self.peak_mb = max(self.peak_mb, _peak_mb(self.pid))
            if time.monotonic() > deadline and not self.was_late:
                self.was_late = True
                _kill(self.pid)


def _kill(pid: int) -> None:
    """Ends a program and what it started: each is a process group of its own."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _peak_mb(pid: int) -> float:
    """The high-water mark of a process's resident memory so far; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def _ending(output: str) -> str:
    return "\n".join(output.splitlines()[-15:])
