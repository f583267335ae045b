"""What a user can say about a run on Kubernetes."""

from __future__ import annotations

import json
import posixpath
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.environments import check_environment, checked_requirements
from rayflow.submission.kuberay.images import Versions, checked_image, told_by
from rayflow.submission.kuberay.names import checked_key, checked_label, checked_label_value, checked_name
from rayflow.submission.kuberay.secrecy import refuse_secret

DEFAULT_MAX_PODS = 16
MODES = {"sidecar": "SidecarMode", "k8s-job": "K8sJobMode"}
AUTHS = ("token", "disabled")
_MAX_INT32 = 2**31 - 1


def _version_here() -> str:
    try:
        return version("rayflow")
    except PackageNotFoundError as error:  # a source tree on the path, never installed
        raise UserError("This rayflow is not installed, so that the cluster cannot install the same. Install it with pip.") from error


@dataclass(frozen=True)
class KubeOptions:
    """All that can be said of a RayJob. What no manifest may hold and no cluster would take is refused when this is made (UserError).

    `namespace` None: that of the kubeconfig's context, `context` None: its current one. `image` None: Ray's own, of the versions here.
    `install` are requirements that pip installs when the job starts; None: this rayflow, where the image is Ray's own, else nothing.
    `volumes` maps claims to the path where each is mounted in all pods, `secrets` are Secrets whose keys become variables.
    `max_pods` bounds each worker group; None: as many as `--max-workers` needs, else DEFAULT_MAX_PODS. `deadline_s` ends the run,
    `start_deadline_s` one whose cluster does not come up; its cluster is kept `ttl_s` after the end.
    `mode` says who submits the driver in the cluster: `sidecar`, a container beside the head, or `k8s-job`, a pod of its own.
    `python` is what Python is called in the images, `runtime_env` Ray's for all processes of the job; `is_root_shared` where a directory is
    seen by all pods without a claim. `pod_template` is merged over the pods (see `merging`).
    """

    namespace: str | None = None
    context: str | None = None
    image: str | None = None
    install: tuple[str, ...] | None = None
    service_account: str | None = None
    secrets: tuple[str, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict[str, str])
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    queue: str | None = None
    queue_priority: str | None = None
    priority_class: str | None = None
    max_pods: int | None = None
    head_cpus: float = 1
    head_memory_mb: int = 4096
    idle_timeout_s: int = 60
    deadline_s: int | None = None
    start_deadline_s: int = 1800
    ttl_s: int = 300
    mode: str = "sidecar"
    auth: str | None = None
    python: str = "python"
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_root_shared: bool = False
    pod_template: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ray_version: str = field(default_factory=lambda: version("ray"))
    python_version: str = field(default_factory=lambda: f"{sys.version_info.major}.{sys.version_info.minor}")
    rayflow_version: str = field(default_factory=_version_here)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_numbers(self)
        _check_texts(self)
        if self.image is not None:
            checked_image("The image", self.image, self.versions)
        if self.mode not in MODES:
            raise UserError(f"There is no submission mode {self.mode!r}. There are {' and '.join(MODES)}.")
        if self.auth is not None and self.auth not in AUTHS:
            raise UserError(f"There is no authentication of Ray called {self.auth!r}. There are {' and '.join(AUTHS)}.")

    @property
    def versions(self) -> Versions:
        """The Ray and the Python of whoever submits."""
        return Versions(self.ray_version, self.python_version)

    @property
    def cluster_ray(self) -> str:
        """The Ray that the cluster has: what the image's tag tells, else that of whoever submits."""
        return (told_by(self.image).ray if self.image else None) or self.ray_version

    @property
    def installed(self) -> tuple[str, ...]:
        """The requirements that pip installs when the job starts."""
        own = () if self.image else (f"rayflow=={self.rayflow_version}",)
        given = self.install or ()
        names_own = any(re.match(r"rayflow(?![A-Za-z0-9._-])", each) for each in given)
        return given if names_own else (*own, *given)


def _check_names(options: KubeOptions) -> None:
    if options.namespace is not None:
        checked_label("The namespace", options.namespace)
    if options.queue is not None:
        checked_name("The queue", options.queue)
    if options.queue_priority is not None:
        checked_name("The queue's priority class", options.queue_priority)
        if options.queue is None:
            raise UserError("A priority class of a queue means nothing without a queue. Give --queue, or --priority-class for the pods.")
    for what, name in (("The service account", options.service_account), ("The priority class", options.priority_class)):
        if name is not None:
            checked_name(what, name)
    for what, names in (("The secret", options.secrets), ("The image pull secret", options.image_pull_secrets)):
        for name in names:
            checked_name(what, name)
    checked_volumes("--volume", options.volumes)


def _check_numbers(options: KubeOptions) -> None:
    bounds: tuple[tuple[str, float | None, float, float], ...] = (
        ("The number of pods", options.max_pods, 1, _MAX_INT32),
        ("The head's CPUs", options.head_cpus, 0.1, 1024),
        ("The head's memory in MB", options.head_memory_mb, 1024, 16_777_216),
        ("The idle timeout in seconds", options.idle_timeout_s, 1, _MAX_INT32),
        ("The deadline in seconds", options.deadline_s, 1, _MAX_INT32),
        ("The deadline of the start in seconds", options.start_deadline_s, 1, _MAX_INT32),
        ("The time that a job is kept in seconds", options.ttl_s, 0, _MAX_INT32),
    )
    for what, number, lowest, highest in bounds:
        if number is not None and not lowest <= number <= highest:
            raise UserError(f"{what} is {number:g}. Give a number from {lowest:g} to {highest:g}.")


def _check_texts(options: KubeOptions) -> None:
    checked_labels("--label", options.labels)
    checked_annotations("--annotation", options.annotations)
    checked_selector("--node-selector", options.node_selector)
    checked_requirements("--install", options.install or ())
    check_environment(options.runtime_env)
    if not re.fullmatch(r"[A-Za-z0-9._/+-]+", options.python):
        raise UserError(f"--python {options.python!r} is no program that a pod could call. Give a name or a path, such as python3.")


def checked_labels(what: str, labels: Mapping[str, str]) -> Mapping[str, str]:
    """`labels`, when Kubernetes takes them and none is written by others; else UserError."""
    for key, value in labels.items():
        checked_label_value(f"{what} {checked_key(what, key)}", checked_text(what, key, value))
    return labels


def checked_annotations(what: str, annotations: Mapping[str, str]) -> Mapping[str, str]:
    """`annotations`, when Kubernetes takes them, none is written by others, and none tells a secret; else UserError."""
    for key, value in annotations.items():
        refuse_secret(f"{what} {checked_key(what, key)}", checked_text(what, key, value))
    if sum(len(key) + len(value.encode()) for key, value in annotations.items()) > 200_000:
        raise UserError(f"{what}: annotations may have 200 kB together, as Kubernetes keeps them with every pod.")
    return annotations


def checked_selector(what: str, selector: Mapping[str, str]) -> Mapping[str, str]:
    """`selector`, when it can be the labels of nodes; else UserError."""
    for key, value in selector.items():
        prefix, slash, name = key.rpartition("/")
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", name) or (slash and not re.fullmatch(r"[a-z0-9.-]+", prefix)):
            raise UserError(f"{what} {key!r} is no label of a node. Write it as pool=big or node.kubernetes.io/instance-type=m5.large.")
        checked_label_value(f"{what} {key}", checked_text(what, key, value))
    return selector


def checked_volumes(what: str, volumes: Mapping[str, str]) -> Mapping[str, str]:
    """`volumes`, claims and the absolute paths where they are mounted, none at a place of the system's or Ray's; else UserError."""
    taken: dict[str, str] = {}
    for claim, path in volumes.items():
        checked_name(f"{what}: the claim", claim)
        plain = posixpath.normpath(checked_text(what, claim, path))
        if (
            not path.startswith("/")
            or ":" in path
            or plain in ("/", "//")
            or plain in ("/tmp", "/dev", "/dev/shm", "/proc", "/sys", "/etc")
        ):
            raise UserError(f"{what} {claim} is to be mounted at {path!r}. Give an absolute path of its own, such as /data.")
        if plain in taken:
            raise UserError(f"{what}: {taken[plain]} and {claim} are both to be mounted at {plain}. Give each a path of its own.")
        taken[plain] = claim
    return volumes


def checked_text(what: str, key: str, value: object) -> str:
    """`value`, when it is a text; else UserError, which shows what it is."""
    if not isinstance(value, str):
        raise UserError(f"{what} {key} is {json.dumps(value, default=repr)}, which is no text. Write it in quotes.")
    return value
