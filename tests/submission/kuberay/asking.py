"""Jobs and options for tests: a plain one of each, and what changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import rayflow.flow.builtin  # noqa: F401 - the kinds that there are
from rayflow.flow.decorators import compile_spec, kind_of
from rayflow.model.graph import Node, NodeKind
from rayflow.model.spec import StepSpec
from rayflow.submission.job import DriverJob
from rayflow.submission.kuberay.manifest import ray_job
from rayflow.submission.kuberay.options import KubeOptions

PLAIN = DriverJob("s3://bucket/runs", "TrainFlow", "1790000000000001", "ada", {"start": StepSpec(), "end": StepSpec()})


def options(**said: Any) -> KubeOptions:
    """Options whose versions are fixed."""
    return KubeOptions(**{"ray_version": "2.60.0", "python_version": "3.11", "rayflow_version": "0.1.0", **said})


def spec(**decorators: Mapping[str, Any]) -> StepSpec:
    """The spec of a step with these decorators, compiled as those of a flow are."""
    found = tuple(kind_of(name).decorator(attributes) for name, attributes in decorators.items())
    return compile_spec(Node("train", NodeKind.LINEAR, 7, "flow.py"), found)


def job(steps: Mapping[str, StepSpec] | None = None, **changes: Any) -> DriverJob:
    """The plain job with these steps and changes."""
    return replace(PLAIN, **({} if steps is None else {"specs": steps}), **changes)


def made(steps: Mapping[str, StepSpec] | None = None, changes: Mapping[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    """The manifest of the plain job with these steps and changes, and options that say this."""
    return ray_job(job(steps, **(changes or {})), options(**said))


def cluster(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["rayClusterSpec"]


def groups(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in cluster(manifest)["workerGroupSpecs"]}


def pod(group: Mapping[str, Any]) -> dict[str, Any]:
    return group["template"]["spec"]


def container(group: Mapping[str, Any]) -> dict[str, Any]:
    return pod(group)["containers"][0]
