"""The scheduler's state: per step, per batch in flight, and of a run that is ending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rayflow.engine.pending import Apart, StepQueue
from rayflow.engine.sets import concat, without
from rayflow.engine.sizing import Pace
from rayflow.model.commands import Batch
from rayflow.model.graph import Graph, Node
from rayflow.model.indexes import EMPTY, IndexSet, Lane, TaskKey
from rayflow.model.records import Failure, Outcome
from rayflow.model.spec import StepSpec


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Counts of tasks for display. `total_known` may still grow: a switch decides, an outer split opens more, a loop goes on.
    `running` counts the tasks of batches in flight, `retrying` those that wait for or are at another attempt."""

    total_known: int
    done: int
    running: int
    failed: int
    retrying: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a task has behind it that is not done: charged attempts, and uncharged losses. `is_alone`: it may be what takes
    workers down, so it shares none until it is done."""

    attempt: int = 0
    losses: int = 0
    is_alone: bool = False


@dataclass(slots=True)
class StepState:
    """A step's tasks, as counts, queues and a table of exceptions by (index, lap)."""

    node: Node
    spec: StepSpec
    queue: StepQueue = field(default_factory=StepQueue)
    pace: Pace = field(default_factory=Pace)
    troubles: dict[tuple[int, int], Trouble] = field(default_factory=dict[tuple[int, int], Trouble])
    can_go_on: bool = False
    is_gang: bool = False
    ready: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    batches: int = 0

    def trouble(self, index: int, lap: int) -> Trouble:
        return self.troubles.get((index, lap), Trouble())

    def charge(self, index: int, lap: int, attempt: int, *, is_deadly: bool) -> None:
        """Notes that attempt number `attempt` of a task failed; `is_deadly` where it took its worker along."""
        before = self.trouble(index, lap)
        self.troubles[index, lap] = Trouble(attempt + 1, before.losses, before.is_alone or is_deadly)

    def lose(self, index: int, lap: int, attempt: int, *, is_alone: bool) -> int:
        """Notes that a task was lost at attempt number `attempt`, which it may have again. How often it was lost by now."""
        before = self.trouble(index, lap)
        self.troubles[index, lap] = Trouble(max(attempt, before.attempt), before.losses + 1, is_alone or before.is_alone)
        return before.losses + 1

    def attempts(self, indices: IndexSet, lap: int) -> Mapping[int, int]:
        """The attempt numbers of those tasks that are not at their first."""
        found = {index: self.troubles[index, lap].attempt for index in self._troubled(indices, lap)}
        return {index: attempt for index, attempt in found.items() if attempt}

    def settle(self, indices: IndexSet, lap: int) -> None:
        """Notes that these tasks are done."""
        self.done += len(indices)
        for index in self._troubled(indices, lap):
            del self.troubles[index, lap]

    def _troubled(self, indices: IndexSet, lap: int) -> list[int]:
        """Those of `indices` that are in the table of exceptions. Cost: that of the smaller, where the set is a range."""
        if not self.troubles:
            return []
        if len(self.troubles) < len(indices) and isinstance(indices.values, range):
            return [index for index, at in self.troubles if at == lap and index in indices]
        return [index for index in indices if (index, lap) in self.troubles]


@dataclass(slots=True)
class Flight:
    """A batch in flight. `open` are those of its tasks that no event has named yet, by lane: its own, and those into which a batch that
    goes on grew. `is_freed` once its slot is free again. `is_repair`: see `Kind`."""

    batch: Batch
    open: dict[Lane, IndexSet]
    is_freed: bool = False
    is_repair: bool = False

    @property
    def count(self) -> int:
        """How many tasks are open."""
        return sum(map(len, self.open.values()))

    def claim(self, lane: Lane, indices: IndexSet) -> None:
        """Its worker performs these in the same go."""
        self.open[lane] = concat([self.open[lane], indices]) if lane in self.open else indices

    def close(self, lane: Lane, indices: IndexSet) -> None:
        """An event has named these."""
        rest = without(self.open[lane], indices)
        if rest:
            self.open[lane] = rest
        else:
            del self.open[lane]

    def holder_of(self, index: int) -> Lane | None:
        """The lane in which any task of this index is open: at most one, since a worker performs them one after another."""
        return next((lane for lane, indices in self.open.items() if index in indices), None)

    def open_in(self, lane: Lane) -> IndexSet:
        return self.open.get(lane, EMPTY)


@dataclass(frozen=True, slots=True)
class Delayed:
    """A retry that waits."""

    step: str
    task: Apart


@dataclass(slots=True)
class Ending:
    """A run that starts nothing any more. Softly cancelled batches are killed at `deadline`; after as long again nobody waits."""

    outcome: Outcome
    why: str
    deadline: float
    failed: TaskKey | None = None
    failure: Failure | None = None
    is_hard: bool = False


def expected_counts(graph: Graph, states: Mapping[str, StepState], opened: Mapping[str, int]) -> dict[str, int]:
    """How many tasks each step has as far as is known: where no switch or loop decides, a step has as many as the one
    before it, before these are ready. O(steps)."""
    counts: dict[str, int] = {}
    for node in graph:
        ready = states[node.name].ready
        before = node.sources[0] if len(node.sources) == 1 else None
        if node.joins is not None:
            counts[node.name] = counts[node.joins]
        elif before is None or graph[before].is_switch:
            counts[node.name] = max(ready, 1 if node.name == graph.start else 0)
        else:
            counts[node.name] = opened.get(before, 0) if graph[before].is_foreach else counts[before]
        counts[node.name] = max(counts[node.name], ready)
    return counts
