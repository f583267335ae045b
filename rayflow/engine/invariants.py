"""What holds after every event. For tests: the cost is per task."""

from __future__ import annotations

from collections import Counter

from rayflow.engine.arrivals import StaticTally
from rayflow.engine.scheduler import Scheduler
from rayflow.engine.steps import Flight, StepState

Task = tuple[int, int]
"""Flat index and lap."""


def check(scheduler: Scheduler) -> None:
    """AssertionError, naming the step, where the scheduler's state contradicts itself."""
    flights: dict[str, list[Flight]] = {}
    ahead = Counter(flight.batch.step for flight in scheduler.ahead.values())
    for flight in scheduler.flights.values():
        for step in {flight.batch.step, *(lane.step for lane in flight.open)}:
            flights.setdefault(step, []).append(flight)
    delayed: dict[str, list[Task]] = {}
    for _, _, retry in scheduler.delayed:
        delayed.setdefault(retry.step, []).extend((index, retry.task.kind.lap) for index in retry.task.indices)
    for name, state in scheduler.states.items():
        _check_step(state, flights.get(name, []), delayed.get(name, []), ahead[name])
    _check_ahead(scheduler)
    for flight in scheduler.flights.values():
        given = set(flight.batch.indices)
        for lane, indices in flight.open.items():
            assert lane == flight.batch.lane or flight.batch.goes_on, f"batch {flight.batch.id} went on to {lane.step!r}"
            assert set(indices) <= given, f"batch {flight.batch.id} has open tasks that it was not given"
        places = [index for indices in flight.open.values() for index in indices]
        assert len(places) == len(set(places)), f"batch {flight.batch.id} performs two tasks of an index at once"
    for space, tallies in scheduler.frontier.spaces.items():
        for tally in tallies.tallies:
            for position, count in tally.arrived.items():
                assert 0 < count < tally.fanout.count_at(position), f"the join of {space!r} missed a complete group"
    for join, tally in scheduler.frontier.statics.items():
        if isinstance(tally, StaticTally):
            cells = {cell & 0x7F for block in tally.blocks.values() for cell in block}
            assert max(cells, default=0) <= tally.branches, f"join {join!r} saw a branch twice"
    if scheduler.max_workers is not None:
        busy = [flight for flight in scheduler.flights.values() if not flight.is_freed]
        assert len(busy) + len(scheduler.ahead) <= scheduler.max_workers, "more batches in flight than --max-workers"
    assert scheduler.is_finished or scheduler.flights or _has_work(scheduler), "the run can neither go on nor end"


def _check_ahead(scheduler: Scheduler) -> None:
    for after, flight in scheduler.ahead.items():
        assert after in scheduler.flights and scheduler.ending is None, f"batch {flight.batch.id} waits for a commit that will not come"
        assert flight.batch.after == after and flight.batch.id not in scheduler.flights


def _check_step(state: StepState, flights: list[Flight], delayed: list[Task], ahead: int) -> None:
    name = state.node.name
    waiting = [(index, chunk.kind.lap) for chunk in state.queue.chunks() for index in chunk.indices] if len(state.queue) else []
    running = [(index, lane.lap) for flight in flights for lane, indices in flight.open.items() if lane.step == name for index in indices]
    places = waiting + delayed + running
    if len(set(places)) < len(places):
        twice = [task for task, count in Counter(places).items() if count > 1]
        raise AssertionError(f"tasks of {name!r} are in two places: {twice[:3]}")
    assert len(state.queue) == len(waiting), f"the queue of {name!r} lost count"
    assert state.running == len(running), f"{name!r} lost count of what runs"
    own = [flight for flight in flights if flight.batch.step == name]
    assert state.batches == ahead + sum(not flight.is_freed for flight in own), f"{name!r} lost count of its batches"
    total = state.done + len(places) + state.failed
    assert state.ready == total, f"{name!r}: {state.ready} tasks became ready, {total} are accounted for"


def _has_work(scheduler: Scheduler) -> bool:
    return bool(scheduler.delayed) or any(len(state.queue) for state in scheduler.states.values())
