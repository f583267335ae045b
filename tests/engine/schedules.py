"""One schedule: a random flow, and a chain of drivers that run, re-attach and resume it until it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random

from rayflow.engine import Scheduler, StepProgress
from rayflow.model.records import Outcome
from rayflow.model.spec import Catch, Retry, StepSpec

from .flows import Flow, random_flow
from .oracle import evaluate
from .simulation import Driver, Faults, Killed, SimulatedScheduler
from .world import Run

MAX_TASKS = 120


@dataclass(frozen=True)
class Stage:
    """What a driver is started for: a run, the one it resumes, and the steps to re-run."""

    run: Run
    origin: Run | None = None
    rerun: frozenset[str] = frozenset()
    killed: Driver | None = None
    """The driver of the same run whose place this one takes."""


@dataclass
class Schedule:
    """What a seed stands for. `trace` identifies every event and command of it."""

    seed: int
    scheduler: Callable[..., Scheduler] = SimulatedScheduler
    trace: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.flow = self._flow()
        self.specs = {node.name: self._spec(node.is_foreach or node.is_switch) for node in self.flow.graph}

    def _flow(self) -> Flow:
        while True:
            flow = random_flow(self.rng)
            if len(evaluate(flow, {})) <= MAX_TASKS:
                return flow

    def _spec(self, is_split: bool) -> StepSpec:
        retry = Retry(self.rng.choice((0, 1, 2)), 5.0, self.rng.random() < 0.5)
        catch = Catch() if not is_split and self.rng.random() < 0.3 else None
        return StepSpec(retry, catch, is_isolated=self.rng.random() < 0.1)

    def play(self) -> None:
        """Plays it to the end. AssertionError where a promise is broken."""
        stage, digest, lives = Stage(Run("1", self.flow)), blake2b(digest_size=8), self.rng.choice((0, 1, 1, 2, 3, 5))
        for number in range(lives + 1):
            is_last = number == lives
            driver = self._live(stage, Faults() if is_last else self._faults())
            digest.update("".join(driver.trace).encode())
            if is_last or (driver.finish is not None and driver.finish.outcome is Outcome.SUCCEEDED and self.rng.random() < 0.3):
                assert driver.finish is not None and driver.finish.outcome is Outcome.SUCCEEDED, "no faults, no success"
                assert stage.run.by_place() == evaluate(self.flow, stage.run.versions), "not what the flow computes"
                break
            stage = self._next(stage, driver, str(number + 2))
        self.trace = digest.hexdigest()

    def _faults(self) -> Faults:
        """All at once, now and then; often none, or nothing but deaths of drivers, so that long chains get somewhere."""
        kind = self.rng.choice(("none", "kills", "any", "any"))
        return {"none": Faults(), "kills": Faults(kills=0.1), "any": Faults.draw(self.rng)}[kind]

    def _next(self, stage: Stage, driver: Driver, run_id: str) -> Stage:
        """After a kill the same run may go on; else it is resumed, perhaps with a step edited and re-run."""
        if driver.finish is None and self.rng.random() < 0.5:
            return Stage(stage.run, stage.origin, stage.rerun, driver)
        versions, rerun = dict(stage.run.versions), frozenset[str]()
        if self.rng.random() < 0.4:
            step = self.rng.choice(list(self.flow.graph.nodes))
            rerun, versions[step] = frozenset({step}), versions.get(step, 0) + 1
        return Stage(Run(run_id, self.flow, versions), stage.run, rerun)

    def _live(self, stage: Stage, faults: Faults) -> Driver:
        """One life of a driver."""
        driver = Driver(stage.run, self._scheduler(stage), self.specs, self.rng, faults)
        driver.origin, driver.rerun = stage.origin, stage.rerun
        done = set(stage.run.values)
        try:
            driver.start(kill_after=self.rng.randint(0, 3) if faults.kills and self.rng.random() < 0.2 else None)
            if stage.killed is not None:
                assert stage.origin is not None or driver.settled == done, "acknowledged work was forgotten"
                assert _done(driver.scheduler.progress()) == _done(stage.killed.scheduler.progress()), "replay differs"
            driver.live()
            driver.check_end()
        except Killed:
            pass
        if stage.origin is not None and not stage.rerun:
            again = {stage.run.place(key) for key in driver.launches} & set(stage.origin.by_place())
            assert not again, f"done in the origin, and launched again: {sorted(again)[:3]}"
        return driver

    def _scheduler(self, stage: Stage) -> Scheduler:
        max_workers = self.rng.choice((None, None, 1, 3))
        own = tuple(stage.run.journal)
        if stage.origin is None:
            scheduler = self.scheduler(self.flow.graph, self.specs, reusable=own, max_workers=max_workers)
        else:
            scheduler = self.scheduler(
                self.flow.graph,
                self.specs,
                reusable=stage.origin.journal,
                committed=own,
                rerun=stage.rerun,
                is_resume=True,
                max_workers=max_workers,
            )
        scheduler.sizes = Random(self.rng.random())
        return scheduler


def _done(progress: Mapping[str, StepProgress]) -> dict[str, tuple[int, int]]:
    return {name: (step.done, step.total_known) for name, step in progress.items()}
