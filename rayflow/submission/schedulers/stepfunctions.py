"""AWS Step Functions: a state machine in Amazon States Language that creates the RayJob on an EKS cluster and looks after it, and a
schedule of EventBridge Scheduler.

The run is `sfn-<MD5 of the execution's ARN>`. Each try is a RayJob of its own, named by the run and the number of the try, so that a POST
that is repeated finds its own (409) and goes on to wait. An execution is given `{"parameters": {...}}`, which AWS itself writes as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from rayflow.catalog.deployments import Deployment
from rayflow.model.errors import UserError
from rayflow.submission.cron import parsed
from rayflow.submission.schedulers.shipment import (
    PARAMETERS,
    PLACE,
    Export,
    Shipment,
    named,
    refuse_events,
    with_head_environment,
)

SCHEDULER = "step-functions"
RUN_ID = f"sfn-{PLACE}"
ARN = "${StateMachineArn}"
"""Stands in the schedule for the ARN of the state machine, which is known once it is there."""
_PLACEHOLDER = "${StepFunctionsRole}"
_MOST_OF_NAME = 80
_HASH = "States.Hash($$.Execution.Id, 'MD5')"
_STATUS = "$.seen.ResponseBody.status"
_GIVEN = "@@parameters@@"


@dataclass(frozen=True)
class EksOptions:
    """Which cluster: its name, the URL of its API server, and the certificate of that (base64). `scheduler_role` is the ARN of the role by
    which EventBridge starts executions; `poll_s` how many seconds lie between two looks."""

    cluster: str | None = None
    endpoint: str | None = None
    certificate: str | None = None
    scheduler_role: str | None = None
    poll_s: int = 30


def export(shipment: Shipment, manifest: Mapping[str, Any], options: EksOptions) -> Export:
    """`manifest` is the RayJob of a run called `RUN_ID`. UserError for what Step Functions cannot carry."""
    deployment = shipment.deployment
    refuse_events(deployment, "Step Functions", "Use argo-workflows, or have a rule of EventBridge start the state machine.")
    content: dict[str, Any] = {"definition": definition_of(shipment, manifest, options)}
    if deployment.cron is not None:
        content["schedule"] = schedule_of(shipment, options)
    return Export(machine_name(deployment), content, {".json": json.dumps(content, indent=2) + "\n"})


def machine_name(deployment: Deployment) -> str:
    """What the state machine is called."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", deployment.name)[:_MOST_OF_NAME]


def run_id_of(execution_arn: str) -> str:
    """The run of an execution."""
    return f"sfn-{md5(execution_arn.encode(), usedforsecurity=False).hexdigest()}"


def schedule_of(shipment: Shipment, options: EksOptions) -> dict[str, Any]:
    """The arguments of EventBridge Scheduler's CreateSchedule."""
    deployment = shipment.deployment
    return {
        "Name": machine_name(deployment)[:64],
        "ScheduleExpression": parsed(deployment.cron or "").for_aws(),
        "ScheduleExpressionTimezone": deployment.timezone or "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": ARN, "RoleArn": options.scheduler_role or _PLACEHOLDER, "Input": "{}"},
    }


def definition_of(shipment: Shipment, manifest: Mapping[str, Any], options: EksOptions) -> dict[str, Any]:
    """The state machine."""
    missing = [
        option
        for option, value in (
            ("--eks-cluster", options.cluster),
            ("--eks-endpoint", options.endpoint),
            ("--eks-certificate", options.certificate),
        )
        if not value
    ]
    if missing:
        raise UserError(
            f"Step Functions starts runs on an EKS cluster, and is to be told which: {', '.join(missing)} is missing. "
            "`aws eks describe-cluster` shows name, endpoint and certificateAuthority.data."
        )
    return {
        "Comment": f"rayflow: {shipment.deployment.flow}/{shipment.digest} of {shipment.root}",
        "StartAt": "Is anything given?",
        "States": {**_beginning(), **_trying(shipment, manifest, options), **_ends(shipment)},
    }


def _beginning() -> dict[str, Any]:
    def named_run(given: dict[str, Any]) -> dict[str, Any]:
        return {
            "Type": "Pass",
            "Parameters": {"run_id.$": f"States.Format('sfn-{{}}', {_HASH})", "attempt": 0, **given},
            "Next": "Name the job",
        }

    return {
        "Is anything given?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.parameters", "IsPresent": True, "Next": "Take what is given"}],
            "Default": "Take the defaults",
        },
        "Take what is given": named_run({"parameters.$": "$.parameters"}),
        "Take the defaults": named_run({"parameters": {}}),
    }


def _trying(shipment: Shipment, manifest: Mapping[str, Any], options: EksOptions) -> dict[str, Any]:
    again = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 6, "BackoffRate": 2.0}]
    path = f"/apis/{manifest['apiVersion']}/namespaces/{manifest['metadata'].get('namespace', 'default')}/rayjobs"
    call = {"ClusterName": options.cluster, "CertificateAuthority": options.certificate, "Endpoint": options.endpoint}
    return {
        "Name the job": {
            "Type": "Pass",
            "Parameters": {
                "job.$": "States.Format('rayflow-{}-{}', $.run_id, $.attempt)",
                "run_id.$": "$.run_id",
                "attempt.$": "$.attempt",
                "parameters.$": "$.parameters",
            },
            "Next": "Start",
        },
        "Start": {
            "Type": "Task",
            "Resource": "arn:aws:states:::eks:call",
            "Parameters": {**call, "Method": "POST", "Path": path, "RequestBody": _request_body(manifest)},
            "ResultPath": None,
            "Retry": [{"ErrorEquals": ["EKS.409"], "MaxAttempts": 0}, *again],
            "Catch": [{"ErrorEquals": ["EKS.409"], "ResultPath": None, "Next": "Wait"}],
            "Next": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": options.poll_s, "Next": "Look"},
        "Look": {
            "Type": "Task",
            "Resource": "arn:aws:states:::eks:call",
            "Parameters": {**call, "Method": "GET", "Path.$": f"States.Format('{path}/{{}}', $.job)"},
            "ResultPath": "$.seen",
            "Retry": [{"ErrorEquals": ["EKS.404"], "MaxAttempts": 0}, *again],
            "Catch": [{"ErrorEquals": ["EKS.404"], "ResultPath": "$.error", "Next": "Gone"}],
            "Next": "How it stands",
        },
        "How it stands": {"Type": "Choice", "Choices": _choices(shipment), "Default": "Wait"},
    }


def _is(field: str, value: str) -> list[dict[str, Any]]:
    """That a field of the status, which may not be there yet, has this value."""
    return [{"Variable": f"{_STATUS}.{field}", "IsPresent": True}, {"Variable": f"{_STATUS}.{field}", "StringEquals": value}]


def _choices(shipment: Shipment) -> list[dict[str, Any]]:
    """`STOPPED` ends as `Complete`: success is both words."""
    return [
        {"And": _is("jobStatus", "STOPPED"), "Next": "Stopped"},
        {"And": _is("jobDeploymentStatus", "Failed"), "Next": "Try again?" if shipment.retries else "Failed"},
        {"And": _is("jobDeploymentStatus", "ValidationFailed"), "Next": "Failed"},
        {"And": [*_is("jobDeploymentStatus", "Complete"), *_is("jobStatus", "SUCCEEDED")], "Next": "Done"},
        {"And": _is("jobDeploymentStatus", "Complete"), "Next": "Failed"},
    ]


def _ends(shipment: Shipment) -> dict[str, Any]:
    flow = shipment.deployment.flow
    ends: dict[str, Any] = {
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "RunFailed", "Cause": f"The run of {flow} failed: `rayflow errors` tells why."},
        "Stopped": {"Type": "Fail", "Error": "RunStopped", "Cause": f"The run of {flow} was stopped. It can be resumed."},
        "Gone": {"Type": "Fail", "Error": "JobGone", "Cause": "The RayJob was deleted before it had ended. The run can be resumed."},
    }
    if not shipment.retries:
        return ends
    return {
        "Try again?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.attempt", "NumericLessThan": shipment.retries, "Next": "Try again"}],
            "Default": "Failed",
        },
        "Try again": {
            "Type": "Pass",
            "Parameters": {
                "run_id.$": "$.run_id",
                "attempt.$": "States.MathAdd($.attempt, 1)",
                "parameters.$": "$.parameters",
            },
            "Next": "Name the job",
        },
        **ends,
    }


def _request_body(manifest: Mapping[str, Any]) -> Any:
    """The RayJob, with expressions of States Language where the run's id and its parameters belong."""
    job = named(with_head_environment(manifest, {"name": PARAMETERS, "value": _GIVEN}), name="@@job@@")
    return _with_paths(job)


def _with_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        pairs = (_with_path(str(name), each) for name, each in value.items())  # pyright: ignore[reportUnknownVariableType]
        return dict(pairs)
    if isinstance(value, (list, tuple)):
        return [_with_paths(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and RUN_ID in value:
        raise UserError(f"The manifest names the run within a list ({value[:60]!r}), where Step Functions cannot put its id.")
    return value


def _with_path(name: str, value: Any) -> tuple[str, Any]:
    if value == _GIVEN:
        return f"{name}.$", "States.JsonToString($.parameters)"
    if value == "@@job@@":
        return f"{name}.$", "$.job"
    if isinstance(value, str) and RUN_ID in value:
        text = re.sub(r"([\\'{}])", r"\\\1", value)
        return f"{name}.$", f"States.Format('{text.replace(RUN_ID, '{}')}'{', $.run_id' * value.count(RUN_ID)})"
    return name, _with_paths(value)
