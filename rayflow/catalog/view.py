"""Questions about one run, answered from its committed segments. Knows places, not values: those are `rayflow.client.lineage`'s."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rayflow.catalog.run import RunRecord
from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE, Fanout, IndexSet, TaskKey
from rayflow.model.records import FailedAttempt, Segment


class Frame(NamedTuple):
    """One enclosing foreach of a task: the split step, the flat index of the task that split, position, number of splits."""

    step: str
    parent: int
    position: int
    siblings: int


class _Span(NamedTuple):
    lowest: int
    highest: int
    order: int


class StepSegments:
    """The committed segments of one step: found by index in O(log n) where segments hardly overlap, as batches do."""

    def __init__(self) -> None:
        self.all: list[Segment] = []
        self._spans: list[_Span] = []
        self._widest = 0

    def add(self, segment: Segment) -> None:
        if not segment.indices:
            return
        lowest, highest = segment.indices.lowest, segment.indices.highest
        insort(self._spans, _Span(lowest, highest, len(self.all)))
        self._widest = max(self._widest, highest - lowest)
        self.all.append(segment)

    def holding(self, index: int, lap: int | None = None) -> Segment | None:
        """The segment that holds `index` (of lap `lap`, or of the last lap)."""
        found: Segment | None = None
        position = bisect_right(self._spans, (index, float("inf"), 0))
        while position > 0:
            position -= 1
            lowest, highest, order = self._spans[position]
            if lowest < index - self._widest:
                break
            segment = self.all[order]
            if index <= highest and index in segment.indices and (lap is None or segment.lap == lap):
                if lap is not None:
                    return segment
                if found is None or segment.lap > found.lap:
                    found = segment
        return found

    def overlapping(self, indices: IndexSet) -> list[Segment]:
        """The segments that hold any of `indices`, in commit order."""
        if not indices:
            return []
        lowest, highest = indices.lowest, indices.highest
        first = bisect_right(self._spans, (lowest - self._widest - 1, float("inf"), 0))
        last = bisect_right(self._spans, (highest, float("inf"), 0))
        orders = sorted(span.order for span in self._spans[first:last] if span.highest >= lowest)
        return [self.all[order] for order in orders]

    @property
    def total(self) -> int:
        """Tasks of the step, laps counted each."""
        return sum(len(segment.indices) for segment in self.all)


GANG_NODE = "_node_"
"""Between the id of the first task of a gang and the number of another."""


@dataclass
class RunView:
    """What is committed of one run. Grows by `add`; answers in O(log segments).

    Of a worker's view only the part is present that its batch can reach.
    """

    record: RunRecord
    steps: dict[str, StepSegments] = field(default_factory=dict[str, StepSegments])
    failed: dict[TaskKey, list[FailedAttempt]] = field(default_factory=dict[TaskKey, list[FailedAttempt]])
    fanouts: dict[str, list[Fanout]] = field(default_factory=dict[str, list[Fanout]])

    @property
    def graph(self) -> Graph:
        return self.record.graph

    def add(self, segment: Segment) -> None:
        """Takes a committed segment in."""
        self.steps.setdefault(segment.step, StepSegments()).add(segment)
        if segment.fanout is not None:
            self.add_fanout(segment.fanout)

    def add_fanout(self, fanout: Fanout) -> None:
        known = self.fanouts.setdefault(fanout.step, [])
        if all(other.base != fanout.base or other.total != fanout.total for other in known[-1:]):
            insort(known, fanout, key=lambda other: (other.base, other.stop))

    def add_failed(self, failed: FailedAttempt) -> None:
        self.failed.setdefault(failed.key, []).append(failed)

    def segments(self) -> Iterator[Segment]:
        """Every committed segment, step by step."""
        for segments in self.steps.values():
            yield from segments.all

    def find(self, step: str, index: int, lap: int | None = None) -> Segment | None:
        """The segment that holds this task; None when it is not committed."""
        segments = self.steps.get(step)
        return segments.holding(index, lap) if segments else None

    def fanout_of(self, space: str, index: int) -> Fanout:
        """The reservation that flat index `index` of `space` is from; KeyError when it was never reserved."""
        known = self.fanouts.get(space, [])
        position = bisect_right(known, index, key=lambda fanout: fanout.base)
        while position > 0:
            position -= 1
            if known[position].base <= index < known[position].stop:
                return known[position]
            if known[position].total > 0:
                break
        raise KeyError(f"{space}[{index}]")

    def fanout_by(self, step: str, parent: int) -> tuple[Fanout, int] | None:
        """The reservation made by task `parent` of foreach step `step`, and its position there; None before it is done."""
        segment = self.find(step, parent)
        fanout = segment.fanout if segment else None
        if fanout is None:
            return None
        return fanout, fanout.parents.values.index(parent)

    def children(self, step: str, parent: int) -> range:
        """The flat indices of the splits of task `parent` of foreach step `step`, in index order."""
        found = self.fanout_by(step, parent)
        return found[0].children_at(found[1]) if found else range(0)

    def frames(self, space: str, index: int) -> list[Frame]:
        """The enclosing foreaches of flat index `index` of `space`, outermost first."""
        frames: list[Frame] = []
        while space != ROOT_SPACE:
            parent, position, count = self.fanout_of(space, index).locate(index)
            frames.append(Frame(space, parent, position, count))
            space, index = self.graph.parent_space(space), parent
        frames.reverse()
        return frames

    def project(self, space: str, index: int, ancestor: str) -> int:
        """The flat index in space `ancestor` (which encloses `space`, or is it) that `index` belongs to."""
        while space != ancestor:
            index = self.fanout_of(space, index).locate(index)[0]
            space = self.graph.parent_space(space)
        return index

    # Task ids are labels computed from places: root steps have 1, 2, ... in the graph's order; the tasks of a fan-out have
    # the range that its split reserved, step after step of its body. Laps of a recursive step add "-<lap>"; nodes of a gang
    # are named after its first, "<id>_node_<k>".

    def task_id(self, key: TaskKey) -> str:
        """The id of a task, as users see it."""
        space = self.graph[key.step].space
        number = self.graph.body(space).index(key.step)
        if space == ROOT_SPACE:
            number += 1
        else:
            fanout = self.fanout_of(space, key.index)
            number = fanout.first_id + number * fanout.total + key.index - fanout.base
            if self.graph.is_gang(key.step):
                node = fanout.locate(key.index)[1]
                return f"{number - node}{GANG_NODE}{node}" if node else str(number)
        return f"{number}-{key.lap}" if key.lap else str(number)

    def task_key(self, step: str, task_id: str) -> TaskKey | None:
        """Inverse of `task_id`; None for an id that no task of the step can have. Not promised: that the task ran."""
        first, _, node_digits = task_id.partition(GANG_NODE)
        digits, _, lap_digits = first.partition("-")
        if step not in self.graph or not digits.isdecimal() or not all(each.isdecimal() for each in (lap_digits, node_digits) if each):
            return None
        number, lap = int(digits) + int(node_digits or 0), int(lap_digits or 0)
        space = self.graph[step].space
        place = self.graph.body(space).index(step)
        if space == ROOT_SPACE:
            return TaskKey(step, 0, lap) if number == place + 1 else None
        for fanout in self.fanouts.get(space, []):
            offset = number - fanout.first_id - place * fanout.total
            if 0 <= offset < fanout.total:
                key = TaskKey(step, fanout.base + offset, lap)
                return key if not self.graph.is_gang(step) or self.task_id(key) == task_id else None
        return None

    def keys(self, step: str) -> Iterator[TaskKey]:
        """Every task of the step that has a record, in the order of commit; those with failed attempts only come last."""
        segments = self.steps.get(step)
        for segment in segments.all if segments else ():
            for index in segment.indices:
                yield TaskKey(step, index, segment.lap)
        for key in list(self.failed):
            if key.step == step and self.find(step, key.index, key.lap) is None:
                yield key

    def totals(self) -> dict[str, int]:
        """Committed tasks by step, in the graph's order."""
        return {node.name: self.steps[node.name].total for node in self.graph if node.name in self.steps}


def view_of(record: RunRecord, segments: Iterable[Segment], failed: Iterable[FailedAttempt] = ()) -> RunView:
    """A view of the given facts."""
    view = RunView(record)
    for segment in segments:
        view.add(segment)
    for attempt in failed:
        view.add_failed(attempt)
    return view
