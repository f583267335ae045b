"""One task of a flow, and no other: what `spin` performs. The same machine as everything else, told that all its inputs are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rayflow.engine.frontier import Ready
from rayflow.engine.reuse import Part
from rayflow.engine.scheduler import Scheduler
from rayflow.model.commands import Command, Finish, Reuse
from rayflow.model.graph import Graph
from rayflow.model.indexes import IndexSet, TaskKey
from rayflow.model.records import Outcome, Segment
from rayflow.model.spec import StepSpec


class OneTask(Scheduler):
    """`given` are the committed segments of what the task starts from; `parent` is the step that leads to it."""

    def __init__(
        self, graph: Graph, specs: Mapping[str, StepSpec], key: TaskKey, parent: str | None, given: Iterable[Segment] = ()
    ) -> None:
        super().__init__(graph, specs)
        self._key = key
        self._parent = parent
        self._given = tuple(given)

    def start(self, now: float) -> list[Command]:
        """Takes over what the task starts from, and launches it."""
        for segment in self._given:
            if segment.fanout is not None:
                self._reservations.adopt(segment.fanout)
            self._commands.append(Reuse(segment, f"read by {self._key.step!r}"))
        self.states[self._key.step].ready += 1
        indices = IndexSet.single(self._key.index)
        self._enqueue(Ready(self._key.step, indices, self._parent, self._key.lap), indices, "spun")
        return self._decide(now)

    def _advance(self, part: Part, is_fresh: bool) -> Iterable[Ready]:
        """The task is done, and with it the run: nothing follows."""
        self.states[part.segment.step].settle(part.indices, part.segment.lap)
        self._finish(Finish(Outcome.SUCCEEDED, f"{part.segment.step!r} is done"))
        return []
