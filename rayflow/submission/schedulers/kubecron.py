"""Cron within Kubernetes: a CronJob that creates the RayJob, or KubeRay's own RayCronJob, which is alpha and off by default.

Neither can put an id into what it creates, so that the run is named by the RayCluster that performs it, which the driver finds on its own
pod: `kc-<RayCluster>`. Nothing is tried again: KubeRay starts each RayJob once, and a failed run is resumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayflow.catalog.deployments import Deployment
from rayflow.model.errors import UserError
from rayflow.submission.deploying import dns_name
from rayflow.submission.kuberay.manifest import rendered
from rayflow.submission.schedulers.shipment import (
    PLACE,
    Export,
    Shipment,
    named,
    refuse_events,
    with_head_environment,
)

SCHEDULER = "kuberay-cron"
RUN_ID = f"kc-{PLACE}"
_MOST_OF_NAME = 21
"""So that the RayCluster, whose name has two endings of six characters more, gives a run's id."""
_CLUSTER = "RAYFLOW_CLUSTER"
KUBECTL = "registry.k8s.io/kubectl:v1.33.4"


@dataclass(frozen=True)
class CronOptions:
    """`is_alpha`: a RayCronJob, which the operator has to be told to know. `service_account` may create RayJobs; None: one is made that
    may. `image` has kubectl."""

    is_alpha: bool = False
    service_account: str | None = None
    image: str = KUBECTL


def export(shipment: Shipment, manifest: Mapping[str, Any], options: CronOptions) -> Export:
    """`manifest` is the RayJob of a run called `RUN_ID`. UserError for what this cannot carry."""
    documents = documents_of(shipment, manifest, options)
    text = "---\n".join(rendered(document, "yaml") for document in documents)
    name = documents[-1]["metadata"]["name"]
    return Export(name, {"apiVersion": "v1", "kind": "List", "items": documents}, {".yaml": text})


def cron_name(deployment: Deployment) -> str:
    """What the CronJob is called."""
    return dns_name(deployment.name, _MOST_OF_NAME)


def documents_of(shipment: Shipment, manifest: Mapping[str, Any], options: CronOptions) -> list[dict[str, Any]]:
    """The manifests, what has the schedule last."""
    deployment = shipment.deployment
    refuse_events(deployment, "a CronJob of Kubernetes", "Use argo-workflows.")
    if deployment.cron is None:
        raise UserError(f"{deployment.flow} has no @schedule, so that kuberay-cron has nothing to do. Add one, or use argo-workflows.")
    if shipment.retries:
        raise UserError("--retries is not supported by kuberay-cron, which starts each run once. Use @retry, and argo-workflows.")
    job = _job(shipment, manifest)
    if options.is_alpha:
        return [_ray_cron_job(shipment, job)]
    return [*([] if options.service_account else _account(shipment, job)), _config(shipment, job), _cron_job(shipment, job, options)]


def _job(shipment: Shipment, manifest: Mapping[str, Any]) -> dict[str, Any]:
    label = {"fieldRef": {"fieldPath": "metadata.labels['ray.io/cluster']"}}
    job = with_head_environment(manifest, {"name": _CLUSTER, "valueFrom": label})
    entrypoint = job["spec"]["entrypoint"].replace(RUN_ID, f"kc-${_CLUSTER}")
    job = _without_run(job)  # its jobId as well: Ray makes one, which is another in each run
    job = named(job, generateName=f"{cron_name(shipment.deployment)}-")
    return {**job, "spec": {**job["spec"], "entrypoint": entrypoint}}


def _without_run(value: Any) -> Any:
    """Plain JSON without the entries of mappings that name the run."""
    if isinstance(value, Mapping):
        kept = {name: each for name, each in value.items() if not (isinstance(each, str) and RUN_ID in each)}  # pyright: ignore[reportUnknownVariableType]
        return {name: _without_run(each) for name, each in kept.items()}  # pyright: ignore[reportUnknownVariableType]
    return [_without_run(each) for each in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


def _metadata(shipment: Shipment, job: Mapping[str, Any]) -> dict[str, Any]:
    namespace = job["metadata"].get("namespace")
    labels = {"app.kubernetes.io/managed-by": "rayflow", "rayflow.dev/flow": shipment.deployment.flow[:63]}
    name = cron_name(shipment.deployment)
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels, "annotations": shipment.annotations}


def _time(shipment: Shipment) -> dict[str, Any]:
    deployment = shipment.deployment
    return {
        "schedule": deployment.cron,
        **({"timeZone": deployment.timezone} if deployment.timezone else {}),
        "concurrencyPolicy": "Forbid",
    }


def _ray_cron_job(shipment: Shipment, job: Mapping[str, Any]) -> dict[str, Any]:
    time = {name: value for name, value in _time(shipment).items() if name != "concurrencyPolicy"}
    return {
        "apiVersion": job["apiVersion"],
        "kind": "RayCronJob",
        "metadata": _metadata(shipment, job),
        "spec": {**time, "jobTemplate": job["spec"]},
    }


def _config(shipment: Shipment, job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(shipment, job),
        "data": {"rayjob.json": json.dumps(job, indent=1)},
    }


def _cron_job(shipment: Shipment, job: Mapping[str, Any], options: CronOptions) -> dict[str, Any]:
    name = cron_name(shipment.deployment)
    container = {
        "name": "create",
        "image": options.image,
        "args": ["create", "-f", "/etc/rayflow/rayjob.json"],
        "volumeMounts": [{"name": "rayjob", "mountPath": "/etc/rayflow", "readOnly": True}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }
    pod = {
        "serviceAccountName": options.service_account or name,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "rayjob", "configMap": {"name": name}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(shipment, job),
        "spec": {**_time(shipment), "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}},
    }


def _account(shipment: Shipment, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One that may create RayJobs, and nothing else."""
    metadata = _metadata(shipment, job)
    name, rbac = metadata["name"], "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}]
    subject = {"kind": "ServiceAccount", "name": name, **({"namespace": metadata["namespace"]} if "namespace" in metadata else {})}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]
