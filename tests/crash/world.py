"""Drivers as processes, ledgers, and what readers find under a root: shared by the tests that kill."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rayflow.catalog.index import runs_of
from rayflow.catalog.reading import OpenedRun, open_run
from rayflow.client import open_pathspec
from rayflow.store import open_root

REPO = Path(__file__).parents[2]
DEADLINE_S = 60.0

Fact = dict[str, Any]


class Driver:
    """A driver process in a session of its own. `facts` are what its reporter was told, as far as they were looked at."""

    def __init__(self, world: World, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._mark = f"{world.token}-{len(world.drivers)}"
        environ = {"LEDGER": str(world.ledger), "PYTHONPATH": str(REPO), "CRASH_TOKEN": world.token, "CRASH_DRIVER": self._mark}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.driver", *arguments],
            cwd=REPO,
            env={**os.environ, **environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.facts: list[Fact] = []
        self._errors: list[str] = []
        self._queue: queue.SimpleQueue[Fact | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self._queue.put(json.loads(line))
        self._queue.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def errors(self) -> str:
        """What it wrote to stderr; complete after `finish`."""
        return "".join(self._errors)

    def until(self, claim: Callable[[Fact], bool], deadline_s: float = DEADLINE_S) -> Fact | None:
        """The next fact of which the claim holds; None where the driver ends before."""
        deadline = time.monotonic() + deadline_s
        while True:
            fact = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            if fact is None:
                self._queue.put(None)
                return None
            self.facts.append(fact)
            if claim(fact):
                return fact

    def event(self, name: str, deadline_s: float = DEADLINE_S, **expected: object) -> Fact:
        """The next fact of that name with these values; AssertionError where the driver ends before."""
        found = self.until(
            lambda fact: fact["event"] == name and all(fact.get(key) == value for key, value in expected.items()), deadline_s
        )
        assert found is not None, f"the driver ended without {name} {expected}: {self.facts} {self.errors}"
        return found

    def progressed(self, step: str, count: int) -> None:
        """Waits until it said that so many tasks of the step are done."""
        found = self.until(lambda fact: fact["event"] == "progress" and fact["done"].get(step, 0) >= count)
        assert found is not None, f"the driver ended without {count} tasks of {step}: {self.errors}"

    def finish(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code, once the process is over and everything that holds its output is gone."""
        code = self.process.wait(deadline_s)
        self.until(lambda _: False, deadline_s)
        for thread in self._threads:
            thread.join(deadline_s)
        return code

    def kill(self, *, group: bool = False) -> None:
        """SIGKILL; returns when its children are gone too: until they notice, they may begin another task."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        self.finish(15.0)
        assert eventually(lambda: not list(_with("CRASH_DRIVER", self._mark)), 15.0), "its children go on"

    def kill_worker(self) -> bool:
        """SIGKILL of one of its workers, if it has any; returns whether, when the driver has ended of itself."""
        workers = [pid for pid in _with("CRASH_DRIVER", self._mark) if pid != self.pid and _is_worker(pid)]
        hit = bool(workers)
        for pid in workers[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.finish(90.0)
        return hit

    def release(self) -> None:
        """Lets a driver that waits at its barrier begin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    @property
    def run_id(self) -> str | None:
        return next((fact["run"] for fact in self.facts if fact["event"] == "started"), None)

    def acknowledged(self) -> Counter[str]:
        """Tasks by step that it said were done, at the most."""
        done: Counter[str] = Counter()
        lone: Counter[str] = Counter()
        for fact in self.facts:
            if fact["event"] in ("progress", "ended"):
                done |= Counter(fact["done"])
            elif fact["event"] == "done":
                lone[fact["step"]] += 1
            elif fact["event"] == "reused":
                done |= Counter(fact["tasks"])
        return done | lone


@dataclass
class World:
    """One root, one ledger, and the drivers that work there."""

    path: Path
    drivers: list[Driver] = field(default_factory=list[Driver])

    def __post_init__(self) -> None:
        self.token = f"crash-{os.getpid()}-{os.urandom(4).hex()}"

    @property
    def root(self) -> str:
        return str(self.path / "root")

    @property
    def ledger(self) -> Path:
        return self.path / "ledger"

    def drive(self, *arguments: str, env: dict[str, str] | None = None) -> Driver:
        """Starts a driver: `drive("Nested", "run")`."""
        driver = Driver(self, *arguments, "--root", self.root, env=env)
        self.drivers.append(driver)
        return driver

    def perform(self, *arguments: str, env: dict[str, str] | None = None) -> Driver:
        """A driver that was left to end by itself."""
        driver = self.drive(*arguments, env=env)
        driver.finish()
        return driver

    def close(self) -> None:
        """Ends every process that a test left."""
        for driver in self.drivers:
            if driver.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(driver.pid, signal.SIGKILL)
                driver.process.wait(10)
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def started(self, since: int = 0) -> list[str]:
        """Tasks in the order in which they were started, from byte `since` of the ledger on."""
        try:
            with open(self.ledger, encoding="utf-8") as file:
                file.seek(since)
                return file.read().split()
        except FileNotFoundError:
            return []

    def mark(self) -> int:
        """Where the ledger ends now."""
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    def run_ids(self, flow: str) -> list[str]:
        """Newest first."""
        return [entry.run_id for entry in runs_of(open_root(self.root, create=False), flow)]

    def has_record(self, flow: str, run_id: str) -> bool:
        """Whether the run exists: its driver may have died before that."""
        return (Path(self.root) / flow / "runs" / run_id / "run.json").exists()

    def opened(self, flow: str, run_id: str) -> OpenedRun:
        return open_run(open_root(self.root, create=False), flow, run_id)

    def read_all(self, flow: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Every artifact of every done task, by the client: names as the ledger's. Loads everything, so that damage would be met."""
        run = open_pathspec(self.root, f"{flow}/{run_id}")
        found: dict[str, dict[str, Any]] = {}
        for step in run:
            for task in step:
                if task.finished:
                    found[f"{step.id}/{task.id}"] = {artifact.id: artifact.data for artifact in task}
        return found

    def living(self) -> list[int]:
        """The processes that carry this world's token in their environment."""
        return list(_with("CRASH_TOKEN", self.token))


def _with(name: str, value: str) -> Iterator[int]:
    """The processes that have this variable in their environment."""
    wanted = f"{name}={value}".encode()
    for pid in os.listdir("/proc"):
        if pid.isdecimal() and int(pid) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                if wanted in file.read().split(b"\0") and _state(pid) not in "ZX":
                    yield int(pid)


def _is_worker(pid: int) -> bool:
    """Whether the process performs tasks: a child process of rayflow's, or a busy worker of Ray."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        return False
    return b"rayflow.executors.child" in command or (command.startswith(b"ray::") and not command.startswith(b"ray::IDLE"))


def _state(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def eventually(claim: Callable[[], bool], deadline_s: float) -> bool:
    """Whether the claim about other processes comes true in time. For what the kernel tells nobody about: looked at every 20 ms."""
    deadline = time.monotonic() + deadline_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def committed_names(opened: OpenedRun) -> set[str]:
    """The committed tasks of a run of `Nested` (or another flow without laps), named as the ledger names them."""
    names: set[str] = set()
    for segment in opened.view.segments():
        for index in segment.indices:
            frames = opened.view.frames(opened.view.graph[segment.step].space, index)
            names.add("-".join([segment.step, *(str(frame.position) for frame in frames)]))
    return names
