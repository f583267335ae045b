"""Argo Workflows: a WorkflowTemplate whose one template creates the RayJob, a CronWorkflow, and for events a Sensor of Argo Events.

The run is `wf-<uid of the Workflow>`, also where Argo tries again: each try creates another RayJob, whose driver goes on with the same run.
`retryPolicy: OnFailure`: a pod of Argo's own that is lost says nothing of the RayJob, which goes on.

Parameters become JSON by an expression of Argo, twice: once as the object that the driver reads, once as a text of the manifest. `{{` in a
value is written as an escape, since Argo looks for expressions in what it has put in, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rayflow.catalog.deployments import DeployedParameter, Deployment, Event
from rayflow.model.errors import UserError
from rayflow.submission.deploying import dns_name
from rayflow.submission.deployments import TRIGGERS
from rayflow.submission.kuberay.manifest import rendered
from rayflow.submission.schedulers.shipment import (
    PARAMETERS,
    PLACE,
    Export,
    Shipment,
    in_every_text,
    named,
    with_head_environment,
)

SCHEDULER = "argo-workflows"
API = "argoproj.io/v1alpha1"
RUN_ID = f"wf-0000{PLACE}"
"""As long as the id of a run."""
_TRIGGERED_BY = "rayflow-triggered-by"
_MOST_OF_NAME = 40
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SUCCEEDED = "status.jobDeploymentStatus == Complete, status.jobStatus == SUCCEEDED"
_FAILED = "status.jobDeploymentStatus == Failed, status.jobDeploymentStatus == ValidationFailed, status.jobStatus == STOPPED"
"""Argo wants all terms of a success, and one of a failure."""


@dataclass(frozen=True)
class ArgoOptions:
    """`service_account` is whose rights Argo's own pod has, which creates the RayJob; `event_source` an EventSource of kind webhook,
    through which events come as `{"payload": {"name": ..., ...}}`; `event_service_account` of the pods of Argo Events."""

    service_account: str | None = None
    event_source: str | None = None
    event_service_account: str | None = None


def export(shipment: Shipment, manifest: Mapping[str, Any], options: ArgoOptions) -> Export:
    """`manifest` is the RayJob of a run called `RUN_ID`. UserError for what Argo cannot carry."""
    documents = documents_of(shipment, manifest, options)
    name = documents[0]["metadata"]["name"]
    text = "---\n".join(rendered(document, "yaml") for document in documents)
    return Export(name, {"apiVersion": "v1", "kind": "List", "items": documents}, {".yaml": text})


def documents_of(shipment: Shipment, manifest: Mapping[str, Any], options: ArgoOptions) -> list[dict[str, Any]]:
    """The manifests, the WorkflowTemplate first."""
    deployment = shipment.deployment
    for parameter in shipment.offered:
        if not _NAME.fullmatch(parameter.name):
            raise UserError(
                f"Parameter '{parameter.name}' is not supported by Argo Workflows, which takes letters, digits, '-' and '_' in names."
            )
    found = [_template(shipment, manifest, options)]
    if deployment.cron is not None:
        found.append(_cron_workflow(shipment, manifest))
    if deployment.events:
        found += _of_events(shipment, manifest, options)
    return found


def template_name(deployment: Deployment) -> str:
    """What the WorkflowTemplate is called."""
    return dns_name(deployment.name, _MOST_OF_NAME)


def run_id_of(uid: str) -> str:
    """The run of the Workflow of that uid."""
    return f"wf-{uid}"


def _metadata(shipment: Shipment, manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    namespace = manifest["metadata"].get("namespace")
    labels = {"app.kubernetes.io/managed-by": "rayflow", "rayflow.dev/flow": shipment.deployment.flow[:63]}
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels, "annotations": shipment.annotations}


def _labels_of_runs(shipment: Shipment) -> dict[str, str]:
    return {"rayflow.dev/flow": shipment.deployment.flow[:63], "rayflow.dev/template": template_name(shipment.deployment)}


def _template(shipment: Shipment, manifest: Mapping[str, Any], options: ArgoOptions) -> dict[str, Any]:
    name = template_name(shipment.deployment)
    arguments = [_argument(parameter.name, parameter.shown, parameter.help, parameter.choices) for parameter in _with_value(shipment)]
    arguments += [_argument(parameter.name, None, parameter.help, parameter.choices) for parameter in _without_value(shipment)]
    arguments += [_argument(_TRIGGERED_BY, "", "What started the run; said by the Sensor.", ())] if shipment.deployment.events else []
    retry = {"retryStrategy": {"limit": shipment.retries, "retryPolicy": "OnFailure"}} if shipment.retries else {}
    resource = {
        "action": "create",
        "setOwnerReference": True,
        "successCondition": _SUCCEEDED,
        "failureCondition": _FAILED,
        "manifest": _manifest_text(shipment, manifest),
    }
    return {
        "apiVersion": API,
        "kind": "WorkflowTemplate",
        "metadata": _metadata(shipment, manifest, name),
        "spec": {
            "entrypoint": "run",
            **({"serviceAccountName": options.service_account} if options.service_account else {}),
            "workflowMetadata": {"labels": _labels_of_runs(shipment), "annotations": shipment.annotations},
            **({"arguments": {"parameters": arguments}} if arguments else {}),
            "templates": [{"name": "run", **retry, "resource": resource}],
        },
    }


def _with_value(shipment: Shipment) -> list[DeployedParameter]:
    return [parameter for parameter in shipment.offered if not parameter.must_be_given]


def _without_value(shipment: Shipment) -> list[DeployedParameter]:
    return [parameter for parameter in shipment.offered if parameter.must_be_given]


def _argument(name: str, value: str | None, help_: str, choices: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name} if value is None else {"name": name, "value": value}
    if help_:
        found["description"] = help_
    if choices:
        found["enum"] = [*dict.fromkeys([*choices, *([value] if value is not None else [])])]
    return found


def _manifest_text(shipment: Shipment, manifest: Mapping[str, Any]) -> str:
    """The RayJob as JSON with Argo's expressions in it, which is YAML too."""
    mark = "@@parameters@@"
    job = with_head_environment(manifest, {"name": PARAMETERS, "value": mark})
    job = named(job, generateName=f"{dns_name(shipment.deployment.name, 36)}-")
    job = in_every_text(job, lambda text: _without_expressions(text).replace(RUN_ID, "wf-{{workflow.uid}}"))
    return json.dumps(job, indent=1).replace(json.dumps(mark), _expression(shipment))


def _without_expressions(text: str) -> str:
    if "{{" in text:
        raise UserError(f"The manifest says {text[:60]!r}: Argo would read what is in double braces as an expression of its own.")
    return text


def _expression(shipment: Shipment) -> str:
    """Writes the parameters as a JSON text that holds a JSON object."""
    names = [parameter.name for parameter in shipment.offered]
    pairs = [f'"{name}": workflow.parameters["{name}"]' for name in names]
    if shipment.deployment.events:
        pairs.append(f'"{TRIGGERS}": workflow.parameters["{_TRIGGERED_BY}"]')
    if not pairs:
        return '"{}"'
    given = f"toJson({{{', '.join(pairs)}}})"
    return '{{=toJson(sprig.replace(sprig.repeat(2, "{"), "\\\\u007b\\\\u007b", ' + given + "))}}"


def _cron_workflow(shipment: Shipment, manifest: Mapping[str, Any]) -> dict[str, Any]:
    deployment = shipment.deployment
    name = template_name(deployment)
    return {
        "apiVersion": API,
        "kind": "CronWorkflow",
        "metadata": _metadata(shipment, manifest, name),
        "spec": {
            "schedules": [deployment.cron],
            **({"timezone": deployment.timezone} if deployment.timezone else {}),
            "concurrencyPolicy": "Forbid",
            "workflowMetadata": {"labels": _labels_of_runs(shipment)},
            "workflowSpec": {"workflowTemplateRef": {"name": name}},
        },
    }


# -- Argo Events -------------------------------------------------------------------------------------------------------


def _of_events(shipment: Shipment, manifest: Mapping[str, Any], options: ArgoOptions) -> list[dict[str, Any]]:
    """An EventSource that sees the Workflows of other deployments end, where it is waited for that, and the Sensor."""
    events = shipment.deployment.events
    for event in events:
        if not event.is_run and not options.event_source:
            raise UserError(
                f"@trigger of {shipment.deployment.flow} ('{event.name}') needs --event-source NAME: the EventSource of Argo Events, of "
                "kind webhook, through which events come."
            )
    name = template_name(shipment.deployment)
    runs = {f"run-{number}": _watched(event, manifest) for number, event in enumerate(events) if event.is_run}
    account = {"template": {"serviceAccountName": options.event_service_account}} if options.event_service_account else {}
    source = {
        "apiVersion": API,
        "kind": "EventSource",
        "metadata": _metadata(shipment, manifest, name),
        "spec": {**account, "resource": runs},
    }
    sensor = {
        "apiVersion": API,
        "kind": "Sensor",
        "metadata": _metadata(shipment, manifest, name),
        "spec": {
            **account,
            "dependencies": [_dependency(number, event, name, options) for number, event in enumerate(events)],
            "triggers": [{"template": {"name": "start", "argoWorkflow": _started(shipment, name)}}],
        },
    }
    return [*([source] if runs else []), sensor]


def _watched(event: Event, manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "namespace": manifest["metadata"].get("namespace", "default"),
        "group": "argoproj.io",
        "version": "v1alpha1",
        "resource": "workflows",
        "eventTypes": ["UPDATE"],
        "filter": {
            "afterStart": True,
            "labels": [
                {"key": "rayflow.dev/template", "operation": "==", "value": dns_name(event.name, _MOST_OF_NAME)},
                {"key": "workflows.argoproj.io/phase", "operation": "==", "value": "Succeeded"},
            ],
        },
    }


def _dependency(number: int, event: Event, name: str, options: ArgoOptions) -> dict[str, Any]:
    if event.is_run:
        return {"name": f"event-{number}", "eventSourceName": name, "eventName": f"run-{number}"}
    named_so = {"path": "body.payload.name", "type": "string", "value": [event.name]}
    return {
        "name": f"event-{number}",
        "eventSourceName": options.event_source,
        "eventName": "event",
        "filters": {"data": [named_so]},
    }


def _started(shipment: Shipment, name: str) -> dict[str, Any]:
    """Submits a Workflow. Where the end of a run starts it, it is named by that: the same end, told twice, starts one."""
    events = shipment.deployment.events
    given = [*_with_value(shipment), *_without_value(shipment)]
    by_events = {parameter for event in events for parameter in event.parameters}
    arguments = [parameter for parameter in given if parameter.name in by_events]
    places = {parameter.name: number for number, parameter in enumerate(arguments)}
    moved: list[dict[str, Any]] = []
    for number, event in enumerate(events):
        source = {"dependencyName": f"event-{number}"}
        words = f"{_flow_of(event)}/{run_id_of('{{ .Input.body.metadata.uid }}')} " if event.is_run else f"event:{event.name} "
        moved.append(
            {
                "src": {**source, "dataTemplate": words},
                "dest": f"spec.arguments.parameters.{len(arguments)}.value",
                "operation": "append",
            }
        )
        moved += [
            {
                "src": {**source, "dataKey": f"body.payload.{field}", **_if_missing(arguments[places[parameter]])},
                "dest": f"spec.arguments.parameters.{places[parameter]}.value",
            }
            for parameter, field in event.parameters.items()
        ]
    first_run = next((number for number, event in enumerate(events) if event.is_run), None)
    if first_run is not None:
        template = f"{name[:26]}-{{{{ .Input.body.metadata.uid }}}}"
        moved.append({"src": {"dependencyName": f"event-{first_run}", "dataTemplate": template}, "dest": "metadata.name"})
    values = [{"name": each.name, "value": each.shown} for each in arguments] + [{"name": _TRIGGERED_BY, "value": ""}]
    workflow = {
        "apiVersion": API,
        "kind": "Workflow",
        "metadata": {"generateName": f"{name}-"} if first_run is None else {"name": name},
        "spec": {"workflowTemplateRef": {"name": name}, "arguments": {"parameters": values}},
    }
    return {"operation": "submit", "source": {"resource": workflow}, "parameters": moved}


def _if_missing(parameter: DeployedParameter) -> dict[str, str]:
    return {} if parameter.must_be_given else {"value": parameter.shown}


def _flow_of(event: Event) -> str:
    return event.name.rpartition(".")[2]
