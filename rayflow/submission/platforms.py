"""Platforms by name, as commands and the records of runs have them. Each is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayflow.model.errors import UserError
from rayflow.submission.job import Platform

PLATFORMS = ("ray", "kuberay")


def platform_of(facts: Mapping[str, Any]) -> Platform:
    """The platform that a run was submitted to, by what it noted of it (`Platform.facts`). UserError where this version knows no such."""
    match facts.get("on"):
        case "ray":
            from rayflow.submission.ray_jobs import RayJobs

            return RayJobs.of(facts)
        case "kuberay":
            from rayflow.submission.kuberay.platform import KubeRay

            return KubeRay.of(facts)
        case other:
            raise UserError(
                f"The run was submitted to {other!r}, which this version of rayflow does not know. Use the one that submitted it."
            )
