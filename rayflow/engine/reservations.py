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
        self._lost: list[Fanout] = []

    def restore(self, fanout: Fanout) -> None:
        """As `adopt`; and who fans out in the same way again gets the same ranges, of which much may be done."""
        self.adopt(fanout)
        self._lost.append(fanout)

    def adopt(self, fanout: Fanout) -> None:
        """Keeps the ranges of a fan-out of another run, or of this one before it was re-attached."""
        if fanout.step not in self._bodies:
            return
        self._next_base[fanout.step] = max(self._next_base[fanout.step], fanout.stop)
        self._next_id = max(self._next_id, fanout.first_id + self._bodies[fanout.step] * fanout.total)

    def reserve(self, step: str, parents: IndexSet, counts: Sequence[int]) -> Fanout:
        """A fan-out of `parents` of foreach step `step`, with `counts[k]` splits of the k-th: a new one, or the one that was lost."""
        for lost in self._lost:
            if lost.step == step and lost.parents == parents and all(lost.count_at(k) == count for k, count in enumerate(counts)):
                return lost
        fanout = Fanout(step, self._next_base[step], parents, counts_from(counts), self._next_id)
        self.adopt(fanout)
        return fanout
