"""Tasks that are performed again since their data was damaged: whether they came out as they had been.

Compared are the artifacts' digests (of small ones the bytes), where the task went, and what it opened. Of a task whose record is lost too
nothing is known: it counts as changed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rayflow.client.reader import StoreReader
from rayflow.model.errors import StoreFault
from rayflow.model.events import Completed, Event
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Store
from rayflow.model.records import Segment

Outcome = tuple[Any, ...]


class Repairs:
    """`lost` are the segments, or those of their tasks, whose data is damaged."""

    def __init__(self, store: Store, flow: str, run_id: str, lost: Iterable[Segment]) -> None:
        self._reader = StoreReader(store, flow, run_id)
        self._lost = tuple(lost)
        self._lanes = {(segment.step, segment.lap) for segment in self._lost}

    def judged(self, event: Event) -> Event:
        """The event, which says of tasks that are done which of them came out as they had been."""
        if not isinstance(event, Completed) or (event.segment.step, event.segment.lap) not in self._lanes:
            return event
        segment, same = event.segment, array("q")
        for before in self._lost:
            if (before.step, before.lap) == (segment.step, segment.lap):
                both = segment.indices.intersection(before.indices)
                same.extend(index for index in both if self._outcome(segment, index) == self._outcome(before, index) is not None)
        return replace(event, unchanged=IndexSet.of(array("q", sorted(same))))

    def _outcome(self, segment: Segment, index: int) -> Outcome | None:
        try:
            row = self._reader.row(segment, index)
        except (StoreFault, ValueError):
            return None
        stored = {name: (each.codec, each.nbytes, each.digest, each.inline) for name, each in row.artifacts.items()}
        position = segment.indices.values.index(index)
        taken = segment.taken
        target = taken and taken.targets[taken.codes[position] if taken.codes is not None else 0]
        return row.status, stored, target, segment.fanout, segment.parent
