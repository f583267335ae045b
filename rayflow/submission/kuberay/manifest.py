"""The RayJob of a run, as plain JSON. Pure: what is said makes the manifest, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from rayflow.model.errors import UserError
from rayflow.model.layout import safe_flow_name, safe_run_id
from rayflow.submission.job import DriverJob
from rayflow.submission.kuberay.environments import environment_yaml
from rayflow.submission.kuberay.groups import WorkerGroup, head_size, placements, worker_groups
from rayflow.submission.kuberay.merging import merged
from rayflow.submission.kuberay.names import PREFIX, is_expression, label_value, object_name
from rayflow.submission.kuberay.options import MODES, KubeOptions
from rayflow.submission.kuberay.pods import HEAD, WORKER, Marks, head_pod, start_params, worker_pod
from rayflow.submission.kuberay.secrecy import checked_variables, refuse_secret
from rayflow.submission.placing import NODE_KINDS, PATIENCE, PLACEMENTS

API_VERSION = "ray.io/v1"
_STOP_S = 20
"""What a driver gets to record its end. Ray's own limit is 3 s."""
_ROOT = re.compile(r"[A-Za-z0-9@%+=:,./_~-]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def ray_job(job: DriverJob, options: KubeOptions) -> dict[str, Any]:
    """The manifest. UserError for what cannot be asked for; the schema and the operator's rules are another matter (`rules.check`)."""
    _check(job, options)
    groups = worker_groups(job, options)
    labels, annotations = _labels(job), _annotations(job)
    metadata: dict[str, Any] = {"name": object_name(job.id)}
    if options.namespace is not None:
        metadata["namespace"] = options.namespace
    queue = {} if options.queue is None else {"kueue.x-k8s.io/queue-name": options.queue}
    if options.queue_priority is not None:
        queue["kueue.x-k8s.io/priority-class"] = options.queue_priority
    metadata |= {"labels": {**options.labels, **labels, **queue}, "annotations": {**options.annotations, **annotations}}
    return {"apiVersion": API_VERSION, "kind": "RayJob", "metadata": metadata, "spec": _spec(job, options, groups, labels)}


def rendered(manifest: Mapping[str, Any], form: str) -> str:
    """The manifest as a file, in `yaml` or `json`, with a newline at its end."""
    if form == "json":
        return json.dumps(manifest, indent=2) + "\n"
    return yaml.dump(dict(manifest), Dumper=_Plain, sort_keys=False, default_flow_style=False, width=1000, allow_unicode=True)


def _check_reach(job: DriverJob, options: KubeOptions) -> None:
    """UserError where the root is a directory that no pod has."""
    scheme = _SCHEME.match(job.root)
    if scheme is not None and scheme.group(1).lower() not in ("file", "local"):
        if scheme.group(1).lower() == "memory":
            raise UserError(f"The root {job.root} is in the memory of one process. Give one that pods reach: s3://bucket/path.")
        return
    path = job.root[scheme.end() :] if scheme else job.root
    for mount in options.volumes.values():
        if path == mount or path.startswith(mount.rstrip("/") + "/"):
            return
    if options.is_root_shared or _template_mounts(options.pod_template, path):
        return
    raise UserError(
        f"The root {job.root} is a directory of this machine, which no pod reaches. Give a bucket (--root s3://bucket/path), or mount the "
        "claim that carries it with --volume CLAIM:PATH. If all pods see it by themselves, say --shared-root."
    )


def _spec(job: DriverJob, options: KubeOptions, groups: tuple[WorkerGroup, ...], labels: Mapping[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "entrypoint": " ".join((options.python, *job.words[1:])),  # each was checked to be one word of a shell
        "jobId": job.id,
        "submissionMode": MODES[options.mode],
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": options.ttl_s,
        "backoffLimit": 0,
        "preRunningDeadlineSeconds": options.start_deadline_s,
    }
    if options.deadline_s is not None:
        spec["activeDeadlineSeconds"] = options.deadline_s
    environment = environment_yaml(options.runtime_env, options.installed)
    if environment:
        spec["runtimeEnvYAML"] = environment
    spec["rayClusterSpec"] = _cluster(options, groups, Marks(labels, _annotations(job), job.environ), job.user)
    return spec


def _cluster(options: KubeOptions, groups: tuple[WorkerGroup, ...], marks: Marks, user: str) -> dict[str, Any]:
    cluster: dict[str, Any] = {"rayVersion": options.cluster_ray}
    if options.auth is not None:
        cluster["authOptions"] = {"mode": options.auth}
    if options.queue is None:
        cluster["enableInTreeAutoscaling"] = True
        cluster["autoscalerOptions"] = {"version": "v2", "idleTimeoutSeconds": options.idle_timeout_s}
    asked = placements(groups)
    told = {"RAYFLOW_USER": user, "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_S), PATIENCE: str(options.start_deadline_s)}
    told[NODE_KINDS] = json.dumps([{**group.size.offers, "most": group.max_pods} for group in groups], sort_keys=True)
    if asked:
        told[PLACEMENTS] = json.dumps(asked, sort_keys=True)
    head = merged(head_pod(options, replace(marks, environ={**marks.environ, **told})), options.pod_template, HEAD)
    cluster["headGroupSpec"] = {"rayStartParams": start_params(head_size(options), is_head=True), "template": head}
    cluster["workerGroupSpecs"] = [_worker_group(group, options, marks) for group in groups]
    return cluster


def _worker_group(group: WorkerGroup, options: KubeOptions, marks: Marks) -> dict[str, Any]:
    at_first = 0 if options.queue is None else group.max_pods
    return {
        "groupName": group.name,
        "replicas": at_first,
        "minReplicas": at_first,
        "maxReplicas": group.max_pods,
        "rayStartParams": start_params(group.size, is_head=False),
        "template": merged(worker_pod(group, options, marks), options.pod_template, WORKER),
    }


def _labels(job: DriverJob) -> dict[str, str]:
    """Whose it is, for selectors. Two that are cut still differ."""
    told = {"flow": job.flow, "run-id": job.run_id, "user": job.user}
    return {f"{PREFIX}/{name}": label_value(text) for name, text in told.items() if text}


def _annotations(job: DriverJob) -> dict[str, str]:
    """The same in full, and the root: by these a job is known as one's own."""
    told = {"run": f"{job.flow}/{job.run_id}", "root": job.root, "user": job.user}
    return {f"{PREFIX}/{name}": text for name, text in told.items() if text}


def _check(job: DriverJob, options: KubeOptions) -> None:
    safe_flow_name(job.flow)
    if not (job.deployment is not None and is_expression(job.run_id)):
        safe_run_id(job.run_id)
    if job.max_workers is not None and job.max_workers < 1:
        raise UserError(f"There are to be {job.max_workers} tasks at once. Give a number from 1.")
    refuse_secret(f"The root {job.root.partition('://')[0]}://...", job.root)
    if not _ROOT.fullmatch(job.root):
        raise UserError(
            f"The root {job.root!r} cannot be said to a pod, where it passes through a shell: use letters, digits "
            "and @ % + = : , . / _ ~ - only."
        )
    if job.deployment is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", job.deployment):
        raise UserError(f"{job.deployment!r} is no digest of a deployment.")
    _check_reach(job, options)
    checked_variables("--env", job.environ)
    refuse_secret("The name of the user", job.user)
    for name in job.environ:
        if name.startswith(("RAY_ADDRESS", "RAY_JOB", "RAYFLOW_USER", PLACEMENTS, PATIENCE, NODE_KINDS)):
            raise UserError(f"--env {name} cannot be given: Ray and rayflow write it in the cluster.")


def _template_mounts(template: Mapping[str, Any], path: str) -> bool:
    """Whether the template mounts, in head and workers, a volume that holds the path."""
    parts = [template.get("head"), template.get("workers")] if "head" in template or "workers" in template else [template]
    return all(any(path == each or path.startswith(each.rstrip("/") + "/") for each in _mount_paths(part)) for part in parts)


def _mount_paths(template: Any) -> list[str]:
    """The paths in a template that was not checked yet."""
    spec = template.get("spec") if isinstance(template, Mapping) else None
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    listed = [each for each in containers if isinstance(each, Mapping)] if isinstance(containers, list) else []
    mounts = [mount for each in listed if str(each.get("name")).startswith("ray") for mount in each.get("volumeMounts") or ()]
    return [str(mount["mountPath"]) for mount in mounts if isinstance(mount, Mapping) and "mountPath" in mount]


class _Plain(yaml.SafeDumper):
    """Without anchors, which readers of manifests do not expect, and with texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _block)
