"""Airflow 2.10 and 3: one file with a DAG of one task, an operator that creates the RayJob and waits for it without holding a worker.

The file needs nothing but Airflow and the `kubernetes` client. It holds what is deployed as JSON, read as a text of Python, so that nothing
of a flow becomes code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rayflow.catalog.deployments import DeployedParameter, Deployment
from rayflow.submission.schedulers.shipment import PARAMETERS, PLACE, Export, Shipment, named, refuse_events, with_head_environment

SCHEDULER = "airflow"
RUN_ID = f"af-{PLACE}"
_TYPES = {"text": "string", "integer": "integer", "float": "number", "boolean": "boolean", "choice": "string"}
_OPERATOR = "airflow_operator.py"
_HEADER = '''"""{name}: made by rayflow. Deploy the flow again instead of editing this.

The deployment is {digest}.
Needs Airflow 2.10 or newer and the package `kubernetes`. The task creates a RayJob and waits for it, deferred.
"""
'''


@dataclass(frozen=True)
class AirflowOptions:
    """`poll_s` is how many seconds lie between two looks at the RayJob, `retry_delay_s` between two tries."""

    poll_s: int = 30
    retry_delay_s: int = 60


def export(shipment: Shipment, manifest: Mapping[str, Any], options: AirflowOptions) -> Export:
    """`manifest` is the RayJob of a run called `RUN_ID`. UserError for what Airflow cannot carry."""
    deployment = shipment.deployment
    refuse_events(deployment, "Airflow", "Start the DAG from the one before (TriggerDagRunOperator), or use argo-workflows.")
    described = {
        "dag_id": dag_id(deployment),
        "schedule": deployment.cron,
        "timezone": deployment.timezone or "UTC",
        "owner": deployment.draft.user,
        "tags": ["rayflow", deployment.flow],
        "retries": shipment.retries,
        "retry_delay_s": options.retry_delay_s,
        "poll_s": options.poll_s,
        "run_id": RUN_ID,
        "parameters": {parameter.name: _schema(parameter) for parameter in shipment.offered},
        "manifest": named(with_head_environment(manifest, {"name": PARAMETERS, "value": "{}"}), name="rayflow"),
    }
    text = _file(deployment, shipment.digest, described)
    return Export(dag_id(deployment), {"dag_id": dag_id(deployment), "file": text, "deployed": described}, {".py": text})


def dag_id(deployment: Deployment) -> str:
    """What the DAG is called."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", deployment.name)[:250]


def _schema(parameter: DeployedParameter) -> dict[str, Any]:
    """The arguments of an Airflow Param: JSON schema, and the default where there may be none given."""
    type_ = _TYPES.get(parameter.kind)
    types: Any = None if type_ is None else type_ if parameter.must_be_given else ["null", type_]
    found: dict[str, Any] = {"type": types} if types else {}
    if parameter.help:
        found["description"] = parameter.help
    if parameter.choices:
        found["enum"] = [*parameter.choices, *([] if parameter.must_be_given else [None])]
    if not parameter.must_be_given:
        found["default"] = _default(parameter)
    return found


def _default(parameter: DeployedParameter) -> Any:
    if parameter.default is None:
        return None
    if parameter.kind in ("integer", "float", "boolean", "json"):
        return json.loads(parameter.shown)
    return parameter.shown


def _file(deployment: Deployment, digest: str, described: Mapping[str, Any]) -> str:
    header = _HEADER.format(name=_plain(deployment.name), digest=f"{deployment.flow}/{digest}")
    operator = files("rayflow.submission.schedulers").joinpath(_OPERATOR).read_text(encoding="utf-8")
    _, _, body = operator.partition('"""\n\n')
    place = "DEPLOYED: dict[str, Any] = {}\n"
    assert place in body
    filled = f"DEPLOYED: dict[str, Any] = json.loads(\n    {json.dumps(described)!a}\n)\n"
    return header + "\n" + body.replace(place, filled)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_. -]+", "-", text)
