"""What becomes ready when tasks are done: the graph's transitions and joins, on index sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayflow.engine.arrivals import Complete, SpaceTally, StaticTally, WideTally, static_tally
from rayflow.engine.sets import concat
from rayflow.model.graph import Graph, Node
from rayflow.model.indexes import Fanout, IndexSet
from rayflow.model.records import Segment


@dataclass(frozen=True, slots=True)
class Ready:
    """Tasks of one step whose inputs are all there. `freshness` says why they cannot be reused; None where every input was."""

    step: str
    indices: IndexSet
    parent: str | None
    lap: int = 0
    freshness: str | None = None


class Frontier:
    """Follows the graph. State: the open groups of the joins, and how many splits each foreach step has opened."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.spaces: dict[str, SpaceTally] = {}
        self.statics: dict[str, StaticTally | WideTally] = {}
        self.opened: dict[str, int] = {}

    def start(self) -> Ready:
        """The first task."""
        return Ready(self._graph.start, IndexSet.single(0), parent=None)

    def after(self, segment: Segment, indices: IndexSet, is_fresh: bool) -> Iterator[Ready]:
        """What is ready now that those `indices` of the segment are done. `is_fresh`: they were performed, not reused."""
        node = self._graph[segment.step]
        if node.is_foreach:
            yield from self._fan_out(node, segment, indices, is_fresh)
            return
        for target in node.targets:
            moved = _moved(node, target, segment, indices)
            if not moved:
                continue
            joined = self._graph[target]
            if joined.is_join:
                yield from self._arrive(joined, node.name, moved, is_fresh)
            else:
                lap = segment.lap + 1 if target == node.name else 0
                yield Ready(target, moved, node.name, lap, _because(node.name) if is_fresh else None)

    def _fan_out(self, node: Node, segment: Segment, indices: IndexSet, is_fresh: bool) -> Iterator[Ready]:
        fanout = segment.fanout
        if fanout is None:
            raise ValueError(f"a segment of foreach step {node.name!r} names no fan-out")
        children, childless = _children(fanout, indices)
        self.spaces.setdefault(node.name, SpaceTally()).adopt(fanout)
        self.opened[node.name] = self.opened.get(node.name, 0) + len(children)
        why = _because(node.name) if is_fresh else None
        for piece in _gangs(fanout, children) if node.num_parallel else [children]:
            if piece:
                yield Ready(node.targets[0], piece, node.name, freshness=why)
        if childless and node.joined_by is not None:
            yield Ready(node.joined_by, childless, node.name, freshness=why)

    def _arrive(self, join: Node, source: str, indices: IndexSet, is_fresh: bool) -> Iterator[Ready]:
        for complete in self._tally(join).add(indices, is_fresh):
            why = None
            if complete.is_fresh:
                why = _because(source) if is_fresh else "an input was re-run"
            yield Ready(join.name, complete.indices, join.joins, freshness=why)

    def _tally(self, join: Node) -> SpaceTally | StaticTally | WideTally:
        split = join.joins or ""
        if self._graph[split].is_foreach:
            return self.spaces[split]
        if join.name not in self.statics:
            self.statics[join.name] = static_tally(join.branches_expected)
        return self.statics[join.name]


def _because(source: str) -> str:
    return f"input {source!r} was re-run"


def _moved(node: Node, target: str, segment: Segment, indices: IndexSet) -> IndexSet:
    """Which of `indices` go to `target`."""
    if not node.is_switch:
        return indices
    if segment.taken is None:
        raise ValueError(f"a segment of switch {node.name!r} does not say which case was taken")
    chosen = segment.taken.select(segment.indices, target)
    return chosen if indices == segment.indices else chosen.intersection(indices)


def _gangs(fanout: Fanout, children: IndexSet) -> Iterator[IndexSet]:
    """The children by their parent: no batch may divide what one parent leads to."""
    while children:
        siblings = fanout.children_at(fanout.position_of(children[0]))
        gang, children = children.take(len(siblings))
        yield gang


def _children(fanout: Fanout, parents: IndexSet) -> tuple[IndexSet, IndexSet]:
    """The splits of those `parents` of the fan-out, and the parents that have none."""
    if parents == fanout.parents and (isinstance(fanout.counts, int) or 0 not in fanout.counts):
        is_empty = fanout.total == 0
        return IndexSet.span(fanout.base, fanout.stop), parents if is_empty else IndexSet.span(0, 0)
    wanted = set(parents.values)
    spans: list[IndexSet] = []
    childless: list[IndexSet] = []
    for position, parent in enumerate(fanout.parents):
        if parent not in wanted:
            continue
        if fanout.count_at(position):
            spans.append(IndexSet(fanout.children_at(position)))
        else:
            childless.append(IndexSet.single(parent))
    return concat(spans), concat(childless)


__all__ = ["Complete", "Frontier", "Ready"]
