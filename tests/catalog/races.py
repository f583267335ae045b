"""Drivers of one run that race, die and wake up, on a store whose every operation may be the last: one after another, by a seed.

Each driver is a thread that does what drivers do, with the code that drivers use; it stops before each operation of the store, and a
scheduler chooses who goes on. So a schedule is a list of choices, the same for the same seed. What is asked of all of them:

* what was acknowledged is committed, in every later view, whatever a power failure takes of what was not synced;
* of a run and its continuations together, no task is acknowledged twice: whoever was replaced acknowledges nothing any more;
* afterwards a resume finishes the work, and repeats nothing that was acknowledged.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from rayflow.catalog import wire
from rayflow.catalog.reading import Ending, drop_ending, open_run, write_ending
from rayflow.catalog.run import RunRecord, claim_run, read_run
from rayflow.catalog.takeover import Tenure, begin, take_over
from rayflow.catalog.view import RunView
from rayflow.model.entry import Entry
from rayflow.model.errors import RayflowException, RayflowNotFound, StoreExists, StoreMissing
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Outcome, Row, Segment
from rayflow.runtime.continuing import claimed_origin, refuse_continued, reusable_of
from rayflow.runtime.notices import Silent
from tests.catalog.building import record

TASKS = 4
STEP = "inner"


class Killed(BaseException):
    """The end of a driver, in the middle of whatever it did."""


@dataclass
class Disk:
    """Objects by key, and how much of each a power failure leaves."""

    can_append: bool
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    synced: dict[str, int] = field(default_factory=dict[str, int])

    def lose_power(self, rng: Random) -> None:
        """Of what was appended and not synced some is lost: all, the end of it, or a part in its middle."""
        for key, content in self.objects.items():
            safe = self.synced[key]
            if safe < len(content):
                kept = rng.randrange(safe, len(content) + 1)
                left = content[:kept]
                if kept > safe + 9 and rng.random() < 0.3:
                    start = rng.randrange(safe, kept - 8)
                    stop = rng.randrange(start + 8, kept)
                    left = left[:start] + b"\0" * (stop - start) + left[stop:]
                self.objects[key] = left
                self.synced[key] = len(left)


class SteppedStore:
    """The `Store` port over a `Disk`, which lets others go before each of its operations."""

    def __init__(self, disk: Disk, pause: Callable[[], None]) -> None:
        self.url = "disk"
        self.can_append = disk.can_append
        self._disk = disk
        self._pause = pause

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        self._pause()
        if key not in self._disk.objects:
            raise StoreMissing(f"There is no {key}.", key)
        return self._disk.objects[key][start:stop]

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        content = b"".join(chunks)
        self._pause()
        if only_new and key in self._disk.objects:
            raise StoreExists(f"{key} exists already.", key)
        self._disk.objects[key], self._disk.synced[key] = content, len(content)
        return len(content)

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        self._pause()
        self._disk.objects[key] = self._disk.objects.get(key, b"") + line
        self._disk.synced.setdefault(key, 0)
        if is_durable:
            self._pause()
            self._disk.synced[key] = len(self._disk.objects[key])

    def list(self, prefix: str) -> Iterator[str]:
        self._pause()
        return iter(sorted(key for key in self._disk.objects if key.startswith(f"{prefix}/")))

    def entries(self, prefix: str) -> Iterator[Entry]:
        return (Entry(key, len(self._disk.objects[key]), 0) for key in self.list(prefix))

    def delete(self, key: str) -> None:
        self._pause()
        self._disk.objects.pop(key, None)

    def local_path(self, key: str) -> str | None:
        return None


@dataclass
class Told:
    """What drivers acknowledged: (run, task), in order, and who it was; and which tasks they began."""

    acknowledged: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    begun: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])


class Actor:
    """A driver in a thread of its own, which goes on only when it is told to."""

    def __init__(self, name: str, act: Callable[[Actor], None]) -> None:
        self.name = name
        self.is_over = False
        self.fault: BaseException | None = None
        self._is_killed = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._act = act
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._act(self)
        except Killed:
            pass
        except RayflowException:
            pass  # it was refused, or replaced: it says so and ends
        except BaseException as error:
            self.fault = error
        self.is_over = True
        self._stopped.release()

    def pause(self) -> None:
        """Before each operation of the store: others may go first, for ever."""
        self._stopped.release()
        self._go.acquire()
        if self._is_killed:
            raise Killed

    def advance(self, *, is_killed: bool = False) -> None:
        """One operation; or death before it."""
        self._is_killed = is_killed
        self._go.release()
        self._stopped.acquire()


@dataclass
class World:
    """One run, and whoever wants to drive it."""

    disk: Disk
    rng: Random
    told: Told = field(default_factory=Told)
    actors: list[Actor] = field(default_factory=list[Actor])

    def store(self, actor: Actor | None = None) -> SteppedStore:
        return SteppedStore(self.disk, actor.pause if actor is not None else lambda: None)

    def spawn(self, name: str, act: Callable[[SteppedStore, str], None]) -> None:
        self.actors.append(Actor(name, lambda actor: act(self.store(actor), actor.name)))

    # -- what drivers do -------------------------------------------------------------------------------------------------

    def run(self, store: SteppedStore, who: str) -> None:
        """A first driver."""
        claimed = claim_run(store, record("R1"), is_id_given=True)
        self.drive(store, claimed, begin(store, claimed.layout), RunView(claimed), who)

    def reattach(self, store: SteppedStore, who: str) -> None:
        """The same run again, by a driver that believes the first one dead."""
        known = read_run(store, "Deep", "R1")
        opened = open_run(store, "Deep", "R1")
        if opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED:
            return
        refuse_continued(store, known)
        tenure = take_over(store, known.layout)
        refuse_continued(store, known)
        drop_ending(store, known.layout)
        self.drive(store, known, tenure, open_run(store, "Deep", "R1").view, who)

    def resume(self, store: SteppedStore, who: str) -> None:
        """A new run that goes on with the first."""
        origin, run_id = claimed_origin(store, read_run(store, "Deep", "R1"), who, Silent(), is_free=False)
        mine = claim_run(store, record(run_id, origin=origin.record.run_id), is_id_given=True)
        segments, _ = reusable_of(origin)
        tenure = begin(store, mine.layout)
        view = RunView(mine)
        if segments:
            tenure.journal.commit([{"e": "rows", **wire.segment_to_json(segment)} for segment in segments])
            for segment in segments:
                view.add(segment)
        self.drive(store, mine, tenure, view, who)

    def drive(self, store: SteppedStore, mine: RunRecord, tenure: Tenure, view: RunView, who: str) -> None:
        for task in range(TASKS):
            if view.find(STEP, task) is not None:
                continue
            tenure.journal.note([{"e": "launched", "step": STEP, "idx": IndexSet.single(task).to_json(), "log": "x" * 20}])
            self.told.begun.append((mine.run_id, task, who))
            segment = Segment(STEP, IndexSet.single(task), run=mine.run_id, rows=(Row(node=who),))
            tenure.journal.commit([{"e": "rows", **wire.segment_to_json(segment)}])
            view.add(segment)
            self.told.acknowledged.append((mine.run_id, task, who))
        tenure.journal.check_fence()
        ending = Ending(Outcome.SUCCEEDED, "", 0, segments=tuple(view.segments()), epoch=tenure.epoch)
        with contextlib.suppress(StoreExists):
            write_ending(store, mine.layout, ending)

    # -- the schedule ----------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Everybody, an operation at a time; some die, some sleep long."""
        rng = self.rng
        kills, patience = rng.choice([0.0, 0.01, 0.04]), rng.choice([0.0, 0.7, 0.95])
        current = rng.choice(self.actors)
        while living := [actor for actor in self.actors if not actor.is_over]:
            if current.is_over or rng.random() > patience:
                current = rng.choice(living)
            current.advance(is_killed=rng.random() < kills)
        for actor in self.actors:
            if actor.fault is not None:
                raise actor.fault

    def check(self) -> None:
        """AssertionError where a promise is broken."""
        tasks = [task for _, task, _ in self.told.acknowledged]
        assert len(tasks) == len(set(tasks)), f"acknowledged twice: {self.told.acknowledged}"
        self.disk.lose_power(self.rng)
        self._is_committed()
        already = set(tasks)
        mark = len(self.told.begun)
        for number in range(3):  # the last of them may find that another is to be resumed
            with contextlib.suppress(RayflowNotFound):
                self.resume(self.store(), f"Last{number}")
                break
        else:
            self.run(self.store(), "First")
        again = {task for _, task, _ in self.told.begun[mark:]}
        assert not again & already, f"{sorted(again & already)} ran again"
        self._is_committed()
        runs = {key.split("/")[2] for key in self.disk.objects if key.endswith("/run.json")}
        assert any(self._done(run) == TASKS for run in runs), "nobody finished the work"

    def _done(self, run: str) -> int:
        return open_run(self.store(), "Deep", run).view.totals().get(STEP, 0)

    def _is_committed(self) -> None:
        store = self.store()
        for run_id, task, who in self.told.acknowledged:
            view = open_run(store, "Deep", run_id).view
            assert view.find(STEP, task) is not None, f"task {task} of {run_id}, acknowledged by {who}, is lost"


def play(seed: int) -> World:
    """One schedule."""
    rng = Random(seed)
    world = World(Disk(can_append=rng.random() < 0.6), rng)
    world.spawn("driver", world.run)
    for number in range(rng.choice([0, 1, 1, 2])):
        world.spawn(f"again{number}", world.reattach)
    for number in range(rng.choice([0, 1, 1, 2])):
        world.spawn(f"Next{number}", world.resume)
    world.play()
    world.check()
    return world
