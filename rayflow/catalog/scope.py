"""What a batch can reach: the committed segments that its tasks may read from, and no others.

A task reads its own chain of ancestors back to the nearest join (nothing passes a join by itself), the inputs of the join that
it is, with their ancestors in turn, and the splits of the foreaches around it (for `self.input`). The driver cuts this part out of its
view and sends it along, so that a worker never reads the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rayflow.catalog.view import RunView
from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE, Fanout, IndexSet
from rayflow.model.records import Segment


@dataclass(frozen=True)
class Scope:
    """Segments and fan-outs, enough to answer every question about a batch's inputs."""

    segments: tuple[Segment, ...]
    fanouts: tuple[Fanout, ...]


def ancestors(graph: Graph, step: str) -> frozenset[str]:
    """The steps whose artifacts a task of `step` can see in `self` or in `inputs`, and the foreach steps around it and them."""
    found: set[str] = set()
    queue = list(graph[step].sources)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            if not graph[name].is_join:
                queue.extend(graph[name].sources)
    found.update(frame.step for name in [*found, step] for frame in graph[name].frames if frame.is_foreach)
    if graph[step].joins is not None:
        found.add(str(graph[step].joins))
    if not graph[step].is_loop:
        found.discard(step)
    return frozenset(found)


def scope_of(view: RunView, step: str, indices: IndexSet, *, without: frozenset[str] = frozenset()) -> Scope:
    """The scope of tasks `indices` of `step`. Steps in `without` are left out: the worker has them already."""
    graph = view.graph
    reached: dict[str, list[IndexSet]] = {graph[step].space: [indices]}
    fanouts: list[Fanout] = []
    _climb(view, graph[step].space, indices, reached, fanouts)
    joins = graph[step].joins
    if joins is not None and graph[joins].is_foreach:
        reached[joins] = list(_children(view, joins, indices, fanouts))
    segments: list[Segment] = []
    for name in ancestors(graph, step) - without:
        known = view.steps.get(name)
        if known is None:
            continue
        spaces = reached.get(graph[name].space, [])
        chosen = {id(segment): segment for part in spaces for segment in known.overlapping(part)}
        segments.extend(chosen.values())
    return Scope(tuple(segments), tuple(fanouts))


def _climb(view: RunView, space: str, indices: IndexSet, reached: dict[str, list[IndexSet]], fanouts: list[Fanout]) -> None:
    """Adds the indices in every enclosing space; a superset, since batches are nearly contiguous."""
    while space != ROOT_SPACE:
        parents: list[IndexSet] = []
        for fanout in _touched(view, space, indices):
            first = fanout.position_of(max(indices.lowest, fanout.base))
            last = fanout.position_of(min(indices.highest, fanout.stop - 1))
            parents.append(IndexSet(fanout.parents.values[first : last + 1]))
            fanouts.append(fanout)
        space = view.graph.parent_space(space)
        reached.setdefault(space, []).extend(parents)
        indices = _hull(parents)


def _touched(view: RunView, space: str, indices: IndexSet) -> Iterable[Fanout]:
    lowest, highest = indices.lowest, indices.highest
    return [fanout for fanout in view.fanouts.get(space, []) if fanout.total and fanout.base <= highest and fanout.stop > lowest]


def _hull(parts: list[IndexSet]) -> IndexSet:
    return IndexSet.span(min(part.lowest for part in parts), max(part.highest for part in parts) + 1)


def _children(view: RunView, foreach_step: str, parents: IndexSet, fanouts: list[Fanout]) -> Iterable[IndexSet]:
    """The children of `parents`, as few ranges as their fan-outs allow."""
    wanted = parents.values if isinstance(parents.values, range) else set(parents.values)
    for fanout in view.fanouts.get(foreach_step, []):
        positions = [position for position, parent in enumerate(fanout.parents) if parent in wanted]
        if not positions:
            continue
        fanouts.append(fanout)
        begin = positions[0]
        for position, following in zip(positions, [*positions[1:], -1], strict=True):
            if following != position + 1:
                start, stop = fanout.children_at(begin).start, fanout.children_at(position).stop
                if stop > start:
                    yield IndexSet.span(start, stop)
                begin = following
