"""Signals end a run in order; the death of its driver leaves nothing of it running."""

from __future__ import annotations

import glob
import os
import signal
import tempfile
import time

import pytest

from rayflow.model.indexes import TaskKey
from tests.crash.world import Driver, World, eventually

EXECUTORS = ["process", pytest.param("ray", marks=pytest.mark.ray)]
DETACHED = [False, pytest.param(True, marks=pytest.mark.nightly)]


def napping(world: World, executor: str, *options: str) -> Driver:
    """A driver one of whose tasks sleeps, and another of whose left a child."""
    driver = world.drive("Slow", "run", "--executor", executor, *options)
    driver.event("task", step="nap")
    assert eventually(lambda: "nap" in world.started(), 30)
    return driver


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_interrupts_the_run_within_ten_seconds_and_leaves_it_resumable(world: World, executor: str, number: int, code: int):
    driver = napping(world, executor)
    began = time.monotonic()

    driver.send(number)

    assert driver.finish(15) == code
    assert time.monotonic() - began < 10
    assert driver.errors == ""
    assert eventually(lambda: not world.living(), 2), world.living()
    opened = world.opened("Slow", str(driver.run_id))
    assert opened.ending is not None
    assert opened.ending.outcome.value == "interrupted"
    assert list(opened.view.totals()) == ["start"]
    (attempt,) = opened.view.failed[TaskKey("nap", 0)]
    assert attempt.row.failure is not None
    assert attempt.row.failure.message.startswith("Its process was ended: still running when the grace period was over: interrupted by")
    world.ledger.with_name("ledger.hurry").touch()
    mark = world.mark()
    assert world.perform("Slow", "resume").process.returncode == 0
    assert world.started(mark) == ["nap", "end"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_second_ctrl_c_does_not_wait_for_the_task(world: World, executor: str):
    driver = napping(world, executor)
    began = time.monotonic()

    driver.send(signal.SIGINT)
    time.sleep(0.3)  # two signals in one moment are one
    driver.send(signal.SIGINT)

    assert driver.finish(15) == 130
    assert time.monotonic() - began < 4
    assert eventually(lambda: not world.living(), 2), world.living()


def test_ctrl_c_during_start_up_ends_with_its_code(world: World):
    driver = world.drive("Slow", "run")
    driver.event("started")

    driver.send(signal.SIGINT)

    assert driver.finish(15) == 130
    assert eventually(lambda: not world.living(), 5), world.living()
    world.ledger.with_name("ledger.hurry").touch()
    assert world.perform("Slow", "resume").process.returncode == 0


@pytest.mark.parametrize("detached", DETACHED)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_ten_seconds_after_the_death_of_its_driver_nothing_of_a_run_is_running(world: World, executor: str, detached: bool):
    driver = napping(world, executor, "-p", f"detached={detached}")
    assert len(world.living()) >= 3

    os.kill(driver.pid, signal.SIGKILL)

    assert driver.process.wait(5) == -signal.SIGKILL
    assert eventually(lambda: not world.living(), 10), [open(f"/proc/{pid}/cmdline").read() for pid in world.living()]


@pytest.mark.ray
def test_what_killed_drivers_left_of_ray_is_swept_by_the_next_run(world: World):
    pattern = os.path.join(tempfile.gettempdir(), "rayflow-ray-*")
    before = set(glob.glob(pattern))
    driver = napping(world, "ray")
    left = set(glob.glob(pattern)) - before
    driver.kill()
    assert eventually(lambda: not world.living(), 10)

    world.ledger.with_name("ledger.hurry").touch()
    assert world.perform("Slow", "resume", "--executor", "ray").process.returncode == 0

    assert left
    assert not any(os.path.exists(path) for path in left)
