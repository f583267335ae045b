"""Tasks that start before what they start from is committed.

A lone task that is done may offer its large values while it still stores them: a bucket takes seconds for a gigabyte. What follows it can
start on them meanwhile, *ahead* of the commit. Whoever drives keeps back all that such a batch says until the scheduler has taken it
among its flights, which is when its input is committed; where that never happens, the batch is dropped, and nothing was said.
"""

from __future__ import annotations

from rayflow.engine.frontier import Ready
from rayflow.engine.reuse import Known
from rayflow.engine.steps import Ending, Flight, StepState
from rayflow.model.commands import Batch, Command, Drop, Launch
from rayflow.model.events import Offered
from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE, IndexSet, Lane


class Speculation:
    """What is launched ahead. A base of `Scheduler`, which holds the state; `ahead` is by the batch whose offer a flight started on."""

    graph: Graph
    states: dict[str, StepState]
    flights: dict[int, Flight]
    ahead: dict[int, Flight]
    ending: Ending | None
    max_workers: int | None
    _own: Known
    _commands: list[Command]
    _busy: int
    _next_batch: int

    def _slots(self, step: str) -> int:
        raise NotImplementedError

    def _free(self, flight: Flight) -> None:
        raise NotImplementedError

    def is_ahead(self, batch_id: int) -> bool:
        """Whether the input of this batch is not committed yet: nothing that it says may be told, or made durable."""
        return any(flight.batch.id == batch_id for flight in self.ahead.values())

    def _offered(self, event: Offered) -> None:
        """Launches what follows, where that is one lone task which waits for nothing else, and a slot is free."""
        flight = self.flights.get(event.batch_id)
        if flight is None or flight.is_freed or flight.is_repair or self.ending is not None or event.batch_id in self.ahead:
            return
        lane = self._lane_after(flight.batch.lane, event.target)
        indices = flight.batch.indices
        if lane is None or not self._has_room(lane.step) or self._own.split(lane.step, lane.lap, indices)[0]:
            return
        self._launch_ahead(event.batch_id, lane, indices)

    def _lane_after(self, lane: Lane, target: str | None) -> Lane | None:
        node = self.graph[lane.step]
        if target not in node.targets or node.space != ROOT_SPACE or node.is_foreach or self.graph[target].is_join:
            return None
        return Lane(target, lane.lap + 1 if target == lane.step else 0, lane.step)

    def _has_room(self, step: str) -> bool:
        is_wide_enough = self.max_workers is None or self._busy < self.max_workers
        return is_wide_enough and self.states[step].batches < self._slots(step)

    def _launch_ahead(self, after: int, lane: Lane, indices: IndexSet) -> None:
        batch = Batch(self._next_batch, lane.step, indices, lane.lap, lane.parent, after=after)
        self._next_batch += 1
        self.ahead[after] = Flight(batch, {lane: indices})
        self.states[lane.step].batches += 1
        self._busy += 1
        self._commands.append(Launch(batch, f"on what {lane.parent!r} offers, ahead of its commit"))

    def _adopt(self, after: Flight, task: Ready) -> bool:
        """Whether the task, which became ready by a commit of the batch `after`, was launched ahead: it is a flight like others from now
        on."""
        flight = self.ahead.get(after.batch.id)
        if flight is None or flight.batch.lane != Lane(task.step, task.lap, task.parent):
            return False
        del self.ahead[after.batch.id]
        self.flights[flight.batch.id] = flight
        self.states[task.step].running += flight.count
        return True

    def _drop(self, after: int, why: str) -> None:
        """The batch is not going to commit what it offered."""
        flight = self.ahead.pop(after, None)
        if flight is not None:
            self._free(flight)
            self._commands.append(Drop(flight.batch.id, why))
