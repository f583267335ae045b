"""What a scheduler starts: a flow as it was when it was deployed, named by its content and never changed.

`<Flow>/deployments/<digest>.json` holds the record of the runs to come but for what only they have (id, time, parameters that are given),
so that what the scheduler itself knows is a root and a digest. Values are in it, not beside it: it refers to nothing but the code package,
which `gc` keeps as long as the deployment stands under a name (see `deployed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.run import RunRecord
from rayflow.model.errors import RayflowNotFound, StoreCorrupt, StoreMissing
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact

UNCLAIMED = "unclaimed"
"""The run id in the record of a deployment, which no run has."""


@dataclass(frozen=True)
class DeployedParameter:
    """A Parameter, as a scheduler offers it. `kind` is text, integer, float, boolean, json, choice or file; `shown` the default as text, ""
    where there is none: who gives exactly that gives nothing. `default` is the value that was computed at the deployment."""

    name: str
    attribute: str
    kind: str = "text"
    is_required: bool = False
    shown: str = ""
    default: Artifact | None = None
    help: str = ""
    choices: tuple[str, ...] = ()

    @property
    def must_be_given(self) -> bool:
        return self.is_required and self.default is None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "attribute": self.attribute,
            "kind": self.kind,
            "is_required": self.is_required,
            "shown": self.shown,
            "default": wire.artifact_to_json(self.default) if self.default else None,
            "help": self.help,
            "choices": list(self.choices),
        }

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> DeployedParameter:
        return DeployedParameter(
            name=form["name"],
            attribute=form["attribute"],
            kind=form["kind"],
            is_required=form["is_required"],
            shown=form["shown"],
            default=wire.artifact_from_json(form["default"]) if form["default"] else None,
            help=form["help"],
            choices=tuple(form["choices"]),
        )


@dataclass(frozen=True)
class Event:
    """What starts a run besides its schedule: an event by its name, or, with `is_run`, the end of a run of a deployment of that name.
    `parameters` are names of Parameters by the fields of the event that are their values."""

    name: str
    is_run: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Deployment:
    """A flow, ready to be started by `scheduler` under `name`. `draft` is the record of its runs; `cron` five fields, or None where it has
    no schedule; `timezone` of the IANA database, None where the scheduler's own counts. `token` is what allows to replace it."""

    scheduler: str
    name: str
    draft: RunRecord
    parameters: tuple[DeployedParameter, ...] = ()
    cron: str | None = None
    timezone: str | None = None
    events: tuple[Event, ...] = ()
    token: str = ""

    @property
    def flow(self) -> str:
        return self.draft.flow

    @property
    def max_workers(self) -> int | None:
        """How many tasks there are at once at most."""
        return self.draft.facts.get("launch", {}).get("max_workers")

    def to_json(self) -> dict[str, Any]:
        return {
            "scheduler": self.scheduler,
            "name": self.name,
            "draft": self.draft.to_json(),
            "parameters": [parameter.to_json() for parameter in self.parameters],
            "cron": self.cron,
            "timezone": self.timezone,
            "events": [{"name": each.name, "is_run": each.is_run, "parameters": dict(each.parameters)} for each in self.events],
            "token": self.token,
        }

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> Deployment:
        return Deployment(
            scheduler=form["scheduler"],
            name=form["name"],
            draft=RunRecord.from_json(form["draft"]),
            parameters=tuple(DeployedParameter.from_json(each) for each in form.get("parameters", ())),
            cron=form.get("cron"),
            timezone=form.get("timezone"),
            events=tuple(Event(each["name"], each["is_run"], each["parameters"]) for each in form.get("events", ())),
            token=form.get("token", ""),
        )


def store_deployment(store: Store, deployment: Deployment) -> str:
    """Puts the deployment under its digest (hex BLAKE3), once, and returns that."""
    from blake3 import blake3

    form = deployment.to_json()
    digest = blake3(wire.dumps(form)).hexdigest()
    key = FlowLayout(deployment.flow).deployment(digest)
    store.write(key, [wire.dumps_checked(form, key)])  # one that is there counts as written now: gc leaves it a day to get a name
    return digest


def read_deployment(store: Store, flow: str, digest: str) -> Deployment:
    """The deployment; RayflowNotFound where there is none, StoreCorrupt where it cannot be understood."""
    key = FlowLayout(flow).deployment(digest)
    try:
        text = store.read(key)
    except StoreMissing:
        raise RayflowNotFound(
            f"There is no deployment {digest} of {flow} under {store.url}: it was deleted, or deployed to another root. Deploy the flow "
            "again, so that its scheduler starts what is there."
        ) from None
    try:
        return Deployment.from_json(wire.loads_checked(text, key))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"The deployment {digest} of {flow} is damaged ({store.url}/{key}). Deploy the flow again.", key) from error
