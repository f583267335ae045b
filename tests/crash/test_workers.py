"""A worker that dies takes no neighbour's work along."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from rayflow.client import open_pathspec
from rayflow.client.attempts import rows_of
from rayflow.model.records import FailureKind
from tests.crash.world import World


@pytest.mark.parametrize("executor", ["process", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_split_that_kills_its_worker_is_charged_one_attempt_and_no_committed_neighbour_runs_again(world: World, executor: str):
    driver = world.perform("Mortal", "run", "--executor", executor)

    assert driver.process.returncode == 0, driver.errors
    failures = [(fact["step"], fact["attempt"], fact["retried"]) for fact in driver.facts if fact["event"] == "failed"]
    assert failures == [("work", 0, True)]
    run = open_pathspec(world.root, f"Mortal/{driver.run_id}")
    assert run["join"].task["values"].data == list(range(40))
    counts = Counter(world.started())
    assert counts["work-17"] == 2
    again = {name for name, count in counts.items() if count > 1} - {"work-17"}
    assert len(again) <= 6, f"only what its batch had not reported yet may run again: {sorted(again)}"
    attempts = {task["value"].data: task.current_attempt for task in run["work"]}
    assert attempts == {number: int(number == 17) for number in range(40)}


@pytest.mark.ray
def test_a_task_that_ray_ends_for_want_of_memory_says_how_much_it_held_and_what_to_ask_for(world: World):
    with open("/proc/meminfo", encoding="ascii") as file:
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in file}
    in_use = kilobytes["MemTotal"] - kilobytes["MemAvailable"]
    limit = {
        "RAY_memory_usage_threshold": f"{(in_use + 1_500_000) / kilobytes['MemTotal']:.4f}",
        "RAY_memory_monitor_refresh_ms": "50",
    }

    driver = world.perform("Hungry", "run", "--executor", "ray", env=limit)

    assert driver.process.returncode == 0, driver.errors
    task = open_pathspec(world.root, f"Hungry/{driver.run_id}")["eat"].task
    row = rows_of(task._handle, task.record.key)[0]
    assert (task.current_attempt, row.failure.kind) == (1, FailureKind.OUT_OF_MEMORY)
    assert 300e6 < row.peak_nbytes < 4e9
    assert re.search(r"ran out of memory.*@resources\(memory=\d+00\)", row.failure.message)
