"""Kills drivers of a foreach flow, their groups and workers at chosen moments, resumes, and compares with what must be.

    python -m tests.crash.kill --kills 200 [--executor process|ray] [--seed N]

One *round* is a run, killed, and resumes of it, some of them killed too, until one finishes. After each kill: every reader opens the
root; what was acknowledged is committed. At the end: the answer is the oracle's, every task ran, and none ran again after it was committed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rayflow.catalog.index import runs_of
from rayflow.model.errors import StoreMissing
from rayflow.store import open_root
from tests.crash.flows import NESTED_ANSWER, NESTED_TASKS
from tests.crash.world import Driver, Fact, World, committed_names, eventually

FLOW = "Nested"


@cache
def length_s(executor: str) -> float:
    """How long an undisturbed run takes here, half of it before the first task."""
    with tempfile.TemporaryDirectory(prefix="rayflow-kill-") as directory:
        world, begun = World(Path(directory)), time.monotonic()
        try:
            assert world.drive(FLOW, "run", "--executor", executor).finish() == 0
        finally:
            world.close()
        return time.monotonic() - begun


@dataclass(frozen=True)
class Moment:
    """When to kill: after this `share` of the length of an undisturbed run, or at the `ack`-th fact that acknowledges something. And whom:
    the driver, with `group` its process group, with `worker` one of its workers, which ends the run as a failed one."""

    share: float | None = None
    ack: int | None = None
    group: bool = False
    worker: bool = False

    def __str__(self) -> str:
        where = f"at acknowledgement {self.ack}" if self.ack is not None else f"after {self.share:.0%}"
        return f"{'group ' if self.group else 'worker ' if self.worker else ''}{where}"


def moments(rng: random.Random) -> list[Moment]:
    """One to three kills of a round; the first of the run, the others of resumes."""
    chosen: list[Moment] = []
    for number in range(rng.choice([1, 1, 2, 3])):
        group, worker = rng.choice([(False, False), (True, False), (True, False), (False, True)])
        match rng.choice(["any", "any", "ack", "ack", "early"] if number == 0 else ["any", "ack", "replay", "replay"]):
            case "any":
                chosen.append(Moment(share=rng.uniform(0.3, 1), group=group, worker=worker))
            case "ack":
                chosen.append(Moment(ack=rng.randrange(1, 25), group=group, worker=worker))
            case "early":
                chosen.append(Moment(share=rng.uniform(0, 0.4), group=group))
            case _:
                chosen.append(Moment(ack=0, group=group))  # the very moment at which the resume says that it started
    return chosen


@dataclass
class Round:
    """What one round found: how many kills hit a living driver, and what it took."""

    kills: int = 0
    workers: int = 0
    resumes: int = 0
    reused: int = 0


def play(world: World, plan: list[Moment], executor: str = "process") -> Round:
    """Performs one round. AssertionError where a promise is broken."""
    found = Round()
    committed: set[str] = set()
    for moment in [*plan, None]:
        is_first = not _run_ids(world)
        mark = world.mark()
        driver = world.drive(FLOW, "run" if is_first else "resume", "--executor", executor)
        if moment is not None:
            was_hit = _kill(driver, moment, executor)
            found.kills += was_hit
            found.workers += was_hit and moment.worker
        else:
            code = driver.finish()
            assert code == 0, f"exit code {code}: {driver.errors}"
        found.resumes += not is_first
        again = committed.intersection(world.started(mark))
        assert not again, f"{sorted(again)} ran again"
        committed |= _check(world, driver)
        if driver.process.returncode == 0:
            break
    newest = world.opened(FLOW, _run_ids(world)[0])
    found.reused = sum(len(segment.indices) for segment in newest.view.segments() if segment.run != newest.record.run_id)
    assert committed_names(newest) == NESTED_TASKS
    assert set(world.started()) == NESTED_TASKS
    answers = [artifacts["answer"] for name, artifacts in world.read_all(FLOW, newest.record.run_id).items() if name.startswith("end/")]
    assert answers == [NESTED_ANSWER]
    assert eventually(lambda: not world.living(), 10.0), f"processes left: {world.living()}"
    return found


def _kill(driver: Driver, moment: Moment, executor: str) -> bool:
    """Whether it was still alive then."""
    if moment.ack is not None:
        left = moment.ack

        def is_it(fact: Fact) -> bool:
            nonlocal left
            left -= fact["event"] in ("done", "progress", "reused")
            return left <= 0 and fact["event"] != "said"

        driver.until(is_it)
    elif moment.share is not None:
        time.sleep(moment.share * length_s(executor))  # the moment itself is the experiment: nothing is waited for
    was_alive = driver.process.poll() is None
    if moment.worker:
        return driver.kill_worker()
    driver.kill(group=moment.group)
    return was_alive


def _run_ids(world: World) -> list[str]:
    try:
        return [entry.run_id for entry in runs_of(open_root(world.root, create=False), FLOW) if world.has_record(FLOW, entry.run_id)]
    except StoreMissing:
        return []


def _check(world: World, driver: Driver) -> set[str]:
    """What readers find now. Everything that the driver acknowledged is committed."""
    if driver.run_id is None:
        return set()
    opened = world.opened(FLOW, driver.run_id)
    names = committed_names(opened)
    counts = opened.view.totals()
    missing = {step: done for step, done in driver.acknowledged().items() if counts.get(step, 0) < done}
    assert not missing, f"acknowledged {driver.acknowledged()}, committed {counts}"
    assert driver.run_id in world.run_ids(FLOW)
    assert len(world.read_all(FLOW, driver.run_id)) == len(names)
    return names


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--executor", default="process")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    length_s(options.executor)
    begun, kills, rounds, total = time.monotonic(), 0, 0, Round()
    while kills < options.kills:
        plan = moments(rng)
        with tempfile.TemporaryDirectory(prefix="rayflow-kill-") as directory:
            world = World(Path(directory))
            try:
                found = play(world, plan, options.executor)
            except AssertionError as error:
                print(f"BROKEN seed {options.seed} round {rounds} ({'; '.join(map(str, plan))}): {error}")
                return 1
            finally:
                world.close()
        rounds, kills = rounds + 1, kills + found.kills
        total.resumes += found.resumes
        total.reused += found.reused
        total.workers += found.workers
    seconds = time.monotonic() - begun
    print(
        f"{kills} kills ({total.workers} of workers) in {rounds} rounds ({options.executor}, seed {options.seed}): "
        f"{total.resumes} resumes, 0 refused; {total.reused} tasks reused, 0 acknowledged ones run again; "
        f"0 wrong results; 0 processes left; {seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
