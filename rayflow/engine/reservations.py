"""Which flat indices and task ids the fan-outs have."""

from __future__ import annotations

from collections.abc import Sequence

from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE, Fanout, IndexSet, counts_from


class Reservations:
    """Hands out contiguous ranges, always above whatever is known to be in use.

    The tasks of root steps have the ids 1..n in the graph's order; a fan-out of N splits reserves N ids for each step of its
    body, the k-th of which has `first_id + k * N + (index - base)`.
    """

    def __init__(self, graph: Graph) -> None:
        self._bodies = {node.name: len(graph.body(node.name)) for node in graph if node.is_foreach}
        self._next_base = dict.fromkeys(self._bodies, 0)
        self._next_id = len(graph.body(ROOT_SPACE)) + 1

    def adopt(self, fanout: Fanout) -> None:
        """Keeps the ranges of a fan-out of another run, or of this one before it was re-attached."""
        if fanout.step not in self._bodies:
            return
        self._next_base[fanout.step] = max(self._next_base[fanout.step], fanout.stop)
        self._next_id = max(self._next_id, fanout.first_id + self._bodies[fanout.step] * fanout.total)

    def reserve(self, step: str, parents: IndexSet, counts: Sequence[int]) -> Fanout:
        """A new fan-out of `parents` of foreach step `step`, with `counts[k]` splits of the k-th."""
        fanout = Fanout(step, self._next_base[step], parents, counts_from(counts), self._next_id)
        self.adopt(fanout)
        return fanout
