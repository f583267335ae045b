"""What exports are made of, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog.deployments import DeployedParameter, Deployment
from rayflow.model.errors import UserError
from rayflow.model.spec import StepSpec
from rayflow.submission.deployments import PARAMETERS
from rayflow.submission.job import DriverJob

__all__ = ["PARAMETERS", "PLACE", "Export", "Shipment", "in_every_text", "named", "refuse_events", "with_head_environment"]

PLACE = "0" * 32
"""Stands in a manifest where the scheduler's id of an execution belongs."""


@dataclass(frozen=True)
class Shipment:
    """A deployment that is stored under `root` as `digest`. `specs` tell what its steps need; `retries` how often the scheduler starts a
    driver anew when one failed."""

    deployment: Deployment
    digest: str
    root: str
    specs: Mapping[str, StepSpec] = field(default_factory=dict[str, StepSpec])
    retries: int = 0

    def job(self, run_id: str) -> DriverJob:
        """The driver of the run of that id."""
        return DriverJob(
            root=self.root,
            flow=self.deployment.flow,
            run_id=run_id,
            user=self.deployment.draft.user,
            specs=self.specs,
            max_workers=self.deployment.max_workers,
            deployment=self.digest,
        )

    @property
    def offered(self) -> tuple[DeployedParameter, ...]:
        """The Parameters that somebody may give: files are fixed with the deployment."""
        return tuple(parameter for parameter in self.deployment.parameters if parameter.kind != "file")

    @property
    def annotations(self) -> dict[str, str]:
        """What a manifest says of it in free text."""
        deployment = self.deployment
        return {
            "rayflow.dev/deployment": f"{deployment.flow}/{self.digest}",
            "rayflow.dev/name": deployment.name,
            "rayflow.dev/root": self.root,
            "rayflow.dev/user": deployment.draft.user,
        }


@dataclass(frozen=True)
class Export:
    """What a scheduler is given. `content` is plain JSON, what `--only-json` prints; `files` are what is written instead, by their
    suffix."""

    name: str
    content: Any
    files: Mapping[str, str]


def refuse_events(deployment: Deployment, scheduler: str, way_out: str) -> None:
    """UserError where the flow is to be started by events, which the scheduler does not know."""
    for event in deployment.events:
        decorator = "trigger_on_finish" if event.is_run else "trigger"
        raise UserError(f"@{decorator} of {deployment.flow} ('{event.name}') is not supported by {scheduler}. {way_out}")


def in_every_text(value: Any, change: Callable[[str], Any]) -> Any:
    """Plain JSON with each text replaced by what `change` makes of it."""
    if isinstance(value, Mapping):
        return {name: in_every_text(each, change) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (list, tuple)):
        return [in_every_text(each, change) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return change(value) if isinstance(value, str) else value


def with_head_environment(manifest: Mapping[str, Any], variable: Mapping[str, Any]) -> dict[str, Any]:
    """The RayJob whose head, where the driver runs, has one more variable."""
    spec = manifest["spec"]
    cluster = spec["rayClusterSpec"]
    head = cluster["headGroupSpec"]
    template = head["template"]
    first, *others = template["spec"]["containers"]
    first = {**first, "env": [*(each for each in first.get("env", ()) if each["name"] != variable["name"]), dict(variable)]}
    template = {**template, "spec": {**template["spec"], "containers": [first, *others]}}
    return {**manifest, "spec": {**spec, "rayClusterSpec": {**cluster, "headGroupSpec": {**head, "template": template}}}}


def named(manifest: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The manifest under another name: `name` or `generateName`."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in ("name", "generateName")}
    return {**manifest, "metadata": {**metadata, **names}}
