"""No acknowledged task is lost or run again, whenever the driver is killed."""

from __future__ import annotations

import random

import pytest

from tests.crash.kill import Moment, length_s, moments, play
from tests.crash.world import World


@pytest.mark.parametrize(
    "plan",
    [
        [Moment(share=0.06)],
        [Moment(share=0.2, group=True)],
        [Moment(ack=1)],
        [Moment(ack=4, group=True)],
        [Moment(ack=9), Moment(ack=0)],
        [Moment(ack=6, worker=True), Moment(ack=12, worker=True)],
        [Moment(ack=14, group=True), Moment(ack=0, group=True), Moment(ack=6)],
        [Moment(share=0.5), Moment(ack=0)],
    ],
    ids=lambda plan: " then ".join(map(str, plan)),
)
def test_a_killed_run_is_finished_by_resumes_without_repeating_what_was_committed(world: World, plan: list[Moment]):
    length_s("process")  # measured before the clock runs
    found = play(world, plan)

    assert found.kills > 0


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
def test_kills_at_random_moments_lose_nothing(world: World, seed: int):
    play(world, moments(random.Random(seed)))


@pytest.mark.ray
@pytest.mark.nightly
@pytest.mark.parametrize("plan", [[Moment(ack=5)], [Moment(share=0.9, group=True), Moment(ack=0)], [Moment(share=0.3)]], ids=str)
def test_killed_runs_on_ray_lose_nothing_either(world: World, plan: list[Moment]):
    play(world, plan, "ray")
