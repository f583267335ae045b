"""What is said of a run on Kubernetes: the options of `--on kuberay`, and the KubeOptions that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from rayflow.model.errors import UsageError, UserError

if TYPE_CHECKING:
    from rayflow.submission.kuberay.options import KubeOptions

FORMS = ("yaml", "json")
_MODES = ("sidecar", "k8s-job")
_AUTHS = ("token", "disabled")
_FIELDS = {
    "kube_namespace": "namespace",
    "kube_context": "context",
    "image": "image",
    "install": "install",
    "service_account": "service_account",
    "secret": "secrets",
    "image_pull_secret": "image_pull_secrets",
    "volume": "volumes",
    "node_selector": "node_selector",
    "label": "labels",
    "annotation": "annotations",
    "queue": "queue",
    "queue_priority": "queue_priority",
    "priority_class": "priority_class",
    "max_pods": "max_pods",
    "head_cpu": "head_cpus",
    "head_memory": "head_memory_mb",
    "idle_timeout": "idle_timeout_s",
    "deadline": "deadline_s",
    "start_deadline": "start_deadline_s",
    "ttl": "ttl_s",
    "submission_mode": "mode",
    "ray_auth": "auth",
    "pod_template": "pod_template",
}
"""The field of KubeOptions that each option states."""
_PAIRS = {"volume": ":", "node_selector": "=", "label": "=", "annotation": "="}
_ONLY_HERE = (*_FIELDS, "dry_run", "output")


def kube_options() -> list[click.Option]:
    """The options. None has a default: what is not stated is KubeOptions' own, or what the run that is resumed was submitted with."""
    return [*_of_the_place(), *_of_the_pods(), *_of_the_job()]


def _of_the_place() -> list[click.Option]:
    return [
        _option("--kube-context", "NAME", "kuberay: the context of the kubeconfig. Default: its current one, or that of the pod this is."),
        _option("--kube-namespace", "NAME", "kuberay: the namespace. Default: the context's."),
        click.Option(["--dry-run"], is_flag=True, help="kuberay: print the manifest and do nothing; all is checked that needs no cluster."),
        click.Option(["-o", "--output"], type=click.Choice(FORMS), help="kuberay: the form of --dry-run. Default: yaml."),
    ]


def _of_the_pods() -> list[click.Option]:
    return [
        _option("--image", "IMAGE", "kuberay: the image of all pods, with this Ray, this Python and rayflow. Default: Ray's own."),
        _option(
            "--install",
            "REQUIREMENT",
            "kuberay: what pip installs when the job starts (repeatable). Without --image: rayflow, too.",
            True,
        ),
        _option("--service-account", "NAME", "kuberay: the service account of all pods, such as one that may use the bucket."),
        _option("--secret", "NAME", "kuberay: a Secret whose keys become variables in all pods (repeatable).", True),
        _option("--image-pull-secret", "NAME", "kuberay: a Secret by which images are pulled (repeatable).", True),
        _option("--volume", "CLAIM:PATH", "kuberay: mount a persistent volume claim in all pods (repeatable).", True),
        _option("--node-selector", "LABEL=VALUE", "kuberay: use only nodes with this label (repeatable).", True),
        _option("--label", "KEY=VALUE", "kuberay: a label of the job and its pods (repeatable).", True),
        _option("--annotation", "KEY=TEXT", "kuberay: an annotation of the job and its pods (repeatable).", True),
        _option("--priority-class", "NAME", "kuberay: the priority class of all pods."),
        _option("--pod-template", "FILE", "kuberay: YAML of a pod template that is merged over all pods, or by 'head' and 'workers'."),
        click.Option(["--head-cpu"], type=float, metavar="N", help="kuberay: the CPUs of the head, which drives the run. Default: 1."),
        click.Option(["--head-memory"], type=int, metavar="MB", help="kuberay: the memory of the head. Default: 4096."),
    ]


def _of_the_job() -> list[click.Option]:
    return [
        _option("--queue", "NAME", "kuberay: the local queue of Kueue that admits the run. Its size is then fixed by --max-pods."),
        _option("--queue-priority", "NAME", "kuberay: Kueue's priority class of the run."),
        _number("--max-pods", "N", "kuberay: the most pods of each worker group. Default: as many as --max-workers needs, else 16."),
        _number("--idle-timeout", "SECONDS", "kuberay: how long a pod may be idle before it is given back. Default: 60."),
        _number("--deadline", "SECONDS", "kuberay: end the run after this time. Default: none."),
        _number("--start-deadline", "SECONDS", "kuberay: end it when it has not started within this time. Default: 1800."),
        _number("--ttl", "SECONDS", "kuberay: keep the pods this long after the end. Default: 300."),
        click.Option(
            ["--submission-mode"],
            type=click.Choice(_MODES),
            help="kuberay: who submits the driver: a container beside the head (sidecar, the default), or a pod of its own.",
        ),
        click.Option(["--ray-auth"], type=click.Choice(_AUTHS), help="kuberay: Ray's token authentication. Default: the operator's own."),
    ]


def kube_options_of(stated: Mapping[str, Any], noted: Mapping[str, Any] | None = None) -> KubeOptions:
    """The options as they are stated; what is not is as `noted` (the facts of the run that is resumed) has it, or the default.
    UsageError for texts that cannot be read, UserError for what cannot be asked for."""
    from dataclasses import replace

    from rayflow.submission.kuberay.options import KubeOptions
    from rayflow.submission.kuberay.platform import noted_options

    said = {_FIELDS[name]: _read(name, value) for name, value in stated.items() if name in _FIELDS and value not in (None, ())}
    if stated.get("python") not in (None, "python"):
        said["python"] = stated["python"]
    if stated.get("runtime_env"):
        said["runtime_env"] = stated["runtime_env"]
    if stated.get("shared_root"):
        said["is_root_shared"] = True
    options = replace(noted_options(noted) if noted else KubeOptions(), **said)
    if stated.get("environment") not in (None, "local") and options.installed:
        raise UserError(
            f"With --environment {stated['environment']} the Python of a step is made by the rayflow of the image, and what is installed "
            "when the job starts is not seen there. Give an --image that has rayflow and uv, and leave out --install."
        )
    return options


def refuse_kube_options(stated: Mapping[str, Any]) -> None:
    """UsageError where an option of `--on kuberay` is stated for another place."""
    for name in _ONLY_HERE:
        if stated.get(name) not in (None, (), False):
            raise UsageError(f"--{name.replace('_', '-')} is of --on kuberay. Say --on kuberay with it, or leave it out.")


def _read(name: str, value: Any) -> Any:
    if name in _PAIRS:
        return _pairs(f"--{name.replace('_', '-')}", _PAIRS[name], value)
    return _template(value) if name == "pod_template" else value


def _pairs(flag: str, separator: str, texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, given, value = text.partition(separator)
        if not given or not key:
            raise UsageError(f"{flag} {text!r} cannot be read. Write it as KEY{separator}VALUE.")
        if key in found:
            raise UsageError(f"{flag} gives {key!r} twice: {found[key]!r} and {value!r}. Leave one out.")
        found[key] = value
    return found


def _template(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.safe_load(file)
    except OSError as error:
        raise UsageError(f"--pod-template {path!r} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--pod-template {path!r} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not found:
        raise UsageError(f"--pod-template {path!r} holds no pod template. Write 'spec:' and below it what a pod has.")
    return {str(key): value for key, value in found.items()}


def _option(flag: str, metavar: str, text: str, is_repeatable: bool = False) -> click.Option:
    return click.Option([flag], metavar=metavar, multiple=is_repeatable, help=text)


def _number(flag: str, metavar: str, text: str) -> click.Option:
    return click.Option([flag], type=int, metavar=metavar, help=text)
