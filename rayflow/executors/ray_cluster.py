"""What Ray says of the cluster that a driver has joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rayflow.executors.room import NodeKind, Room


@dataclass(frozen=True, slots=True)
class Cluster:
    """As it was when it was looked at. `spans_hosts`: it has more than one; `lend_nbytes`: how large a value may be that goes through its
    object stores, of which it may take a quarter of any."""

    room: Room = Room()
    spans_hosts: bool = False
    lend_nbytes: int = 0


def cluster_now(ray: Any, kinds: Sequence[NodeKind] = ()) -> Cluster:
    """The cluster that this process is connected to; `kinds` of nodes may come. Costs a few milliseconds.

    Ray itself does not tell what its autoscaler could add (2.60 has a place for that, which none of its autoscalers writes).
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    stores = [node["Resources"].get("object_store_memory", 0.0) for node in alive]
    room = Room(tuple(dict(node["Resources"]) for node in alive), tuple(kinds))
    return Cluster(room, len({node["NodeManagerHostname"] for node in alive}) > 1, int(min(stores, default=0.0)) // 4)
