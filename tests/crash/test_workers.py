"""A worker that dies takes no neighbour's work along."""

from __future__ import annotations

from collections import Counter

import pytest

from rayflow.client import open_pathspec
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
