"""What the status of a RayJob says of the driver. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from rayflow.submission.job import JobState, JobStatus

_BEFORE = {"": "", "New": "", "Initializing": "its cluster is starting", "Waiting": "it waits for its driver to be submitted"}
_HELD = "it is suspended, until its queue admits it"
_OWN_RETRY = "the operator starts it again"
_WAITS_SHORTLY = ("ContainerCreating", "PodInitializing", "")


def state_of(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]] = ()) -> JobState:
    """Where the driver stands. It has succeeded only where both the deployment is complete and Ray says so: a job that was stopped is
    complete, too. `pods` are the job's, as far as they are known: they tell what a start waits for."""
    status = _part(job, "status")
    deployment, ray = str(status.get("jobDeploymentStatus", "")), str(status.get("jobStatus", ""))
    told = _told(status)
    if _part(job, "metadata").get("deletionTimestamp") and deployment not in ("Complete", "Failed"):
        return JobState(JobStatus.STOPPED, "It is being deleted.")
    match deployment, ray:
        case "Complete", "SUCCEEDED":
            return JobState(JobStatus.SUCCEEDED, told)
        case _, "STOPPED":
            return JobState(JobStatus.STOPPED, told)
        case (("Complete" | "Failed" | "ValidationFailed"), _):
            return JobState(JobStatus.FAILED, told or f"The operator calls it {deployment}, and Ray {ray or 'nothing'}.")
        case "Running", ("RUNNING" | "SUCCEEDED" | "FAILED"):
            return JobState(JobStatus.RUNNING, told)
        case (("Suspended" | "Suspending"), _):
            return JobState(JobStatus.PENDING, _sentence(_HELD))
        case "Retrying", _:
            return JobState(JobStatus.PENDING, told or _sentence(_OWN_RETRY))
        case _:
            waits = _waits_of(pods) or _of_cluster(_part(status, "rayClusterStatus")) or told
            return JobState(JobStatus.PENDING, waits or _sentence(_BEFORE.get(deployment, "")))


def _told(status: Mapping[str, Any]) -> str:
    """The operator's reason and message; its message alone where that begins with the reason."""
    reason, message = str(status.get("reason") or ""), " ".join(str(status.get("message") or "").split())
    if reason and message and not message.startswith(reason):
        return f"{reason}: {message}"
    return message or reason


def _of_cluster(cluster: Mapping[str, Any]) -> str:
    """What the cluster's status says is not as it should be."""
    conditions = cast(list[Mapping[str, Any]], cluster.get("conditions") or [])
    for condition in conditions:
        is_bad = condition.get("status") == ("True" if condition.get("type") == "RayClusterReplicaFailure" else "False")
        if is_bad and condition.get("message"):
            return f"{condition.get('reason')}: {' '.join(str(condition['message']).split())}"
    return str(cluster.get("reason") or "")


def _waits_of(pods: Iterable[Mapping[str, Any]]) -> str:
    """What a pod that does not start waits for: an image, a node with room; "" where nothing is known to be wrong."""
    for pod in pods:
        name, status = str(_part(pod, "metadata").get("name", "a pod")), _part(pod, "status")
        containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        for container in containers:
            waiting = _part(_part(container, "state"), "waiting")
            if waiting.get("reason", "") not in _WAITS_SHORTLY:
                return _why(name, waiting)
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return _why(name, condition)
    return ""


def _why(pod: str, told: Mapping[str, Any]) -> str:
    message = " ".join(str(told.get("message") or "").split())
    return f"Pod {pod}: {told.get('reason')}" + (f": {message}" if message else "")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return cast(Mapping[str, Any], part) if isinstance(part, Mapping) else {}
