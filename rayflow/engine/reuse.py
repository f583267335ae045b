"""Which tasks have a committed outcome already, looked up by the range."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from rayflow.engine.sets import gaps
from rayflow.model.graph import Node
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Segment


@dataclass(frozen=True, slots=True)
class Part:
    """Those `indices` of a segment that were asked for."""

    segment: Segment
    indices: IndexSet


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The segments of one step and lap by their lowest index; `reach[k]` is the highest index of the first k + 1."""

    segments: list[Segment]
    reach: list[int]

    @staticmethod
    def of(segments: list[Segment]) -> _Shelf:
        segments = sorted(segments, key=lambda segment: segment.indices.lowest)
        return _Shelf(segments, list(accumulate((segment.indices.highest for segment in segments), max)))

    def near(self, indices: IndexSet) -> Iterable[Segment]:
        """The segments that may hold some of `indices`."""
        highest = indices.highest
        for position in range(bisect_left(self.reach, indices.lowest), len(self.segments)):
            if self.segments[position].indices.lowest > highest:
                return
            yield self.segments[position]


class Known:
    """Committed segments by step and lap. A task that two of them name counts once, for the first."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segment for segment in segments if segment.indices)
        by_lane: dict[tuple[str, int], list[Segment]] = {}
        for segment in self.segments:
            by_lane.setdefault((segment.step, segment.lap), []).append(segment)
        self._shelves = {lane: _Shelf.of(found) for lane, found in by_lane.items()}

    def split(self, step: str, lap: int, indices: IndexSet, *, is_whole: bool = False) -> tuple[list[Part], list[IndexSet]]:
        """The parts of segments that hold some of `indices` (disjoint), and the indices that none holds. `is_whole`: they count as
        held where one segment holds all of them, since these tasks are done together or not at all."""
        parts, missing = self._split(step, lap, indices)
        return ([], [indices]) if is_whole and (missing or len(parts) > 1) else (parts, missing)

    def _split(self, step: str, lap: int, indices: IndexSet) -> tuple[list[Part], list[IndexSet]]:
        shelf = self._shelves.get((step, lap))
        near = list(shelf.near(indices)) if shelf is not None else []
        if not near:
            return [], [indices]
        if indices.is_dense and all(segment.indices.is_dense for segment in near):
            return _split_spans(indices, near)
        left = set(indices.values)
        parts: list[Part] = []
        for segment in near:
            held = IndexSet.of(array("q", (index for index in segment.indices if index in left)))
            if held:
                left.difference_update(held.values)
                parts.append(Part(segment, held))
        return parts, [IndexSet.of(array("q", (index for index in indices if index in left)))] if left else []


def _split_spans(indices: IndexSet, near: list[Segment]) -> tuple[list[Part], list[IndexSet]]:
    parts: list[Part] = []
    spans: list[range] = []
    cursor, stop = indices.lowest, indices.highest + 1
    for segment in near:
        span = range(max(cursor, segment.indices.lowest), min(stop, segment.indices.highest + 1))
        if span:
            parts.append(Part(segment, IndexSet(span)))
            spans.append(span)
            cursor = span.stop
    return parts, list(gaps(indices, spans))


def misfit(node: Node, segment: Segment) -> str | None:
    """Why today's step cannot be followed from its old outcome; None where it can."""
    if node.is_foreach and segment.fanout is None:
        return "it did not fan out then"
    if segment.fanout is not None and not node.is_foreach:
        return "it fanned out then, and does not now"
    if node.is_switch and segment.taken is None:
        return "it was no switch then"
    if segment.taken is not None:
        taken = segment.taken
        for code in sorted(set(taken.codes)) if taken.codes is not None else (0,):
            if taken.targets[code] not in node.targets:
                return f"it went to {taken.targets[code]!r} then, which is no case of it now"
    return None
