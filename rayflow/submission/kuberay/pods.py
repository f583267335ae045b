"""The pods of a run: the head's, and each worker group's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayflow.submission.kuberay.attributes import PodNeeds
from rayflow.submission.kuberay.groups import PodSize, WorkerGroup, head_size
from rayflow.submission.kuberay.images import default_image
from rayflow.submission.kuberay.options import KubeOptions

HEAD, WORKER = "ray-head", "ray-worker"
"""What the containers of Ray are called."""
_SHARED, _TMPFS, _CLAIM = "shared-memory", "tmpfs", "claim"


@dataclass(frozen=True)
class Marks:
    """What all pods of a run have: labels and annotations that tell whose they are, and variables."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    environ: Mapping[str, str]


def head_pod(options: KubeOptions, marks: Marks) -> dict[str, Any]:
    """The template of the head's pod."""
    return _pod(HEAD, head_size(options), PodNeeds(), options, marks)


def worker_pod(group: WorkerGroup, options: KubeOptions, marks: Marks) -> dict[str, Any]:
    """The template of the pods of a worker group."""
    return _pod(WORKER, group.size, group.needs, options, marks)


def start_params(size: PodSize, *, is_head: bool) -> dict[str, str]:
    """What `ray start` is told, as the operator takes it. A head has no CPU to give, so that no task lands on it."""
    params = {"num-cpus": "0" if is_head else f"{size.cpus:g}", "object-store-memory": str(size.objects_mb * 1024 * 1024)}
    if is_head:
        return params
    params |= {"num-gpus": str(size.gpus), "memory": str(size.memory_mb * 1024 * 1024)}
    if size.custom:
        # It goes through a shell and is read by the autoscaler: both expect a text in double quotes.
        params["resources"] = json.dumps(json.dumps(dict(size.custom)))
    return params


def _pod(name: str, size: PodSize, needs: PodNeeds, options: KubeOptions, marks: Marks) -> dict[str, Any]:
    spec: dict[str, Any] = {"restartPolicy": "Never", "containers": [_container(name, size, needs, options, marks)]}
    spec["volumes"] = _volumes(size, needs, options)
    account = needs.service_account or options.service_account
    pull_secrets = _both(options.image_pull_secrets, needs.image_pull_secrets)
    selector = {**options.node_selector, **needs.node_selector} if name == WORKER else dict(options.node_selector)
    tolerations = [dict(each) for each in needs.tolerations]
    if size.gpus:
        tolerations.insert(0, {"key": _gpu(needs), "operator": "Exists", "effect": "NoSchedule"})
    optional: dict[str, Any] = {
        "serviceAccountName": account,
        "imagePullSecrets": [{"name": each} for each in pull_secrets],
        "nodeSelector": selector,
        "tolerations": tolerations,
        "priorityClassName": options.priority_class,
    }
    spec |= {key: value for key, value in optional.items() if value}
    metadata = {"labels": {**options.labels, **needs.labels, **marks.labels}}
    annotations = {**options.annotations, **needs.annotations, **marks.annotations}
    return {"metadata": {**metadata, **({"annotations": annotations} if annotations else {})}, "spec": spec}


def _container(name: str, size: PodSize, needs: PodNeeds, options: KubeOptions, marks: Marks) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": needs.image or options.image or default_image(options.versions, has_gpus=size.gpus > 0),
        "resources": _resources(size, needs),
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in _mounts(needs, options).items()],
    }
    environ = dict(marks.environ)
    if needs.is_temp_tmpfs:
        environ |= {"TMPDIR": needs.tmpfs_path, "RAY_TMPDIR": "/tmp"}  # Ray's own sockets and logs stay where the head has them
    optional: dict[str, Any] = {
        "imagePullPolicy": needs.image_pull_policy,
        "env": [{"name": variable, "value": value} for variable, value in environ.items()],
        "envFrom": [{"secretRef": {"name": secret}} for secret in _both(options.secrets, needs.secrets)],
        "ports": [{"name": "step", "containerPort": needs.port}] if needs.port else None,
        "securityContext": dict(needs.security),
    }
    return container | {key: value for key, value in optional.items() if value}


def _resources(size: PodSize, needs: PodNeeds) -> dict[str, dict[str, str]]:
    """Memory is what was asked for and no more: beyond it lies what other pods of the node were promised."""
    requests = {
        "cpu": f"{round(size.cpus * 1000)}m" if size.cpus != int(size.cpus) else f"{int(size.cpus)}",
        "memory": f"{size.total_mb}Mi",
    }
    if needs.disk_mb:
        requests["ephemeral-storage"] = f"{needs.disk_mb}Mi"
    if size.gpus:
        requests[_gpu(needs)] = str(size.gpus)
    requests |= {name: str(amount) for name, amount in needs.extended.items()}
    limits = {name: amount for name, amount in requests.items() if not (name == "cpu" and needs.is_burstable)}
    return {"requests": requests, "limits": limits}


def _gpu(needs: PodNeeds) -> str:
    return f"{needs.gpu_vendor}.com/gpu"


def _claims(needs: PodNeeds, options: KubeOptions) -> dict[str, str]:
    return {**options.volumes, **needs.volumes}


def _volumes(size: PodSize, needs: PodNeeds, options: KubeOptions) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": _SHARED, "emptyDir": {"medium": "Memory", "sizeLimit": f"{size.shared_mb}Mi"}}]
    if needs.tmpfs_path:
        limit = {"sizeLimit": f"{needs.tmpfs_mb}Mi"} if needs.tmpfs_mb else {}
        volumes.append({"name": _TMPFS, "emptyDir": {"medium": "Memory", **limit}})
    for number, claim in enumerate(_claims(needs, options)):
        volumes.append({"name": f"{_CLAIM}-{number}", "persistentVolumeClaim": {"claimName": claim}})
    return volumes


def _mounts(needs: PodNeeds, options: KubeOptions) -> dict[str, str]:
    mounts = {_SHARED: "/dev/shm"}
    if needs.tmpfs_path:
        mounts[_TMPFS] = needs.tmpfs_path
    return mounts | {f"{_CLAIM}-{number}": path for number, path in enumerate(_claims(needs, options).values())}


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))
