"""The operator's own rules, which it tells only in the status of an object that is there already: so they are checked before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.names import MAX_RAY_CLUSTER, MAX_RAY_CRON_JOB, MAX_RAY_JOB, is_dns_1035, is_expression
from rayflow.submission.kuberay.options import MODES
from rayflow.submission.kuberay.schema import schema_faults

_LONGEST = {"RayJob": MAX_RAY_JOB, "RayCronJob": MAX_RAY_CRON_JOB, "RayCluster": MAX_RAY_CLUSTER}
_TOKEN_SINCE = (2, 52)
_SHOWN = 10
_Json = Mapping[str, Any]


def check(manifest: _Json) -> None:
    """UserError, naming what is wrong and where, for a RayJob, RayCronJob or RayCluster that API server or operator would not take."""
    faults = schema_faults(manifest) or rule_faults(manifest)
    if not faults:
        return
    more = f"\n- and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    told = "\n".join(f"- {fault}" for fault in faults[:_SHOWN])
    raise UserError(
        f"This {manifest.get('kind')} would not be taken. Change the option, the decorator or the pod template behind it:\n{told}{more}"
    )


def rule_faults(manifest: _Json) -> list[str]:
    """What the operator's rules say against a manifest that has its schema; [] where nothing."""
    kind, spec = str(manifest["kind"]), _part(manifest, "spec")
    faults = _name_faults(kind, str(_part(manifest, "metadata").get("name", "")))
    if kind == "RayCronJob":
        return [*faults, *_cron_faults(spec), *_job_faults(_part(spec, "jobTemplate"), _part(manifest, "metadata"))]
    if kind == "RayJob":
        return [*faults, *_job_faults(spec, _part(manifest, "metadata"))]
    return [*faults, *_cluster_faults(spec, "spec")]


def _name_faults(kind: str, name: str) -> list[str]:
    longest = _LONGEST[kind]
    if is_expression(name.removeprefix("rayflow-")) or is_dns_1035(name, longest):
        return []
    return [
        f"metadata.name: {name!r} is no name of a {kind}: at most {longest} lower-case letters, digits and '-', beginning with a "
        "letter and not ending with '-'"
    ]


def _cron_faults(spec: _Json) -> list[str]:
    schedule = str(spec.get("schedule", ""))
    faults = (
        []
        if re.fullmatch(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly)|(\S+\s+){4}\S+", schedule)
        else [f"spec.schedule: {schedule!r} is no schedule: five fields, or @daily and the like"]
    )
    if re.search(r"\b(CRON_)?TZ=", schedule):
        faults.append("spec.schedule: it names a time zone, which spec.timeZone does")
    return faults


def _job_faults(spec: _Json, metadata: _Json) -> list[str]:
    cluster, selector = spec.get("rayClusterSpec"), spec.get("clusterSelector")
    mode = spec.get("submissionMode", "K8sJobMode")
    faults: list[str] = []
    known = (*MODES.values(), "HTTPMode", "InteractiveMode")
    if mode not in known:
        faults.append(f"spec.submissionMode: {mode!r} is none of {', '.join(known)}")
    if bool(cluster) == bool(selector):
        faults.append("spec: exactly one of rayClusterSpec and clusterSelector is given")
    if selector:
        faults += [
            f"spec.{key}: a job on a cluster that exists (clusterSelector) has none" for key in ("backoffLimit", "suspend") if spec.get(key)
        ]
        faults += ["spec.submissionMode: SidecarMode needs a cluster of its own, not clusterSelector"] if mode == "SidecarMode" else []
    if mode == "SidecarMode":
        faults += [f"spec.{key}: SidecarMode has none" for key in ("submitterPodTemplate", "submitterConfig") if spec.get(key)]
        faults += _restart_faults(_head(_part(spec, "rayClusterSpec")), "SidecarMode", "spec.rayClusterSpec.headGroupSpec")
    if mode != "InteractiveMode" and not str(spec.get("entrypoint", "")).strip():
        faults.append("spec.entrypoint: there is none")
    queue = "kueue.x-k8s.io/queue-name" in _part(metadata, "labels")
    if queue and spec.get("suspend") is not None:
        faults.append("spec.suspend: Kueue sets it, and nobody else")
    if queue and cluster and _part(spec, "rayClusterSpec").get("enableInTreeAutoscaling"):
        faults.append("spec.rayClusterSpec.enableInTreeAutoscaling: Kueue admits no job that scales itself")
    return [*faults, *_ending_faults(spec), *(_cluster_faults(_part(spec, "rayClusterSpec"), "spec.rayClusterSpec") if cluster else [])]


def _ending_faults(spec: _Json) -> list[str]:
    shuts_down, ttl = bool(spec.get("shutdownAfterJobFinishes")), int(spec.get("ttlSecondsAfterFinished", 0))
    faults = [f"spec.{key}: it is negative" for key in ("backoffLimit", "ttlSecondsAfterFinished") if int(spec.get(key, 0)) < 0]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and int(deadline) <= 0:
        faults.append("spec.activeDeadlineSeconds: it is not positive")
    if ttl > 0 and not shuts_down:
        faults.append("spec.ttlSecondsAfterFinished: it needs shutdownAfterJobFinishes")
    if spec.get("suspend") and not shuts_down:
        faults.append("spec.suspend: it needs shutdownAfterJobFinishes")
    if _part(spec, "deletionStrategy").get("deletionRules") and (shuts_down or ttl):
        faults.append("spec.deletionStrategy.deletionRules: shutdownAfterJobFinishes and ttlSecondsAfterFinished are not given beside them")
    return faults


def _cluster_faults(cluster: _Json, where: str) -> list[str]:
    head, groups = _head(cluster), cast(list[_Json], cluster.get("workerGroupSpecs") or [])
    faults = [] if _containers(head) else [f"{where}.headGroupSpec: its pod has no container"]
    named = [str(group.get("groupName", "")) for group in groups]
    faults += [
        f"{where}.workerGroupSpecs: there are two called {name!r}" for name in sorted({name for name in named if named.count(name) > 1})
    ]
    is_scaled = bool(cluster.get("enableInTreeAutoscaling"))
    is_second = is_scaled and _part(cluster, "autoscalerOptions").get("version") == "v2"
    if is_second:
        faults += _restart_faults(head, "autoscaler v2", f"{where}.headGroupSpec")
    for group, name in zip(groups, named, strict=True):
        at = f"{where}.workerGroupSpecs[{name}]"
        faults += [] if _containers(group) else [f"{at}: its pod has no container"]
        faults += [] if is_dns_1035(name) else [f"{at}: a group's name is of lower-case letters, digits and '-'"]
        least, most = int(group.get("minReplicas", 0)), int(group.get("maxReplicas", 2**31 - 1))
        if not 0 <= least <= most:
            faults.append(f"{at}: minReplicas {least} and maxReplicas {most} leave nothing between them")
        if is_second:
            faults += _restart_faults(group, "autoscaler v2", at)
        if is_scaled and group.get("suspend"):
            faults.append(f"{at}.suspend: a group that scales itself cannot be suspended")
    return [*faults, *_auth_faults(cluster, where)]


def _auth_faults(cluster: _Json, where: str) -> list[str]:
    version = re.match(r"(\d+)\.(\d+)", str(cluster.get("rayVersion", "")))
    if _part(cluster, "authOptions").get("mode") != "token":
        return []
    if version is None or (int(version[1]), int(version[2])) < _TOKEN_SINCE:
        return [f"{where}.authOptions: a token needs rayVersion 2.52 or later, and it is {cluster.get('rayVersion')!r}"]
    return []


def _restart_faults(group: _Json, why: str, where: str) -> list[str]:
    policy = _part(_part(group, "template"), "spec").get("restartPolicy", "Never")
    return [] if policy == "Never" else [f"{where}.template.spec.restartPolicy: {why} needs Never, and it is {policy}"]


def _head(cluster: _Json) -> _Json:
    return _part(cluster, "headGroupSpec")


def _containers(group: _Json) -> list[Any]:
    return _part(_part(group, "template"), "spec").get("containers") or []


def _part(whole: _Json, name: str) -> _Json:
    part = whole.get(name)
    return cast(_Json, part) if isinstance(part, Mapping) else {}
