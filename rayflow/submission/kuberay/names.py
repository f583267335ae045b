"""What Kubernetes takes as names, labels and annotations."""

from __future__ import annotations

import hashlib
import re

from rayflow.model.errors import UserError

MAX_RAY_JOB = 47
MAX_RAY_CRON_JOB = 36
MAX_RAY_CLUSTER = 53
MAX_LABEL = 63
PREFIX = "rayflow.dev"
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_EXPRESSION = re.compile(r"\{\{[A-Za-z0-9_.\-' \[\]]+\}\}")


def is_dns_1035(name: str, longest: int = 63) -> bool:
    """Whether the name is lower-case letters, digits and '-', begins with a letter and does not end with '-'."""
    return len(name) <= longest and _DNS_1035.fullmatch(name) is not None


def is_expression(text: str) -> bool:
    """Whether the text is a scheduler's expression (`{{workflow.name}}`), which is something else when the job is made."""
    return _EXPRESSION.fullmatch(text) is not None


def object_name(job_id: str, longest: int = MAX_RAY_JOB) -> str:
    """The name of the object of that job: the id itself where Kubernetes takes it, else what is left of it and a digest. A scheduler's
    expression is left as it is: the scheduler answers for what it stands for."""
    prefix, _, run_id = job_id.partition("-")
    if is_expression(run_id) or is_dns_1035(job_id, longest):
        return job_id
    kept = re.sub(r"[^a-z0-9]+", "-", f"{prefix}-{run_id}".lower()).strip("-")
    return f"{kept[: longest - 9].rstrip('-')}-{_digest(job_id)}"


def label_value(text: str) -> str:
    """The text as the value of a label: itself where it can be, else what is left of it and a digest, so that different ones differ."""
    if is_expression(text) or (len(text) <= MAX_LABEL and _LABEL.fullmatch(text)):
        return text
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")
    return f"{kept[: MAX_LABEL - 9].rstrip('-_.')}-{_digest(text)}".lstrip("-")


def checked_name(what: str, name: str) -> str:
    """`name`, when an object of Kubernetes (a secret, a service account, a claim) can have it; else UserError."""
    if len(name) > 253 or not _DNS_1123.fullmatch(name):
        raise UserError(
            f"{what} {name!r} is no name that Kubernetes takes: lower-case letters, digits, '-' and '.', at most 253 characters."
        )
    return name


def checked_label(what: str, name: str) -> str:
    """`name`, when it has at most 63 lower-case letters, digits and '-', as a namespace or a queue has; else UserError."""
    if len(name) > MAX_LABEL or "." in name or not _DNS_1123.fullmatch(name):
        raise UserError(f"{what} {name!r} is no name that Kubernetes takes: lower-case letters, digits and '-', at most 63 characters.")
    return name


def checked_key(what: str, key: str) -> str:
    """`key`, when it can be the key of a label or an annotation of the user's; else UserError."""
    prefix, slash, name = key.rpartition("/")
    if (
        not name
        or len(name) > MAX_LABEL
        or not _LABEL.fullmatch(name)
        or (slash and (len(prefix) > 253 or not _DNS_1123.fullmatch(prefix)))
    ):
        raise UserError(
            f"{what} {key!r} is no key that Kubernetes takes: a name of at most 63 characters, with 'prefix.domain/' or without."
        )
    if is_reserved_key(key):
        raise UserError(f"{what} {key!r} cannot be given: those of {prefix} are written by rayflow, Kueue or the operator.")
    return key


def is_reserved_key(key: str) -> bool:
    """Whether a label or an annotation of that key is written by rayflow, Kueue, Ray's operator or Kubernetes itself."""
    prefix = key.rpartition("/")[0]
    reserved = (PREFIX, "ray.io", "kueue.x-k8s.io", "kubernetes.io", "k8s.io")
    return any(prefix == each or prefix.endswith(f".{each}") for each in reserved)


def checked_label_value(what: str, value: str) -> str:
    """`value`, when it can be the value of a label; else UserError."""
    if len(value) > MAX_LABEL or not _LABEL.fullmatch(value):
        raise UserError(
            f"{what} has the value {value!r}, which no label can have: at most 63 letters, digits, '-', '_' and '.'. "
            "Free text goes into an annotation."
        )
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
