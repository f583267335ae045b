"""KubeRay as a Platform: a run's driver is a RayJob's entrypoint."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, cast

from rayflow.model.errors import ClusterFault, UserError
from rayflow.submission.job import DriverJob, JobState, JobStatus
from rayflow.submission.kuberay.api import Exists, Missing, RayJobApi
from rayflow.submission.kuberay.manifest import ray_job
from rayflow.submission.kuberay.names import PREFIX, object_name
from rayflow.submission.kuberay.options import KubeOptions
from rayflow.submission.kuberay.rules import check
from rayflow.submission.kuberay.states import state_of

_GONE_WITHIN_S, _LOOK_S = 90.0, 0.5
"""The operator stops a job before its object goes."""
_SUBMITTER = "ray-job-submitter"
"""What the operator calls the container that submits the driver, and prints what that prints."""
_LINES = 200
_PER_SUBMISSION = ("ray_version", "python_version", "rayflow_version")


@dataclass(frozen=True)
class KubeRay:
    """RayJobs of one namespace. Nothing is asked of the API server before the first question that needs it."""

    options: KubeOptions

    @staticmethod
    def of(facts: Mapping[str, Any]) -> KubeRay:
        """The one that a run has noted."""
        return KubeRay(noted_options(facts))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Where, and all that was said: a resume says the same again."""
        usual = KubeOptions()
        named = [field.name for field in fields(KubeOptions) if field.name not in _PER_SUBMISSION]
        said = {name: _plain(getattr(self.options, name)) for name in named if getattr(self.options, name) != getattr(usual, name)}
        context, namespace = self._api.access.context, self._api.namespace
        return {
            "on": "kuberay",
            "address": f"{context}/{namespace}".lstrip("/"),
            "options": {**said, "context": context, "namespace": namespace},
        }

    def check(self, job: DriverJob) -> None:
        manifest = self._manifest(job)
        try:
            self._api.create(manifest, is_trial=True)
        except Exists:
            self._refuse_other(manifest)

    def submit(self, job: DriverJob) -> None:
        manifest = self._manifest(job)
        try:
            self._api.create(manifest)
        except Exists:
            name = str(manifest["metadata"]["name"])
            known = self._refuse_other(manifest)
            if known is not None:
                if not state_of(known).status.is_over and not known["metadata"].get("deletionTimestamp"):
                    return
                self._remove(name)  # of an earlier driver of the same run
            self._api.create(manifest)

    def state(self, job_id: str) -> JobState:
        known = self._known(object_name(job_id))
        if known is None:
            return JobState(JobStatus.GONE)
        state = state_of(known)
        return state_of(known, self._pods(known)) if state.status is JobStatus.PENDING else state

    def stop(self, job_id: str) -> None:
        self._delete(object_name(job_id))

    def output(self, job_id: str) -> str:
        known = self._known(object_name(job_id))
        if known is None:
            return ""
        for pod in self._pods(known):
            if any(each.get("name") == _SUBMITTER for each in pod.get("spec", {}).get("containers", ())):
                return self._api.log(pod["metadata"]["name"], _SUBMITTER, _LINES)
        return ""

    @cached_property
    def _api(self) -> RayJobApi:
        return RayJobApi(self.options.context, self.options.namespace)

    def _manifest(self, job: DriverJob) -> dict[str, Any]:
        """The manifest, refused for what is wrong with it before anything is asked."""
        manifest = ray_job(job, self.options)
        check(manifest)
        manifest["metadata"]["namespace"] = self._api.namespace
        return manifest

    def _known(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._api.get(name)
        except Missing:
            return None

    def _refuse_other(self, ours: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The object of the manifest's name, as it is; UserError where it is not of this run on this root."""
        known = self._known(ours["metadata"]["name"])
        theirs = known["metadata"].get("annotations") or {} if known is not None else {}
        for what in ("run", "root"):
            key = f"{PREFIX}/{what}"
            if known is not None and theirs.get(key) != ours["metadata"]["annotations"][key]:
                raise UserError(
                    f"There is a RayJob {known['metadata']['name']} already, of another run ({what} {theirs.get(key) or 'unknown'}). "
                    "Give this run an id of its own with --run-id, or delete that one."
                )
        return known

    def _pods(self, job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Those of its cluster, and the submitter's; of K8sJobMode that is a Job of the same name."""
        run_id = job["metadata"].get("labels", {}).get(f"{PREFIX}/run-id")
        pods = self._api.pods(f"{PREFIX}/run-id={run_id}") if run_id else []
        return pods if _has_submitter(pods) else [*self._api.pods(f"job-name={job['metadata']['name']}"), *pods]

    def _remove(self, name: str) -> None:
        """Deletes the object, and waits until it is gone."""
        deadline = time.monotonic() + _GONE_WITHIN_S
        self._delete(name)
        while self._known(name) is not None:
            if time.monotonic() > deadline:
                raise ClusterFault(
                    f"The RayJob {name} of an earlier driver of this run was deleted, and is still there after {_GONE_WITHIN_S:.0f} s. "
                    f"See what holds it: kubectl -n {self._api.namespace} describe rayjob {name}"
                )
            time.sleep(_LOOK_S)

    def _delete(self, name: str) -> None:
        with contextlib.suppress(Missing):
            self._api.delete(name)


def noted_options(facts: Mapping[str, Any]) -> KubeOptions:
    """The options that a run has noted, with the versions here. What a later version noted beside them is left out."""
    known = {field.name for field in fields(KubeOptions)}
    noted: dict[str, Any] = dict(facts.get("options") or {})
    said: dict[str, Any] = {name: value for name, value in noted.items() if name in known and name not in _PER_SUBMISSION}
    listed: dict[str, Any] = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    return KubeOptions(**{**said, **listed})


def _plain(value: Any) -> Any:
    return list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else value


def _has_submitter(pods: list[Mapping[str, Any]]) -> bool:
    return any(each.get("name") == _SUBMITTER for pod in pods for each in pod.get("spec", {}).get("containers", ()))
