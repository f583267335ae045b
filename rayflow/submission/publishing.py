"""Deploys: a deployment is made and stored, exported, handed to its scheduler, and put under its name, in this order.

Where something fails on the way, nothing stands under the name, and `gc` takes the deployment after a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rayflow.catalog.deployed import Deployed, authorized_token, deployed_as, note
from rayflow.catalog.deployments import Deployment, store_deployment
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.flowdecorators import project_of
from rayflow.model.errors import RayflowNotFound
from rayflow.model.ports import Store
from rayflow.runtime.notices import Reporter
from rayflow.runtime.settings import Settings
from rayflow.store import open_root
from rayflow.submission.deploying import Order, deployment_name, prepare
from rayflow.submission.schedulers.shipment import Export, Shipment


@dataclass(frozen=True)
class Publication:
    """What is to be deployed, by which scheduler, under which name (None: that of the flow), with which production token (None: one's
    own). `export` makes what the scheduler is given; `apply` gives it that, and returns by what the scheduler is asked later."""

    definition: FlowDefinition
    settings: Settings
    scheduler: str
    export: Callable[[Shipment], Export]
    apply: Callable[[Export], Mapping[str, Any]]
    reporter: Reporter
    name: str | None = None
    token: str | None = None
    retries: int = 0


@dataclass(frozen=True)
class Published:
    """What was deployed, and as what."""

    deployment: Deployment
    export: Export
    deployed: Deployed


def publish(publication: Publication) -> Published:
    """Deploys. UserError for what the deployment or the scheduler cannot carry, or where the name is another user's."""
    settings, definition = publication.settings, publication.definition
    store = open_root(settings.root, create=True)
    name = publication.name or own_name(definition, settings)
    known = deployed_as(store, definition.name, publication.scheduler, name)
    token = authorized_token(known, name, settings.user, publication.token)
    deployment = prepare(definition, Order(publication.scheduler, settings, name, token), store, publication.reporter)
    digest = store_deployment(store, deployment)
    export = publication.export(Shipment(deployment, digest, settings.root, definition.specs, publication.retries))
    facts = publication.apply(export)
    deployed = Deployed(
        flow=definition.name,
        scheduler=publication.scheduler,
        name=name,
        digest=digest,
        token=token,
        user=settings.user,
        number=known.number if known else 0,
        facts={"id": export.name, **facts},
    )
    return Published(deployment, export, note(store, deployed))


def own_name(definition: FlowDefinition, settings: Settings) -> str:
    """The name of a flow's deployment, of its project and branch."""
    project = project_of(definition.decorators, settings.user, settings.branch, settings.is_production)
    return deployment_name(definition.name, project.facts(definition.name) if project else {})


def found(store: Store, flow: str, scheduler: str, name: str) -> Deployed:
    """What is deployed under the name. RayflowNotFound where nothing is."""
    deployed = deployed_as(store, flow, scheduler, name)
    if deployed is None or deployed.digest is None:
        raise RayflowNotFound(f"'{name}' is not deployed to {scheduler} from {store.url}. Deploy it: `{scheduler} create`.")
    return deployed


def withdraw(store: Store, deployed: Deployed, user: str, token: str | None, remove: Callable[[Deployed], None]) -> None:
    """Has `remove` take it from its scheduler, and its name away. UserError where it is another user's, and the token is not given."""
    authorized_token(deployed, deployed.name, user, token)
    remove(deployed)
    note(store, replace(deployed, digest=None, user=user))
