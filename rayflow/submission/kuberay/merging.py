"""A user's pod template, merged over the pods of a run: the way to say what has no option.

Mappings are merged key by key and the template's values win; null takes a key away. Lists whose entries have a name (containers, variables,
volumes, mounts by their path) are merged by it; tolerations and the like are added; any other list is replaced. The template's container
`ray` is Ray's own, in the head and the workers; `ray-head` and `ray-worker` are that of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.names import is_reserved_key
from rayflow.submission.kuberay.pods import HEAD, WORKER
from rayflow.submission.kuberay.secrecy import checked_variables

_NAMED_BY = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "resourceClaims": "name",
    "readinessGates": "conditionType",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
}
_ADDED = ("tolerations", "envFrom")
_EVERY = "ray"
_PARTS = ("head", "workers")
_TEMPLATE = ("metadata", "spec", "apiVersion", "kind")
_OF_RAY = {
    "command": "the operator writes how Ray is started",
    "args": "the operator writes how Ray is started",
    "image": "say --image, or @kubernetes(image=...) of a step",
    "resources": "say @resources or @kubernetes of a step, --head-cpu, --head-memory",
    "livenessProbe": "the operator writes how Ray is watched",
    "readinessProbe": "the operator writes how Ray is watched",
}


def merged(pod: Mapping[str, Any], template: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The pod with what the template says over it; `name` is that of Ray's container in it. UserError for what may not be said."""
    said = _part(template, name)
    if not said:
        return dict(pod)
    _check(said, pod, name)
    spec = dict(_mapping("spec", said.get("spec")))
    if "containers" in spec:
        spec["containers"] = _containers(spec["containers"], name)
    return _over(dict(pod), {"metadata": _mapping("metadata", said.get("metadata")), "spec": spec}, "")


def _part(template: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the template says of this pod: all of it, or its part `head` or `workers`."""
    said, part = template, ""
    if any(key in template for key in _PARTS):
        part = "head" if name == HEAD else "workers"
        said = _mapping(part, template.get(part))
    unknown = [str(key) for key in template if part and key not in _PARTS] or [str(key) for key in said if key not in _TEMPLATE]
    if unknown:
        raise UserError(
            f"The pod template has {unknown[0]!r}, which is no part of one. Give 'metadata' and 'spec' of a pod, or 'head' "
            "and 'workers' with such parts each."
        )
    return said


def _check(said: Mapping[str, Any], pod: Mapping[str, Any], name: str) -> None:
    metadata, spec = _mapping("metadata", said.get("metadata")), _mapping("spec", said.get("spec"))
    for key in metadata:
        if key not in ("labels", "annotations"):
            raise _refused(f"metadata.{key}", "the operator names the pods: give labels and annotations only")
        for each in _mapping(f"metadata.{key}", metadata[key]):
            if is_reserved_key(each) and each not in ("cluster-autoscaler.kubernetes.io/safe-to-evict",):
                raise _refused(f"metadata.{key} {each!r}", "those are written by rayflow, Kueue or the operator")
    if spec.get("restartPolicy", "Never") != "Never":
        raise _refused("spec.restartPolicy", "a pod of Ray that died is replaced by the operator, never started again")
    if "ephemeralContainers" in spec:
        raise _refused("spec.ephemeralContainers", "Kubernetes takes them for pods that run, never in a template")
    ours = pod["spec"]["containers"][0]
    _check_entries(spec.get("volumes"), "volumes", "name", {each["name"] for each in pod["spec"]["volumes"]})
    for container in [*_entries(spec.get("containers"), "containers"), *_entries(spec.get("initContainers"), "initContainers")]:
        where = f"container {container.get('name')!r}"
        _check_variables(where, container)
        if container.get("name") not in (_EVERY, HEAD, WORKER):
            continue
        for key, why in _OF_RAY.items():
            if key in container:
                raise _refused(f"{where}: {key}", why)
        if container["name"] in (_EVERY, name):
            _check_entries(container.get("volumeMounts"), "volumeMounts", "mountPath", {each["mountPath"] for each in ours["volumeMounts"]})
            _check_entries(container.get("env"), "env", "name", {each["name"] for each in ours.get("env", ())})


def _check_variables(where: str, container: Mapping[str, Any]) -> None:
    for variable in _entries(container.get("env"), "env"):
        if "value" in variable:
            checked_variables(f"The pod template's {where}", {str(variable.get("name")): str(variable["value"])})
        if str(variable.get("name")).startswith(("RAY_ADDRESS", "RAY_JOB")):
            raise _refused(f"{where}: the variable {variable['name']}", "rayflow and Ray write it")


def _check_entries(given: object, key: str, by: str, taken: set[str]) -> None:
    for entry in _entries(given, key):
        if any(entry.get(by) == each for each in taken):
            raise _refused(
                f"{key} {entry[by]!r}", "rayflow writes that entry: give yours another name or path, or leave out the option for it"
            )


def _containers(given: object, name: str) -> list[dict[str, Any]]:
    """The template's containers for this pod: those of Ray that are not its own are left out, and its own has its name."""
    other = WORKER if name == HEAD else HEAD
    return [
        {**each, "name": name} if each.get("name") == _EVERY else dict(each)
        for each in _entries(given, "containers")
        if each.get("name") != other
    ]


def _over(base: dict[str, Any], said: Mapping[str, Any], key: str) -> dict[str, Any]:
    result = dict(base)
    for name, value in said.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            known = result.get(name)
            result[name] = _over(dict(cast(dict[str, Any], known)) if isinstance(known, dict) else {}, cast(Mapping[str, Any], value), name)
        elif isinstance(value, list) and isinstance(result.get(name), list):
            result[name] = _lists(cast(list[Any], result[name]), cast(list[Any], value), name)
        else:
            result[name] = value
    return result


def _lists(base: list[Any], said: list[Any], key: str) -> list[Any]:
    if key in _ADDED:
        return [*base, *(each for each in said if each not in base)]
    by = _NAMED_BY.get(key)
    if by is None:
        return said
    result = list(base)
    for entry in _entries(said, key):
        at = next((at for at, each in enumerate(result) if each.get(by) == entry.get(by)), None)
        if at is None:
            result.append(dict(entry))
        else:
            result[at] = _over(result[at], entry, key)
    return result


def _entries(given: object, key: str) -> list[Mapping[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in cast(list[Any], given)):
        raise UserError(f"The pod template's {key} is no list of mappings. Write each entry below the other, beginning with '- name: ...'.")
    return cast(list[Mapping[str, Any]], given)


def _mapping(key: str, given: object) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError(f"The pod template's {key} is no mapping, but {given!r}.")
    return cast(Mapping[str, Any], given)


def _refused(what: str, why: str) -> UserError:
    return UserError(f"The pod template may not say {what}: {why}.")
