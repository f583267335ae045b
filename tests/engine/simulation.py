"""A seeded world around the scheduler: batches that finish in any order, fail, vanish, and speak after their end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from rayflow.engine import Scheduler
from rayflow.engine.chains import goes_on
from rayflow.engine.invariants import check
from rayflow.engine.retry import MAX_LOSSES
from rayflow.engine.steps import StepState
from rayflow.model.commands import Batch, Cancel, Command, Drop, Finish, Launch, Reuse
from rayflow.model.events import (
    BatchEnded,
    BatchFreed,
    BatchLost,
    CapacityChanged,
    Completed,
    Event,
    Interrupted,
    Offered,
    TaskFailed,
    Ticked,
)
from rayflow.model.indexes import IndexSet, Lane
from rayflow.model.records import Failure, FailureKind, Outcome, Segment
from rayflow.model.spec import StepSpec

from .world import Key, Run


@dataclass(frozen=True)
class Faults:
    """What may go wrong in a schedule, as chances per action. Each seed draws a subset: a swarm finds more than everything on."""

    fails: float = 0.0
    dies: float = 0.0
    is_lost: float = 0.0
    hands_back: float = 0.0
    echoes: float = 0.0
    interrupts: float = 0.0
    kills: float = 0.0

    @staticmethod
    def draw(rng: Random) -> Faults:
        chances = (0.0, 0.0, 0.05, 0.2)
        return Faults(*(rng.choice(chances) for _ in range(5)), rng.choice((0, 0, 0.03)), rng.choice((0, 0.03, 0.1)))


class Sized:
    """Random sizes instead of measured ones: a flow of a few tasks gets batches of all sizes."""

    sizes: Random

    def _batch_size(self, state: StepState) -> int:
        return 1 if state.spec.is_isolated else self.sizes.choice((1, 1, 2, 3, 8))

    def _may_go_on(self, state: StepState) -> bool:
        return state.can_go_on and self.sizes.random() < 0.6


class SimulatedScheduler(Sized, Scheduler):
    """The scheduler under test."""


@dataclass
class Job:
    """A batch that a simulated worker performs."""

    batch: Batch
    open: dict[Lane, list[int]]
    is_freed: bool = False

    @property
    def left(self) -> list[tuple[Lane, int]]:
        return [(lane, index) for lane, indices in self.open.items() for index in indices]

    def close(self, lane: Lane, indices: list[int]) -> None:
        self.open[lane] = [index for index in self.open[lane] if index not in indices]
        if not self.open[lane]:
            del self.open[lane]

    def attempt_of(self, lane: Lane, index: int) -> int:
        return self.batch.attempt_of(index) if lane == self.batch.lane else 0


EXCEPTION = Failure(FailureKind.EXCEPTION, "boom", type="builtins.ValueError")
DEATH = Failure(FailureKind.DIED, "killed", exit_code=-9)
LOSS = Failure(FailureKind.LOST, "the node went away")


class Killed(Exception):
    """The driver died."""


class Driver:
    """One life of a driver: obeys the scheduler and holds it to its promises."""

    def __init__(self, run: Run, scheduler: Scheduler, specs: dict[str, StepSpec], rng: Random, faults: Faults) -> None:
        self.run, self.scheduler, self.specs, self.rng, self.faults = run, scheduler, specs, rng, faults
        self.origin: Run | None = None
        self.rerun: frozenset[str] = frozenset()
        self.now = 0.0
        self.jobs: dict[int, Job] = {}
        self.ahead: dict[int, Job] = {}
        self.echoes: list[Event] = []
        self.trace: list[str] = []
        self.settled: set[Key] = set()
        self.launches: list[Key] = []
        self.owed: Counter[Key] = Counter()
        self.charged: dict[Key, int] = {}
        self.losses: Counter[Key] = Counter()
        self.alone: set[Key] = set()
        self.fallbacks: set[Key] = set()
        self.hopeless: Key | None = None
        self.is_ending = False
        self.finish: Finish | None = None

    # -- obeying -----------------------------------------------------------------------------------------------------

    def start(self, kill_after: int | None = None) -> None:
        """Starts the run; the driver dies after `kill_after` reuses, where given."""
        commands = self.scheduler.start(self.now)
        reuses = [command for command in commands if isinstance(command, Reuse)]
        assert commands[: len(reuses)] == reuses, "reuse comes before launches"
        if kill_after is not None and kill_after < len(reuses):
            self.obey(commands[:kill_after])
            raise Killed
        self.obey(commands)
        ahead = self.rng.choice((0, 1, 2))
        self.tell(CapacityChanged(self.rng.choice((1, 2, 4)), {}, ahead))

    def tell(self, event: Event) -> None:
        commands = self.scheduler.on(event, self.now)
        self.trace += [repr(event), *map(repr, commands)]
        check(self.scheduler)
        self.obey(commands)
        self.adopt()
        open_tasks = {id: {lane: set(open) for lane, open in flight.open.items()} for id, flight in self.scheduler.flights.items()}
        known = {id: {lane: set(open) for lane, open in job.open.items()} for id, job in self.jobs.items()}
        assert open_tasks == known, "scheduler and workers disagree"

    def obey(self, commands: list[Command]) -> None:
        for command in commands:
            assert self.finish is None, "a command after Finish"
            match command:
                case Launch(batch=batch):
                    self.launch(batch)
                case Reuse(segment=segment):
                    self.reuse(segment)
                case Drop(batch_id=batch_id):
                    del self.ahead[batch_id]
                case Cancel(batch_id=batch_id):
                    assert not self.jobs[batch_id].is_freed, "there is nothing to cancel"
                    self.is_ending = True
                case Finish():
                    self.finish = command

    def launch(self, batch: Batch) -> None:
        assert not self.is_ending and self.hopeless is None, f"launched {batch} although the run is ending"
        if batch.after is not None:
            assert batch.after in self.jobs, f"{batch} starts on the offer of a batch that is over"
            self.ahead[batch.id] = Job(batch, {batch.lane: list(batch.indices)})
            return
        self.begin(batch)

    def adopt(self) -> None:
        """What was launched ahead counts from when its input is committed: by then all must hold that holds for other launches."""
        for batch_id in [batch_id for batch_id in self.ahead if batch_id in self.scheduler.flights]:
            self.begin(self.ahead.pop(batch_id).batch)
        assert set(self.ahead) == {flight.batch.id for flight in self.scheduler.ahead.values()}, "what runs ahead was forgotten"

    def begin(self, batch: Batch) -> None:
        keys = [(batch.step, index, batch.lap) for index in batch.indices]
        assert len(set(keys)) == len(keys) and keys
        assert not batch.goes_on or not any(key in self.alone for key in keys), "what is to run alone goes on"
        for key in keys:
            assert key not in self.run.values, f"{key} was launched although it is done"
            causes = self.run.causes(key, batch.parent)
            assert all(source in self.run.values for source in causes), f"{key} was launched before its inputs are done"
            if self.origin is not None and key in self.origin.values and key[0] not in self.rerun:
                assert not all(source in self.run.reused for source in causes), f"{key} could have been reused"
            assert self.owed[key] == 0, f"{key} was launched twice"
            assert batch.attempt_of(key[1]) == self.charged.get(key, 0), f"{key} is at attempt {self.charged.get(key, 0)}"
            assert (batch.fallback_for is not None) == (key in self.fallbacks)
            assert len(keys) == 1 or batch.is_gang or key not in self.alone, f"{key} was to run alone"
            self.owed[key] += 1
            self.launches.append(key)
        assert batch.is_gang == self.run.flow.graph.is_gang(batch.step)
        if batch.is_gang:
            above, _ = self.run.parents[batch.parent, batch.indices[0]]
            assert sorted(batch.indices) == list(self.run.opened[batch.parent, above]), "a gang was divided"
        self.jobs[batch.id] = Job(batch, {batch.lane: list(batch.indices)})

    def go_on(self, job: Job, segment: Segment) -> None:
        """The worker of a batch that goes on performs what its tasks lead to, as far as it may."""
        graph = self.run.flow.graph
        if not job.batch.goes_on:
            return
        for position, index in enumerate(segment.indices):
            target = segment.taken.at(position) if segment.taken else (*graph[segment.step].targets, "")[0]
            if not target or not goes_on(graph, self.specs, segment.step, target):
                continue
            lane = Lane(target, segment.lap + 1 if target == segment.step else 0, segment.step)
            key = (lane.step, index, lane.lap)
            assert self.charged.get(key, 0) == 0 and key not in self.alone, f"{key} was to be tried again by itself"
            assert self.owed[key] == 0, f"{key} was launched twice"
            self.owed[key] += 1
            self.launches.append(key)
            job.open.setdefault(lane, []).append(index)

    def reuse(self, segment: Segment) -> None:
        if self.origin is None:
            for index in segment.indices:
                key = (segment.step, index, segment.lap)
                assert key in self.run.values and key not in self.settled
                self.settled.add(key)
            return
        assert segment.step not in self.rerun, "a step to re-run was reused"
        values = [self.origin.values[segment.step, index, segment.lap] for index in segment.indices]
        for index in segment.indices:
            for source in self.run.causes((segment.step, index, segment.lap), segment.parent):
                assert source in self.run.reused, f"{segment.step}[{index}] was reused despite fresh input {source}"
        self.run.commit(segment, values, is_reused=True)

    # -- acting ------------------------------------------------------------------------------------------------------

    def live(self, limit: int = 20_000) -> Finish:
        """Acts until the run is over; `Killed` where the driver dies before. AssertionError where it takes too long."""
        for _ in range(limit):
            if self.finish is not None:
                return self.finish
            self.now += self.rng.choice((0.0, 0.0, 1.0))
            self.act()
        raise AssertionError("the run does not end")

    def act(self) -> None:
        rng, faults = self.rng, self.faults
        if rng.random() < faults.kills:
            raise Killed
        if self.echoes and rng.random() < faults.echoes:
            self.tell(rng.choice(self.echoes))
        elif rng.random() < faults.interrupts:
            self.is_ending = True
            self.tell(Interrupted(2))
        elif not self.jobs or rng.random() < 0.1:
            wakeup = self.scheduler.next_wakeup
            assert self.jobs or wakeup is not None, "nothing in flight, nothing to wait for, not finished"
            self.now = self.now if wakeup is None else max(self.now, wakeup)
            self.tell(Ticked())
        else:
            self.work(self.jobs[rng.choice(list(self.jobs))])

    def work(self, job: Job) -> None:
        """Something happens to a batch."""
        chance = self.rng.random
        if not job.left:
            self.end(job)
        elif chance() < 0.2 and self.offer(job):
            pass
        elif chance() < self.faults.fails and job.batch.fallback_for is None:
            self.fail(job, *self.rng.choice(job.left))
        elif not job.is_freed and chance() < 0.1:
            self.free(job)
        elif not job.is_freed and chance() < self.faults.dies and not job.batch.is_gang:
            self.die(job)
        elif not job.is_freed and chance() < self.faults.is_lost:
            self.lose(job, LOSS)
        elif chance() < self.faults.hands_back:
            self.end(job)
        else:
            lane = self.rng.choice(list(job.open))
            count = len(job.open[lane])
            self.complete(job, lane, count if job.batch.is_gang else self.rng.randint(1, count))

    def offer(self, job: Job) -> bool:
        """A lone task that is done says so before it is committed; whether it can."""
        batch, graph = job.batch, self.run.flow.graph
        if graph[batch.step].space or batch.fallback_for is not None:
            return False
        key = (batch.step, batch.indices[0], batch.lap)
        taken, _ = self.run.outcome(batch.step, batch.lap, [self.run.value(key, batch.parent)])
        targets = graph[batch.step].targets
        target = taken.at(0) if taken is not None else targets[0] if len(targets) == 1 else None
        self.echoes.append(Offered(batch.id, target))
        self.tell(self.echoes[-1])
        return True

    def complete(self, job: Job, lane: Lane, count: int) -> None:
        """Commits some of the batch, mostly as it was launched."""
        left = job.open[lane]
        done = left[:count] if self.rng.random() < 0.8 else self.rng.sample(left, count)
        assert self.scheduler.expects(job.batch.id, lane, IndexSet.of(done)), "an open task is not expected"
        segment = self.commit(lane, IndexSet.of(done))
        job.close(lane, done)
        self.go_on(job, segment)
        event = Completed(job.batch.id, segment, spent_s=1e-6 * count, slowest_s=1e-6)
        self.echoes.append(event)
        self.tell(event)

    def commit(self, lane: Lane, indices: IndexSet) -> Segment:
        keys = [(lane.step, index, lane.lap) for index in indices]
        values = [self.run.value(key, lane.parent) for key in keys]
        taken, counts = self.run.outcome(lane.step, lane.lap, values)
        fanout = None if counts is None else self.scheduler.reserve(lane.step, indices, counts)
        segment = Segment(lane.step, indices, lane.lap, lane.parent, taken, fanout, run=self.run.id, busy_s=1e-6 * len(indices))
        self.run.commit(segment, values, is_reused=False)
        for key in keys:
            self.owed[key] -= 1
            self.alone.discard(key)
        return segment

    def free(self, job: Job) -> None:
        """The worker is through; what it did is being committed."""
        job.is_freed = True
        self.echoes.append(BatchFreed(job.batch.id, 1, 1e-6, 1e-6))
        self.tell(self.echoes[-1])

    def end(self, job: Job) -> None:
        del self.jobs[job.batch.id]
        self.give_back(job.left)
        self.echoes.append(BatchEnded(job.batch.id))
        self.tell(BatchEnded(job.batch.id))

    def fail(self, job: Job, lane: Lane, index: int) -> None:
        """A task raises; the worker leaves the retry to the scheduler. Of a gang all are stopped with it."""
        event = TaskFailed(job.batch.id, index, job.attempt_of(lane, index), EXCEPTION, lane)
        self.echoes.append(event)
        failed = list(job.open[lane]) if job.batch.is_gang else [index]
        job.close(lane, failed)
        self.give_back([(lane, each) for each in failed])
        for each in [] if self.is_ending else sorted(failed, key=lambda each: each != index):  # the culprit first
            self.charge((lane.step, each, lane.lap), event.attempt)
        self.tell(event)

    def die(self, job: Job) -> None:
        """A task takes its worker down; the progress word may name it, or one that follows it and is further than what was reported."""
        if self.rng.random() < 0.5 and (len(job.left) > 1 or job.batch.goes_on):
            self.lose(job, DEATH)
            return
        lane, suspect = self.rng.choice(job.left)
        is_exact = len(job.left) > 1 or job.batch.goes_on or self.rng.random() < 0.5
        is_ahead = job.batch.goes_on and self.rng.random() < 0.3
        del self.jobs[job.batch.id]
        self.give_back(job.left)
        key = (lane.step, suspect, lane.lap)
        if not self.is_ending:
            if job.batch.fallback_for is not None or is_ahead:
                self.uncharged(key)
            else:
                self.charge(key, job.attempt_of(lane, suspect))
                self.alone.add(key)
        step = "ahead" if is_ahead else lane.step
        event = BatchLost(job.batch.id, DEATH, suspect, job.attempt_of(lane, suspect), is_exact, step, lane.lap)
        assert self.scheduler.blames(event) == (None if is_ahead else lane), "the journal would name another than is charged"
        self.echoes.append(event)
        self.tell(event)

    def lose(self, job: Job, failure: Failure) -> None:
        """The worker vanishes, and nobody knows why; a batch of one is to blame for its death, not for a loss."""
        if len(job.left) == 1 and failure is DEATH and not job.batch.goes_on:
            return
        del self.jobs[job.batch.id]
        self.give_back(job.left)
        for lane, indices in {} if self.is_ending else job.open.items():
            for index in indices if failure is LOSS or len(indices) == 1 else ():
                self.uncharged((lane.step, index, lane.lap), is_alone=len(indices) == 1)
        event = BatchLost(job.batch.id, failure)
        assert self.scheduler.blames(event) is None, "the journal would charge a loss that is nobody's fault"
        self.echoes.append(event)
        self.tell(event)

    # -- what is expected --------------------------------------------------------------------------------------------

    def give_back(self, tasks: list[tuple[Lane, int]]) -> None:
        for lane, index in tasks:
            self.owed[lane.step, index, lane.lap] -= 1

    def charge(self, key: Key, attempt: int) -> None:
        spec = self.specs[key[0]]
        if attempt < spec.retry.times:
            self.charged[key] = attempt + 1
        elif spec.catch is not None:
            self.charged[key] = attempt + 1
            self.fallbacks.add(key)
        elif self.hopeless is None:
            self.hopeless = key

    def uncharged(self, key: Key, *, is_alone: bool = True) -> None:
        self.losses[key] += 1
        if is_alone:
            self.alone.add(key)
        if self.losses[key] > MAX_LOSSES and self.hopeless is None:
            self.hopeless = key

    def check_end(self) -> None:
        """The run ended as what happened to it demands."""
        finish = self.finish
        assert finish is not None
        if self.hopeless is not None and finish.outcome is Outcome.FAILED:
            assert finish.failed == self.hopeless and finish.failure is not None
        else:
            assert finish.outcome is (Outcome.INTERRUPTED if self.is_ending else Outcome.SUCCEEDED) or (
                finish.outcome is Outcome.SUCCEEDED and self.is_end_done()
            )
        assert (finish.outcome is Outcome.SUCCEEDED) == self.is_end_done()
        if finish.outcome is Outcome.SUCCEEDED:
            assert not any(self.owed.values()), "a launched task is unaccounted for"

    def is_end_done(self) -> bool:
        return (self.run.flow.graph.end, 0, 0) in self.run.values
