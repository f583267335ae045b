"""Readers need no lock: what they see while a run goes on, is killed and continued, and while old runs are removed, is whole and right."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rayflow.catalog.index import runs_of
from rayflow.client import open_pathspec
from rayflow.exception import RayflowNotFound
from rayflow.store import open_root
from rayflow.upkeep import plan_gc
from tests.crash.world import World, eventually

COUNT = 400
EXPECTED = {"start": lambda data: data.items == list(range(COUNT)), "join": lambda data: data.values == [n * n for n in range(COUNT)]}


@dataclass
class Reader:
    """Lists the runs and reads the newest, again and again: every finished task's value, and that none is unfinished again."""

    root: str
    looks: int = 0
    values: int = 0
    removed: int = 0
    done: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def look(self) -> None:
        for entry in list(runs_of(open_root(self.root, create=False), "Wide"))[:2]:
            try:
                self.read(entry.run_id)
            except RayflowNotFound as error:
                assert entry.run_id not in [each.run_id for each in runs_of(open_root(self.root, create=False), "Wide")], error
                self.removed += 1
        self.looks += 1

    def read(self, run_id: str) -> None:
        run = open_pathspec(self.root, f"Wide/{run_id}")
        is_over, done = run.successful, set[str]()
        for step in run:
            for task in step:
                if not task.finished:
                    continue
                done.add(f"{step.id}/{task.index}")
                if step.id == "work":
                    assert task.data.value == task.index**2, task
                    assert task.stdout.startswith(f"split {task.index}\n"), task
                    self.values += 1
                else:
                    assert EXPECTED.get(step.id, bool)(task.data), task
        lost = self.done.get(run_id, set()) - done
        assert not lost, f"run {run_id}: {sorted(lost)} were done a moment ago"
        self.done[run_id] = done
        assert not is_over or len(done) == COUNT + 3


@contextmanager
def repeated(act: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Performs `act` again and again in a thread; gives the list that its error is put into, should it raise one."""
    errors: list[BaseException] = []
    stopped = threading.Event()

    def perform() -> None:
        try:
            while not stopped.is_set():
                act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=perform)
    thread.start()
    try:
        yield errors
    finally:
        stopped.set()
        thread.join(60)


def test_readers_see_whole_values_while_runs_are_killed_continued_and_removed(world: World):
    open_root(world.root, create=True)
    readers = [Reader(world.root) for _ in range(2)]

    def collect() -> None:
        # A killed run is dead, so that one this old may go before its resume finds it: on a slow machine that takes seconds.
        plan_gc(open_root(world.root, create=False), now_us=time.time_ns() // 1000, deletes=True, older_than_us=15_000_000)
        time.sleep(0.2)

    with repeated(readers[0].look) as first, repeated(readers[1].look) as second, repeated(collect) as collector:
        for _ in range(3):
            driver = world.drive("Wide", "run", "-p", f"count={COUNT}", "-p", "pause_s=0.005")
            driver.progressed("work", COUNT // 3)
            driver.kill()
            assert world.perform("Wide", "resume").process.returncode == 0
            assert (first, second, collector) == ([], [], [])
        assert eventually(lambda: len(world.run_ids("Wide")) < 6, 60)

    assert (first, second, collector) == ([], [], [])
    assert min(reader.looks for reader in readers) > 3
    assert sum(reader.values for reader in readers) > 5 * COUNT
