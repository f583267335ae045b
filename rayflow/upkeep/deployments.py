"""Which deployments may still start runs, and what they need."""

from __future__ import annotations

from rayflow.catalog.deployed import standing
from rayflow.catalog.deployments import read_deployment
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store
from rayflow.upkeep.references import Referring


def needed_by_deployments(store: Store, flow: str) -> set[str]:
    """The keys of the deployments of a flow that stand under a name, also those before the last one (a scheduler may try again what it
    began with them), and of what they refer to. Raises `StoreFault` or `RayflowNotFound` where that cannot be known."""
    referring = Referring(store, flow)
    needed: set[str] = set()
    for digest in standing(store, flow):
        draft = read_deployment(store, flow, digest).draft
        needed.add(FlowLayout(flow).deployment(digest))
        needed.update(reference.key for reference in referring.of_record(draft))
    return needed
