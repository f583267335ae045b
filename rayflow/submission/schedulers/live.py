"""A scheduler that is asked to do something: to take an export, to start a run, to tell how one stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rayflow.catalog.deployed import Deployed
from rayflow.catalog.deployments import Deployment
from rayflow.model.errors import UsageError
from rayflow.submission.schedulers.shipment import Export


@dataclass(frozen=True, slots=True)
class Execution:
    """What the scheduler made of one start. `id` is the scheduler's, `status` in its own words, `run_id` that of the run, which is there
    once its driver has begun."""

    id: str
    run_id: str
    status: str


class Scheduler(Protocol):
    """Errors: UserError for what is asked for, ClusterFault for what the scheduler does or fails to do."""

    def apply(self, export: Export) -> Mapping[str, Any]:
        """Has the scheduler start what was exported from now on; returns by what it is asked later (plain JSON, no secrets)."""
        ...

    def start(self, deployed: Deployed, given: Mapping[str, Any]) -> Execution:
        """Starts a run now, with these values by the names of Parameters."""
        ...

    def execution(self, deployed: Deployed, execution_id: str) -> Execution:
        """How one stands. RayflowNotFound where the scheduler does not know it (any more)."""
        ...

    def executions(self, deployed: Deployed) -> list[Execution]:
        """Those that the scheduler still knows, the newest first."""
        ...

    def stop(self, deployed: Deployed, execution: Execution) -> None:
        """Ends one. Its run stays resumable."""
        ...

    def remove(self, deployed: Deployed) -> None:
        """Has the scheduler start it no more. Nothing happens where it does not know it."""
        ...


def checked(deployment: Deployment, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given to a start, by the names of Parameters, which may be written with underscores. UsageError for an unknown or missing
    one, or for a file, which is fixed with the deployment."""
    known = {parameter.name: parameter for parameter in deployment.parameters if parameter.kind != "file"}
    names = {**{name.replace("-", "_"): name for name in known}, **{name: name for name in known}}
    unknown = [name for name in given if name not in names]
    if unknown:
        listed = ", ".join(sorted(known)) or "none"
        raise UsageError(f"{deployment.flow} has no Parameter '{unknown[0]}' that a start could give. Those that it has: {listed}.")
    found = {names[name]: value for name, value in given.items() if value is not None}
    missing = [name for name, parameter in known.items() if parameter.must_be_given and name not in found]
    if missing:
        raise UsageError(f"Parameter '{missing[0]}' of {deployment.flow} is required. Give it a value.")
    return found


def as_text(value: Any) -> str:
    """A value as a scheduler that has texts alone carries it: JSON, but for texts."""
    return value if isinstance(value, str) else json.dumps(value)
