"""The part of the scheduler that answers setbacks: attempts that failed, workers that died, batches that were handed back."""

from __future__ import annotations

from heapq import heappush

from rayflow.engine.pending import Apart, Kind
from rayflow.engine.retry import MAX_LOSSES, Catch, Fallback, GiveUp, RetryAfter, RetryNow, after_failure, last_words, retry_why
from rayflow.engine.sets import halves
from rayflow.engine.steps import Delayed, Ending, Flight, StepState
from rayflow.model.events import BatchLost
from rayflow.model.indexes import IndexSet, Lane, TaskKey
from rayflow.model.records import Failure, Outcome


class Setbacks:
    """What happens to tasks whose attempt, or whose worker, is lost. A base of `Scheduler`, which holds the state."""

    states: dict[str, StepState]
    flights: dict[int, Flight]
    delayed: list[tuple[float, int, Delayed]]
    ending: Ending | None
    _waiting: set[str]
    _next_turn: int
    _grace_s: float

    def _end(self, ending: Ending) -> None:
        raise NotImplementedError

    def blames(self, event: BatchLost) -> Lane | None:
        """Where the task stands that is charged when this is told; None where nobody is. To be asked once what its worker said before
        was told."""
        flight = self.flights.get(event.batch_id)
        blamed = self._blamed(flight, event) if flight is not None and event.failure.is_charged else None
        return blamed[0] if flight is not None and blamed is not None and _is_at_fault(flight, blamed[0], event) else None

    def _blamed(self, flight: Flight, event: BatchLost) -> tuple[Lane, int] | None:
        """The open task that the loss of the batch is put down to; None where it may have been any."""
        if flight.batch.is_gang:
            return None  # whoever performs gangs knows which node failed: it says that, and of the others that they were stopped
        if not flight.batch.goes_on and flight.count == 1:
            ((lane, indices),) = flight.open.items()
            return lane, indices[0]
        if not event.is_exact or event.suspect is None:
            return None
        lane = flight.holder_of(event.suspect)
        return (lane, event.suspect) if lane is not None else None

    def _blame(self, flight: Flight, blamed: tuple[Lane, int], event: BatchLost, now: float) -> None:
        """Charges the suspect. Where its worker was ahead of what it had reported, the task at fault is one whose inputs are not there yet:
        then nobody is charged, and they are performed one by one."""
        lane, index = blamed
        if _is_at_fault(flight, lane, event):
            self._charge(flight, lane, index, self._attempt(flight, lane, index, event), event.failure, now)
        else:
            self._lose(flight, lane, IndexSet.single(index), event.failure, now)

    def _attempt(self, flight: Flight, lane: Lane, index: int, event: BatchLost) -> int:
        """The attempt that was lost: the worker may have retried by itself since the launch."""
        known = flight.batch.attempt_of(index) if lane == flight.batch.lane else 0
        return max(known, event.suspect_attempt) if event.suspect == index else known

    def _hand_back(self, flight: Flight, lane: Lane, indices: IndexSet, why: str) -> None:
        """Queues tasks of a batch that is over again, before all others."""
        kind = Kind(lane.parent, lane.lap, why)
        if len(indices) == 1 or (indices and flight.batch.is_gang):
            self._retry(Delayed(lane.step, Apart(indices, kind, flight.batch.fallback_for)))
        elif indices:
            self.states[lane.step].queue.put_first(indices, kind)
            self._waiting.add(lane.step)

    def _charge(self, flight: Flight, lane: Lane, index: int, attempt: int, failure: Failure, now: float) -> None:
        """One attempt of a task has failed, and the task is to blame; with it that of its whole gang, where it is of one."""
        state, lap = self.states[lane.step], lane.lap
        task = flight.batch.indices if flight.batch.is_gang else IndexSet.single(index)
        if flight.batch.fallback_for is not None or not failure.is_charged:
            self._lose(flight, lane, task, failure, now, attempt)
            return
        for each in task:
            state.charge(each, lap, attempt, is_deadly=failure.left_no_process)
        again = Apart(task, Kind(lane.parent, lap, retry_why(state.spec, attempt + 1, failure)))
        match after_failure(state.spec, attempt, failure):
            case RetryNow():
                self._retry(Delayed(state.node.name, again))
            case RetryAfter(delay_s=delay_s):
                heappush(self.delayed, (now + delay_s, self._next_turn, Delayed(state.node.name, again)))
                self._next_turn += 1
            case Catch() | Fallback():
                kind = Kind(lane.parent, lap, f"@catch records the failure of attempt {attempt}")
                self._retry(Delayed(state.node.name, Apart(task, kind, failure)))
            case GiveUp():
                self._give_up(state, task, TaskKey(state.node.name, index, lap), failure, last_words(state.node.name, attempt), now)

    def _lose(self, flight: Flight, lane: Lane, indices: IndexSet, failure: Failure, now: float, attempt: int = 0) -> None:
        """Tasks were lost, and it is not known whose fault that is: they run again, apart from others. Where one of them must be at fault,
        in halves, until it is alone; where none is (a node went away), together, within a budget."""
        state, batch = self.states[lane.step], flight.batch
        if failure.is_charged and len(indices) > 1 and not batch.is_gang:
            kind = Kind(lane.parent, lane.lap, "lost with its worker, by the fault of one of them")
            for half in halves(indices):
                state.queue.put_apart(Apart(half, kind))
            self._waiting.add(lane.step)
            return
        losses = 0
        for index in indices:
            known = batch.attempt_of(index) if lane == batch.lane else 0
            losses = max(losses, state.lose(index, lane.lap, max(attempt, known), is_alone=len(indices) == 1))
            if losses > MAX_LOSSES:
                why = f"{state.node.name!r} was lost {losses} times with its worker"
                self._give_up(state, indices, TaskKey(state.node.name, index, lane.lap), failure, why, now)
                return
        kind = Kind(lane.parent, lane.lap, f"lost with its worker, loss {losses} of {MAX_LOSSES} that are not charged")
        state.queue.put_apart(Apart(indices, kind, batch.fallback_for))
        self._waiting.add(lane.step)

    def _retry(self, retry: Delayed) -> None:
        """Queues one task before all others; among others like it, where it may share a worker."""
        state, task = self.states[retry.step], retry.task
        if task.fallback_for is not None or state.is_gang or state.trouble(task.indices[0], task.kind.lap).is_alone:
            state.queue.put_apart(task)
        else:
            state.queue.put_first(task.indices, task.kind)
        self._waiting.add(retry.step)

    def _give_up(self, state: StepState, tasks: IndexSet, key: TaskKey, failure: Failure, why: str, now: float) -> None:
        state.failed += len(tasks)
        for index in tasks:
            state.troubles.pop((index, key.lap), None)
        if self.ending is None:
            self._end(Ending(Outcome.FAILED, why, now + self._grace_s, key, failure))


def _is_at_fault(flight: Flight, lane: Lane, event: BatchLost) -> bool:
    """Whether the open task of the suspect's index, which stands in `lane`, is what the worker was performing."""
    if event.suspect_step is None:
        return lane == flight.batch.lane
    return (lane.step, lane.lap) == (event.suspect_step, event.suspect_lap)
