"""The one machine that decides: run, resume, re-attach, retry, replay after a crash and dry run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import heappop

from rayflow.engine.chains import can_go_on, goes_on
from rayflow.engine.frontier import Frontier, Ready
from rayflow.engine.pending import Apart, Kind
from rayflow.engine.reservations import Reservations
from rayflow.engine.reuse import Known, Part, misfit
from rayflow.engine.setbacks import Setbacks
from rayflow.engine.sets import within
from rayflow.engine.sizing import FEW_TASKS
from rayflow.engine.speculation import Speculation
from rayflow.engine.steps import Delayed, Ending, Flight, StepProgress, StepState, expected_counts
from rayflow.model.commands import Batch, Cancel, Command, Finish, Launch, Reuse
from rayflow.model.events import (
    BatchEnded,
    BatchFreed,
    BatchLost,
    CapacityChanged,
    Completed,
    Event,
    Interrupted,
    Offered,
    TaskFailed,
    Ticked,
)
from rayflow.model.graph import Graph
from rayflow.model.indexes import EMPTY, Fanout, IndexSet, Lane
from rayflow.model.records import Outcome, Segment
from rayflow.model.spec import StepSpec

_SIGNALS = {2: "Ctrl-C", 15: "SIGTERM"}


class Scheduler(Setbacks, Speculation):
    """Facts in, commands out. Holds a run's state as index sets and tables of exceptions; costs are per batch.

    `reusable` are committed segments of the origin, or of this very run when it is re-attached; a task is taken over
    from them only if all its inputs were, and never in the steps `rerun`. `committed` are segments of this very run where
    it is a resume that is re-attached: they count as done without a command, whatever `rerun` says. `lost` are those of the origin whose
    data is damaged: they are performed again, and where they come out as they were, what follows from them is taken over all the same.
    `grace_s` is how long a batch may take to end after it was asked to.

    Events about a batch that is over, and tasks that were named before, are ignored: a task is done once. After `Finish`
    nothing is commanded any more. Not thread-safe; `now` may be any clock that does not go back.
    """

    def __init__(
        self,
        graph: Graph,
        specs: Mapping[str, StepSpec],
        *,
        reusable: Iterable[Segment] = (),
        committed: Iterable[Segment] = (),
        rerun: frozenset[str] = frozenset(),
        lost: Iterable[Segment] = (),
        is_resume: bool = False,
        max_workers: int | None = None,
        grace_s: float = 5.0,
    ) -> None:
        self.graph = graph
        self.specs = specs
        self.states = {
            node.name: StepState(
                node, specs.get(node.name, StepSpec()), can_go_on=can_go_on(graph, specs, node.name), is_gang=graph.is_gang(node.name)
            )
            for node in graph
        }
        self.frontier = Frontier(graph)
        self.flights: dict[int, Flight] = {}
        self.ahead: dict[int, Flight] = {}
        self.delayed: list[tuple[float, int, Delayed]] = []
        self.ending: Ending | None = None
        self.is_finished = False
        self.max_workers = max_workers
        self.capacity = CapacityChanged(default=1, by_step={})
        self._origin = Known(reusable)
        self._own = Known(committed)
        self._lost = Known(lost)
        self._origin_runs = {segment.run for segment in self._origin.segments}
        self._reservations = Reservations(graph)
        self._rerun = rerun
        self._is_resume = is_resume
        self._grace_s = grace_s
        self._waiting: set[str] = set()
        self._commands: list[Command] = []
        self._busy = 0
        self._next_batch = 1
        self._next_turn = 0

    # -- what the conductor calls ------------------------------------------------------------------------------------

    def start(self, now: float) -> list[Command]:
        """Takes over what can be, and launches what fits. Called once, before any event."""
        for segment in (*self._own.segments, *self._origin.segments):
            if segment.fanout is not None:
                self._reservations.adopt(segment.fanout)
        for segment in self._lost.segments:
            if segment.fanout is not None:
                self._reservations.restore(segment.fanout)
        self._settle([self.frontier.start()])
        return self._decide(now)

    def on(self, event: Event, now: float) -> list[Command]:
        """What follows from a fact."""
        if self.is_finished:
            return []
        match event:
            case Completed():
                self._complete(event)
            case Offered():
                self._offered(event)
            case TaskFailed():
                self._task_failed(event, now)
            case BatchLost():
                self._batch_lost(event, now)
            case BatchFreed():
                self._batch_freed(event)
            case BatchEnded():
                self._batch_ended(event)
            case CapacityChanged():
                self.capacity = event
            case Interrupted(signal_number=number):
                self._interrupt(number, now)
            case Ticked():
                pass
        return self._decide(now)

    def reserve(self, step: str, parents: IndexSet, counts: Sequence[int]) -> Fanout:
        """The fan-out of tasks `parents` of foreach step `step`, `counts[k]` being the number of splits of the k-th. To be
        called before the rows are journaled; it takes effect when it comes back in the segment of a `Completed`."""
        return self._reservations.reserve(step, parents, counts)

    def expects(self, batch_id: int, lane: Lane, indices: IndexSet) -> bool:
        """Whether these tasks of the batch are not decided yet. Rows of others must not be journaled: they come from a worker that
        was given up, and another batch has the task. Of a lane into which a batch goes on this is known only once the tasks before are
        told; what is refused of a batch must therefore be refused of all that it says later."""
        flight = self.flights.get(batch_id)
        if flight is None:
            return False
        if lane != flight.batch.lane and flight.batch.goes_on:
            return True
        return len(indices.intersection(flight.open_in(lane))) == len(indices)

    @property
    def are_tasks_waiting(self) -> bool:
        """Whether there are tasks that could run and have no slot."""
        return bool(self._waiting)

    @property
    def next_wakeup(self) -> float | None:
        """When `Ticked` is due at the latest: a retry's delay or a grace period is over. None when only events matter."""
        if self.is_finished:
            return None
        due = self.delayed[0][0] if self.delayed else None
        return due if self.ending is None else self.ending.deadline

    def progress(self) -> dict[str, StepProgress]:
        """Counts per step, in the graph's order. O(steps)."""
        totals = expected_counts(self.graph, self.states, self.frontier.opened)
        return {
            name: StepProgress(totals[name], state.done, state.running, state.failed, len(state.troubles))
            for name, state in self.states.items()
        }

    # -- tasks become ready ------------------------------------------------------------------------------------------

    def _settle(self, ready: Iterable[Ready], flight: Flight | None = None) -> None:
        """Takes over or queues what is ready, and what follows from taking over. A loop, since a chain of laps is long. What a batch in
        `flight` made ready it may perform itself."""
        queue = deque((task, flight) for task in ready)
        while queue:
            task, claimant = queue.popleft()
            self.states[task.step].ready += len(task.indices)
            own, rest = self._own.split(task.step, task.lap, task.indices, is_whole=self.states[task.step].is_gang)
            for part in own:
                # What this run performed itself is fresh to the origin's outcomes; what it took over there is not.
                queue.extend((found, None) for found in self._advance(part, part.segment.run not in self._origin_runs))
            for indices in rest:
                if claimant is not None and self._goes_on(claimant, task):
                    claimant.claim(Lane(task.step, task.lap, task.parent), indices)
                    self.states[task.step].running += len(indices)
                elif claimant is not None and self._adopt(claimant, task):
                    continue
                else:
                    queue.extend((found, None) for found in self._settle_unowned(replace(task, indices=indices)))

    def _goes_on(self, flight: Flight, task: Ready) -> bool:
        """Whether the batch which led to these tasks performs them as well."""
        return flight.batch.goes_on and task.parent is not None and goes_on(self.graph, self.specs, task.parent, task.step)

    def _settle_unowned(self, task: Ready) -> Iterable[Ready]:
        is_whole = self.states[task.step].is_gang
        known, unknown = self._origin.split(task.step, task.lap, task.indices, is_whole=is_whole)
        reused: list[Ready] = []
        for part in known:
            refusal = self._refusal(task, part.segment)
            if refusal is None:
                why = f"reused from run {part.segment.run}" if self._is_resume else "committed before this driver started"
                self._commands.append(Reuse(part.segment.part(part.indices), why))
                reused.extend(self._advance(part, is_fresh=False))
            else:
                self._enqueue(task, part.indices, refusal)
        is_gap = self._is_resume and task.freshness is None
        for indices in unknown:
            may_repair = is_gap and task.step not in self._rerun
            lost, never = self._lost.split(task.step, task.lap, indices, is_whole=is_whole) if may_repair else ([], [indices])
            for part in lost:
                self._enqueue(task, part.indices, "its data is damaged", is_repair=True)
            for others in never:
                self._enqueue(task, others, "not done in the origin" if is_gap else "ready")
        return reused

    def _refusal(self, task: Ready, segment: Segment) -> str | None:
        """Why a committed outcome must not be taken over; None where it may."""
        if task.step in self._rerun:
            return f"step {task.step!r} is to be re-run"
        return task.freshness or misfit(self.graph[task.step], segment)

    def _enqueue(self, task: Ready, indices: IndexSet, why: str, *, is_repair: bool = False) -> None:
        state, kind = self.states[task.step], Kind(task.parent, task.lap, why, is_repair)
        if state.is_gang:
            state.queue.put_apart(Apart(indices, kind))
        else:
            state.queue.put(indices, kind, self._next_turn)
        self._waiting.add(task.step)
        self._next_turn += 1

    def _advance(self, part: Part, is_fresh: bool) -> Iterable[Ready]:
        """Notes that tasks are done; returns what is ready by it."""
        segment = part.segment
        self.states[segment.step].settle(part.indices, segment.lap)
        if segment.step == self.graph.end:
            self._finish(Finish(Outcome.SUCCEEDED, f"{segment.step!r} is done"))
        return list(self.frontier.after(segment, part.indices, is_fresh))

    # -- batches report ----------------------------------------------------------------------------------------------

    def _complete(self, event: Completed) -> None:
        flight, segment = self.flights.get(event.batch_id), event.segment
        if flight is None:
            return
        lane = Lane(segment.step, segment.lap, segment.parent)
        done = within(segment.indices, flight.open_in(lane))
        if not done:
            return
        self._close(flight, lane, done)
        if lane == flight.batch.lane and not flight.is_freed:
            self._note_pace(flight, len(segment.indices), event.spent_s, event.slowest_s)
        if segment.fanout is not None:
            self._reservations.adopt(segment.fanout)
        unchanged = done.intersection(event.unchanged) if flight.is_repair and lane == flight.batch.lane else EMPTY
        for indices, is_fresh in ((done.difference(unchanged), True), (unchanged, False)):
            if indices:
                self._settle(self._advance(Part(segment, indices), is_fresh), flight)

    def _note_pace(self, flight: Flight, count: int, spent_s: float, slowest_s: float) -> None:
        state = self.states[flight.batch.step]
        state.pace = state.pace.after(count, spent_s, slowest_s, len(flight.batch.indices))

    def _task_failed(self, event: TaskFailed, now: float) -> None:
        flight = self.flights.get(event.batch_id)
        if flight is None:
            return
        lane = event.lane or flight.batch.lane
        if event.index not in flight.open_in(lane):
            return
        failed = flight.open_in(lane) if flight.batch.is_gang else IndexSet.single(event.index)
        self._close(flight, lane, failed)
        self._drop(event.batch_id, "what it started from failed")
        if self.ending is None:
            self._charge(flight, lane, event.index, event.attempt, event.failure, now)
        else:
            self._hand_back(flight, lane, failed, "it failed while the run was ending")

    def _batch_lost(self, event: BatchLost, now: float) -> None:
        flight = self._land(event.batch_id)
        if flight is None:
            return
        blamed = self._blamed(flight, event)
        unreported = dict(flight.open)
        for lane, indices in unreported.items():
            self._close(flight, lane, indices)
            if self.ending is not None:
                self._hand_back(flight, lane, indices, "it was stopped while the run was ending")
            elif blamed is None:
                self._lose(flight, lane, indices, event.failure, now)
            else:
                others = indices.difference(IndexSet.single(blamed[1])) if lane == blamed[0] else indices
                self._hand_back(flight, lane, others, "its batch was lost, by another task's fault")
        if self.ending is None and blamed is not None:
            self._blame(flight, blamed, event, now)

    def _batch_ended(self, event: BatchEnded) -> None:
        flight = self._land(event.batch_id)
        if flight is None:
            return
        for lane, indices in dict(flight.open).items():
            self._close(flight, lane, indices)
            self._hand_back(flight, lane, indices, "handed back by its worker")

    def _batch_freed(self, event: BatchFreed) -> None:
        flight = self.flights.get(event.batch_id)
        if flight is not None and not flight.is_freed:
            self._free(flight)
            if event.count:
                self._note_pace(flight, event.count, event.spent_s, event.slowest_s)

    def _free(self, flight: Flight) -> None:
        if not flight.is_freed:
            flight.is_freed = True
            self.states[flight.batch.step].batches -= 1
            self._busy -= 1

    def _land(self, batch_id: int) -> Flight | None:
        flight = self.flights.pop(batch_id, None)
        if flight is not None:
            self._free(flight)
            self._drop(batch_id, "what it started from was not committed")
        return flight

    def _close(self, flight: Flight, lane: Lane, indices: IndexSet) -> None:
        flight.close(lane, indices)
        self.states[lane.step].running -= len(indices)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _interrupt(self, signal_number: int, now: float) -> None:
        if self.ending is None:
            self._end(
                Ending(Outcome.INTERRUPTED, f"interrupted by {_SIGNALS.get(signal_number, f'signal {signal_number}')}", now + self._grace_s)
            )
        else:
            self.ending.deadline = min(self.ending.deadline, now)

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        for batch_id in list(self.ahead):
            self._drop(batch_id, ending.why)
        self._cancel(ending.why)

    def _cancel(self, why: str, is_hard: bool = False) -> None:
        # A batch whose worker is through with it has nothing to stop: its rows are being committed, and are waited for.
        self._commands += [Cancel(batch_id, is_hard, why) for batch_id, flight in self.flights.items() if not flight.is_freed]

    def _finish(self, finish: Finish) -> None:
        self.is_finished = True
        self._commands.append(finish)

    # -- decisions that follow every event ---------------------------------------------------------------------------

    def _decide(self, now: float) -> list[Command]:
        if not self.is_finished:
            if self.ending is not None:
                self._drain(self.ending, now)
            else:
                self._launch_due(now)
        commands, self._commands = self._commands, []
        return commands

    def _drain(self, ending: Ending, now: float) -> None:
        if self.flights and now >= ending.deadline and not ending.is_hard:
            ending.is_hard, ending.deadline = True, now + self._grace_s
            self._cancel(f"still running when the grace period was over: {ending.why}", is_hard=True)
        elif not self.flights or now >= ending.deadline:
            self._finish(Finish(ending.outcome, ending.why, ending.failed, ending.failure))

    def _launch_due(self, now: float) -> None:
        while self.delayed and self.delayed[0][0] <= now:
            self._retry(heappop(self.delayed)[2])
        while self.max_workers is None or self._busy < self.max_workers:
            state = self._next_state()
            if state is None:
                break
            self._launch(state)
        if not (self.flights or self._waiting or self.delayed):
            self._finish(Finish(Outcome.FAILED, f"nothing is left to run, but {self.graph.end!r} was not reached"))

    def _next_state(self) -> StepState | None:
        """The step whose turn it is: the one that has room and has waited longest."""
        free = [state for name in self._waiting if (state := self.states[name]).batches < self._slots(name) + self.capacity.ahead]
        return min(free, key=lambda state: (state.queue.since, state.node.name), default=None)

    def _slots(self, step: str) -> int:
        return self.capacity.by_step.get(step, self.capacity.default)

    def _launch(self, state: StepState) -> None:
        name = state.node.name
        chunk = state.queue.take(self._batch_size(state))
        if not len(state.queue):
            self._waiting.discard(name)
        kind, attempts = chunk.kind, state.attempts(chunk.indices, chunk.kind.lap)
        may_go_on = not (chunk.is_apart or kind.is_repair) and self._may_go_on(state)
        batch = Batch(
            self._next_batch, name, chunk.indices, kind.lap, kind.parent, attempts, chunk.fallback_for, may_go_on, is_gang=state.is_gang
        )
        self._next_batch += 1
        self.flights[batch.id] = Flight(batch, {batch.lane: chunk.indices}, is_repair=kind.is_repair)
        state.batches += 1
        self._busy += 1
        state.running += len(chunk.indices)
        self._commands.append(Launch(batch, kind.why))

    def _may_go_on(self, state: StepState) -> bool:
        """Where tasks are few each is shown by itself, so each is launched by itself."""
        return state.can_go_on and state.ready > FEW_TASKS

    def _batch_size(self, state: StepState) -> int:
        if state.spec.is_isolated or state.ready <= FEW_TASKS:
            return 1
        slots = self._slots(state.node.name)
        return state.pace.batch_size(len(state.queue), slots if self.max_workers is None else min(slots, self.max_workers))
