"""The property suite: random flows under random faults, held to the promises after every event (see `simulation`).

`RAYFLOW_SCHEDULES` says how many schedules are played (3,000 unless given, about 25 s; `nightly` plays 10,000 more). A failure
names its seed: `Schedule(seed).play()` repeats it, event by event.
"""

from __future__ import annotations

import os

import pytest

from .planted import PLANTED
from .schedules import Schedule

SHARE = 250
SCHEDULES = int(os.environ.get("RAYFLOW_SCHEDULES", "3000"))
BUDGET = 2_000
"""Within how many schedules a planted bug must be found: less than what every commit plays."""


def play(first: int, stop: int) -> None:
    for seed in range(first, stop):
        try:
            Schedule(seed).play()
        except Exception as error:
            raise AssertionError(f"schedule {seed}: {error}") from error


@pytest.mark.parametrize("first", range(0, SCHEDULES, SHARE))
def test_every_schedule_ends_with_what_the_flow_computes(first: int) -> None:
    play(first, min(first + SHARE, SCHEDULES))


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1_000_000, 1_010_000, SHARE))
def test_every_schedule_ends_with_what_the_flow_computes_at_night(first: int) -> None:
    play(first, first + SHARE)


def test_the_same_seed_gives_the_same_trace() -> None:
    schedules = [Schedule(seed) for seed in range(40) for _ in range(2)]

    for schedule in schedules:
        schedule.play()

    assert [schedule.trace for schedule in schedules[::2]] == [schedule.trace for schedule in schedules[1::2]]


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_the_suite_finds_a_scheduler_that(bug: type) -> None:
    def is_found(seed: int) -> bool:
        try:
            Schedule(seed, bug).play()
        except Exception:
            return True
        return False

    assert any(is_found(seed) for seed in range(BUDGET))
