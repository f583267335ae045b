"""What `@kubernetes` says of a step's pods, read into one noun. Each attribute is honoured, or refused by its name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.model.errors import UserError
from rayflow.model.spec import StepSpec
from rayflow.submission.kuberay.images import checked_image, refuse_other_ray
from rayflow.submission.kuberay.names import checked_name
from rayflow.submission.kuberay.options import (
    KubeOptions,
    checked_annotations,
    checked_labels,
    checked_selector,
    checked_text,
    checked_volumes,
)

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_VENDORS = ("nvidia", "amd")
_QOS = ("guaranteed", "burstable")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute", "")
_SECURITY = {
    "privileged": "privileged",
    "allow_privilege_escalation": "allowPrivilegeEscalation",
    "run_as_user": "runAsUser",
    "run_as_group": "runAsGroup",
    "run_as_non_root": "runAsNonRoot",
    "read_only_root_filesystem": "readOnlyRootFilesystem",
}
_REFUSED = {
    "compute_pool": "Pools of that kind do not exist here: say which nodes with node_selector={...}.",
    "executable": "Steps run by the Python of their image: say image=... of one that has another.",
    "hostname_resolution_timeout": "A gang is given out when all of its pods are there, and nothing waits for names: leave it out.",
}
_TMPFS_PATH = "/rayflow_temp"


@dataclass(frozen=True)
class PodNeeds:
    """What a step asks of its pods besides CPUs, GPUs and memory. Sizes are in MiB, None where nothing is asked; `tmpfs_path` is ""
    without one."""

    image: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str | None = None
    secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    volumes: Mapping[str, str] = field(default_factory=dict[str, str])
    gpu_vendor: str = "nvidia"
    extended: Mapping[str, int] = field(default_factory=dict[str, int])
    security: Mapping[str, Any] = field(default_factory=dict[str, Any])
    disk_mb: int | None = None
    shared_mb: int | None = None
    tmpfs_path: str = ""
    tmpfs_mb: int | None = None
    is_temp_tmpfs: bool = False
    port: int | None = None
    is_burstable: bool = False


def pod_needs(step: str, spec: StepSpec, options: KubeOptions) -> PodNeeds:
    """What the step's `@kubernetes`, and the disk and shared memory of its `@resources`, ask for. UserError for what no pod can have."""
    sizes = [each for each in spec.decorators if each.name in ("resources", "kubernetes")]
    disk, shared = (max((_size(step, each, name) or 0 for each in sizes), default=0) or None for name in ("disk", "shared_memory"))
    for decorator in spec.decorators:
        if decorator.name == "kubernetes":
            said = _Said(f"@kubernetes on step '{step}'", {k: v for k, v in decorator.attributes.items() if v is not None})
            return _read(said, options, disk, shared)
    return PodNeeds(disk_mb=disk, shared_mb=shared)


def _read(said: _Said, options: KubeOptions, disk: int | None, shared: int | None) -> PodNeeds:
    for name, why in _REFUSED.items():
        if name in said.values:
            raise UserError(f"{said.who} has {name}, which rayflow does not use. {why}")
    namespace = said.text("namespace")
    if namespace is not None and namespace != options.namespace:
        raise UserError(
            f"{said.who} asks for the namespace {namespace}, and the run is in {options.namespace or 'another'}: all pods of a run "
            f"are in one. Submit with --kube-namespace {namespace}, or leave it out."
        )
    image, account = said.text("image"), said.text("service_account")
    tmpfs_path, tmpfs_mb = _tmpfs(said)
    if image is not None:
        refuse_other_ray(f"{said.who}: the image", checked_image(f"{said.who}: the image", image, options.versions), options.cluster_ray)
    return PodNeeds(
        image=image,
        image_pull_policy=said.one_of("image_pull_policy", _PULL_POLICIES),
        image_pull_secrets=said.names("image_pull_secrets"),
        service_account=None if account is None else checked_name(f"{said.who}: the service account", account),
        secrets=said.names("secrets"),
        node_selector=checked_selector(f"{said.who}: node_selector", said.mapping("node_selector")),
        tolerations=said.tolerations(),
        labels=checked_labels(f"{said.who}: labels", said.mapping("labels")),
        annotations=checked_annotations(f"{said.who}: annotations", said.mapping("annotations")),
        volumes=checked_volumes(f"{said.who}: persistent_volume_claims", said.mapping("persistent_volume_claims")),
        gpu_vendor=said.one_of("gpu_vendor", _VENDORS) or "nvidia",
        extended=said.extended(),
        security=said.security(),
        disk_mb=disk,
        shared_mb=shared,
        tmpfs_path=tmpfs_path,
        tmpfs_mb=tmpfs_mb,
        is_temp_tmpfs=bool(tmpfs_path) and said.truth("tmpfs_tempdir", True),
        port=said.whole("port", 1, 65535),
        is_burstable=(said.one_of("qos", _QOS, fold=True) or "guaranteed") == "burstable",
    )


def _tmpfs(said: _Said) -> tuple[str, int | None]:
    size_mb, path = said.whole("tmpfs_size", 1, 16_777_216), said.text("tmpfs_path")
    if not said.truth("use_tmpfs", size_mb is not None):
        return "", None
    path = path or _TMPFS_PATH
    checked_volumes(f"{said.who}: tmpfs_path", {"tmpfs": path})
    return path, size_mb


def _size(step: str, decorator: Any, name: str) -> int | None:
    value = decorator.attributes.get(name)
    return None if value is None else _Said(f"@{decorator.name} on step '{step}'", {name: value}).whole(name, 1, 1_073_741_824)


@dataclass(frozen=True)
class _Said:
    """What one decorator says. Values come from Python, or as texts from `--with`: lists as `a,b`, mappings as `a=1,b=2`."""

    who: str
    values: Mapping[str, Any]

    def wrong(self, name: str, way_out: str) -> UserError:
        return UserError(f"{self.who} has {name}={self.values[name]!r}. {way_out}")

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not (isinstance(value, str) and value):
            raise self.wrong(name, "Give a text.")
        return value

    def one_of(self, name: str, choices: Iterable[str], *, fold: bool = False) -> str | None:
        value = self.text(name)
        value = value.lower() if fold and value is not None else value
        if value is not None and value not in choices:
            raise self.wrong(name, f"Give one of {', '.join(choices)}.")
        return value

    def truth(self, name: str, otherwise: bool) -> bool:
        value = self.values.get(name, otherwise)
        if not isinstance(value, bool):
            raise self.wrong(name, "Give True or False.")
        return value

    def whole(self, name: str, lowest: int, highest: int) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not lowest <= number <= highest or (name == "port" and number != int(number)):
            raise self.wrong(name, f"Give a number from {lowest} to {highest}.")
        return math.ceil(number)

    def names(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name, ())
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
            raise self.wrong(name, "Give a list of names.")
        return tuple(checked_name(f"{self.who}: {name}", part) for part in parts if isinstance(part, str))

    def mapping(self, name: str) -> dict[str, str]:
        value = self.values.get(name, {})
        if isinstance(value, str):
            pairs = [part.partition("=") for part in value.split(",")]
            if not all(equals and key.strip() for key, equals, _ in pairs):
                raise self.wrong(name, "Write it as key=value,key=value.")
            value = {key.strip(): text.strip() for key, _, text in pairs}
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.wrong(name, "Give a mapping of texts to texts.")
        return {str(key): checked_text(f"{self.who}: {name}", str(key), each) for key, each in value.items()}

    def extended(self) -> dict[str, int]:
        value = self.values.get("extended_resources", {})
        good = isinstance(value, Mapping) and all(
            isinstance(key, str) and "/" in key and str(amount).isdigit() and int(str(amount)) > 0 for key, amount in value.items()
        )
        if not good:
            raise self.wrong("extended_resources", "Give a mapping of domain/name to whole numbers, such as {'vendor.com/card': 1}.")
        return {str(key): int(str(amount)) for key, amount in dict(value).items()}

    def security(self) -> dict[str, Any]:
        value = self.values.get("security_context", {})
        if not isinstance(value, Mapping) or any(key not in _SECURITY for key in value):
            raise self.wrong("security_context", f"Give a mapping with some of {', '.join(_SECURITY)}.")
        for key, each in value.items():
            if not isinstance(each, int) or isinstance(each, bool) == (key in ("run_as_user", "run_as_group")):
                raise self.wrong("security_context", f"{key} cannot be {each!r}: ids are whole numbers, the others True or False.")
        return {_SECURITY[str(key)]: each for key, each in value.items()}

    def tolerations(self) -> tuple[Mapping[str, Any], ...]:
        value = self.values.get("tolerations", ())
        allowed = {"key", "operator", "value", "effect", "tolerationSeconds"}
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, Mapping) and allowed.issuperset(each) for each in value):
            raise self.wrong("tolerations", f"Give a list of mappings with some of {', '.join(sorted(allowed))}.")
        for each in value:
            if each.get("operator", "Equal") not in ("Equal", "Exists") or each.get("effect", "") not in _EFFECTS:
                raise self.wrong("tolerations", "operator is Equal or Exists; effect NoSchedule, PreferNoSchedule or NoExecute.")
        return tuple(dict(each) for each in value)
