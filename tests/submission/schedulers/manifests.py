"""RayJobs of shipments, as `create` has them made, and what is in them."""

from __future__ import annotations

from typing import Any

from rayflow.submission.kuberay.manifest import ray_job
from rayflow.submission.kuberay.rules import check
from rayflow.submission.schedulers.shipment import Shipment
from tests.submission.kuberay.asking import options


def manifest(shipment: Shipment, run_id: str, **said: Any) -> dict[str, Any]:
    """The RayJob of a run of that id, which the operator takes."""
    made = ray_job(shipment.job(run_id), options(namespace="science", **said))
    check(made)
    return made


def environment(job: dict[str, Any]) -> dict[str, Any]:
    """The variables of the container that the driver runs in."""
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in head["env"]}


def places_of(value: Any, text: str) -> list[str]:
    """Where a text stands in plain JSON."""
    if isinstance(value, dict):
        return [place for name, each in value.items() for place in places_of(each, text)]
    if isinstance(value, list):
        return [place for each in value for place in places_of(each, text)]
    return [value] if isinstance(value, str) and text in value else []
