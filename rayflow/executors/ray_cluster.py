"""What Ray says of the cluster that a driver has joined."""

from __future__ import annotations

from collections.abc import Iterator
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


def cluster_now(ray: Any) -> Cluster:
    """The cluster that this process is connected to. Costs a few milliseconds."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    stores = [node["Resources"].get("object_store_memory", 0.0) for node in alive]
    kinds, limits = _growth(ray)
    room = Room(tuple(dict(node["Resources"]) for node in alive), tuple(kinds), limits)
    return Cluster(room, len({node["NodeManagerHostname"] for node in alive}) > 1, int(min(stores, default=0.0)) // 4)


def _growth(ray: Any) -> tuple[Iterator[NodeKind], dict[str, float]]:
    """What the autoscaler may add, by its configuration (KubeRay's worker groups, a cluster launcher's node types): nothing without one.
    Not quite public, so that it is named here alone."""
    config = ray._private.state.state.get_cluster_config()
    if config is None:
        return iter(()), {}
    groups = ((dict(group.resources), group.max_count) for group in config.node_group_configs)
    return (
        (NodeKind({name: float(amount) for name, amount in resources.items()}, most if most >= 0 else 1_000) for resources, most in groups),
        {name: float(amount) for name, amount in config.max_resources.items() if amount > 0},
    )
