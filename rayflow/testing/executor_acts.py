"""An entry that does what a test says: what executors perform in their contract suite, in place of user code."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rayflow.executors.progress import ProgressWord
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Work
from rayflow.model.records import Row
from rayflow.model.reports import BatchOver, BatchStarted, Report, RowsDone

ENTRY = "rayflow.testing.executor_acts:perform"
DEATHS = ("os._exit(0)", "os._exit(3)", "SIGKILL", "segfault")


@dataclass(frozen=True)
class Script:
    """What a batch does: an act per index (others do nothing), and where the progress word lies.

    Acts: "sleep S" (gives the GIL back), "stuck" (never returns, holding the GIL), "getenv NAME", "shared", "append PATH" (for a
    minute, every 20 ms), "meet N DIRECTORY" (until N tasks are there, at most a minute; how many came), "fork" (leaves a child behind), and
    the `DEATHS`. What an act found out is in its row's `node`.
    """

    progress_dir: str
    acts: Mapping[int, str] = field(default_factory=dict[int, str])


def perform(work: Work, is_cancelled: Callable[[], bool]) -> Iterator[Sequence[Report]]:
    """Performs the script in `work.payload`, one report a task. Raises for a payload that is no script."""
    script: Script = pickle.loads(work.payload)
    word = ProgressWord(f"{script.progress_dir}/{os.getpid()}")
    batch = work.batch
    yield [BatchStarted(batch.id, os.getpid(), os.uname().nodename, progress=word.path)]
    outside = dict(os.environ)
    os.environ.update(work.environment)
    for index in batch.indices:
        word.set(batch.id, index, batch.attempt_of(index))
        begun_us = time.time_ns() // 1000
        begun = time.perf_counter()
        found = _act(script.acts.get(index, ""), work.shared)
        row = Row(attempt=batch.attempt_of(index), started_us=begun_us, seconds=time.perf_counter() - begun, pid=os.getpid(), node=found)
        yield [RowsDone(batch.id, IndexSet.single(index), rows=(row,))]
        if is_cancelled():
            break
    word.set(batch.id, -1, 0)
    for name in work.environment:
        os.environ.pop(name, None)
    os.environ.update({name: outside[name] for name in work.environment if name in outside})
    yield [BatchOver(batch.id)]


def _act(act: str, shared: bytes) -> str:
    word, _, rest = act.partition(" ")
    match word:
        case "sleep":
            time.sleep(float(rest))
        case "stuck":
            sum(range(10**12))
        case "getenv":
            return os.environ.get(rest, "")
        case "shared":
            return shared.decode()
        case "append":
            _append(rest)
        case "meet":
            return _meet(*rest.split(" ", 1))
        case "fork":
            return str(_fork())
        case "os._exit(0)":
            os._exit(0)
        case "os._exit(3)":
            os._exit(3)
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case _:
            pass
    return ""


def _append(path: str) -> None:
    for _ in range(3000):
        with open(path, "ab") as file:
            file.write(b".")
        time.sleep(0.02)


def _meet(count: str, directory: str) -> str:
    """How many have come when all are there, or a minute is over."""
    with open(f"{directory}/here-{os.getpid()}", "wb"):
        pass
    deadline = time.monotonic() + 60
    while (here := sum(name.startswith("here-") for name in os.listdir(directory))) < int(count) and time.monotonic() < deadline:
        time.sleep(0.02)
    return str(here)


def _fork() -> int:
    """The id of a child that holds everything open which this process has, and sleeps."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid
