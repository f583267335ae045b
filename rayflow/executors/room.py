"""What a cluster has room for: on the nodes that it has, and on those that its autoscaler could add. Pure: `ray` asks Ray for the facts.

A task runs on one node, so needs are compared with nodes, never with the cluster's sum. On a cluster that can grow, twice as many tasks as
fit now are in flight (one node's worth where nothing fits): what waits is the demand that an autoscaler acts on, and a short fan-out does
not call for every node that there could be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rayflow.model.spec import Resources

_UNBOUNDED = 10_000
"""As many tasks that need nothing are in flight at once."""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Nodes that may come: what each has, and how many there may be at once."""

    resources: Mapping[str, float]
    most: int


@dataclass(frozen=True, slots=True)
class Room:
    """`nodes`: what each living node has in all. `kinds`: what may come, living nodes of that kind included."""

    nodes: Sequence[Mapping[str, float]] = ()
    kinds: Sequence[NodeKind] = ()

    def slots(self, needs: Resources) -> int:
        """Tasks with these needs that run at once now."""
        return sum(_fitting(node, needs) for node in self.nodes)

    def most(self, needs: Resources) -> int:
        """Tasks with these needs that run at once when every node has come; 0 where one could never run."""
        return max(self.slots(needs), sum(kind.most * _fitting(kind.resources, needs) for kind in self.kinds))

    def in_flight(self, needs: Resources) -> int:
        """Tasks with these needs that are to be asked for, given what is there."""
        now = self.slots(needs)
        most = self.most(needs)
        if most <= now:
            return now
        first = max((_fitting(kind.resources, needs) for kind in self.kinds if kind.most), default=0)
        return min(most, max(2 * now, first))

    def largest(self) -> dict[str, float]:
        """Of each resource, what the node has that has most of it, or could."""
        found: dict[str, float] = {}
        for resources in [*self.nodes, *(kind.resources for kind in self.kinds if kind.most)]:
            for name, amount in resources.items():
                found[name] = max(found.get(name, 0.0), amount)
        return found


def cut_to(has: Mapping[str, float], needs: Resources, size: int = 1) -> Resources:
    """The needs, cut to what `has` gives each of `size` tasks at once."""
    share = {name: math.floor(amount / size * 1000) / 1000 for name, amount in has.items()}
    return Resources(
        cpus=min(needs.cpus, share.get("CPU", 0.0)),
        gpus=min(needs.gpus, share.get("GPU", 0.0)),
        memory_nbytes=int(min(needs.memory_nbytes, share.get("memory", 0.0))) if needs.memory_nbytes else None,
        custom={name: min(need, share.get(name, 0.0)) for name, need in needs.custom.items()},
    )


def wanted(needs: Resources) -> dict[str, float]:
    """What a task needs, in Ray's words."""
    asked = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": float(needs.memory_nbytes or 0), **needs.custom}
    return {name: amount for name, amount in asked.items() if amount}


def _fitting(node: Mapping[str, float], needs: Resources) -> int:
    """How many tasks with these needs fit a node at once."""
    counts = [_count(node.get(name, 0.0), name, need) for name, need in wanted(needs).items()]
    return min(counts, default=_UNBOUNDED)


def _count(has: float, name: str, need: float) -> int:
    """A GPU is shared by parts of it, of which it holds whole numbers; Ray counts in ten-thousandths."""
    if name == "GPU" and need < 1:
        return int(has) * int(1.0001 / need)
    return int((has + 0.00005) / need)
