"""Machines of a cluster that die below a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rayflow.client import open_pathspec
from tests.crash.flows import NESTED_ANSWER
from tests.crash.raynodes import Nodes
from tests.crash.world import World, committed_names

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    made = Nodes()
    yield made
    made.close()


def test_a_node_that_dies_costs_what_was_in_flight_there_and_nothing_else(world: World, nodes: Nodes):
    second = nodes.add()
    nodes.wait_for(2)
    driver = world.drive("Nested", "run", "--executor", "ray", "--address", nodes.address, "-p", "pause_ms=25", env=nodes.environ)
    driver.progressed("leaf", 40)
    committed, mark = committed_names(world.opened("Nested", str(driver.run_id))), world.mark()

    nodes.kill_node(second)

    assert driver.finish(120) == 0, driver.errors
    assert not committed.intersection(world.started(mark))
    run = open_pathspec(world.root, f"Nested/{driver.run_id}")
    assert run["end"].task["answer"].data == NESTED_ANSWER
    assert [task.current_attempt for task in run["leaf"]] == [0] * 240  # nobody is charged for a machine


@pytest.mark.nightly
def test_without_the_head_a_run_ends_and_goes_on_elsewhere(world: World, nodes: Nodes):
    driver = world.drive("Nested", "run", "--executor", "ray", "--address", nodes.address, "-p", "pause_ms=25", env=nodes.environ)
    driver.progressed("leaf", 40)

    nodes.kill_gcs()

    assert driver.finish(120) != 0
    committed, mark = committed_names(world.opened("Nested", str(driver.run_id))), world.mark()
    again = world.perform("Nested", "resume")
    assert again.process.returncode == 0, again.errors
    assert not committed.intersection(world.started(mark))
    assert open_pathspec(world.root, f"Nested/{again.run_id}")["end"].task["answer"].data == NESTED_ANSWER
