"""A Ray cluster whose head serves the Jobs API: the driver runs on the head, and has its steps performed anywhere in the cluster.

The cluster needs Ray (with its dashboard: `ray[default]` on the head) and what rayflow depends on. rayflow itself is sent along, so that
both sides are of one version; once, since Ray keeps it by its content.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import platform
import re
import shlex
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from rayflow.model.errors import ClusterFault, UserError
from rayflow.submission.claiming import shared_root
from rayflow.submission.job import DriverJob, JobState, JobStatus

T = TypeVar("T")

_STOP_S = 20
"""What a driver gets to record its end. Ray's own limit is 3 s."""
_AGENT_PATIENCE_S = 30.0
"""A head that has just started answers for a while that it has no agent for jobs."""
_STATUSES = {
    "PENDING": JobStatus.PENDING,
    "RUNNING": JobStatus.RUNNING,
    "SUCCEEDED": JobStatus.SUCCEEDED,
    "FAILED": JobStatus.FAILED,
    "STOPPED": JobStatus.STOPPED,
}


@dataclass(frozen=True)
class RayOptions:
    """What can be said of a submission. `address` is the dashboard's (http://head:8265); `runtime_env` is Ray's, for all processes of the
    job; `python` what Python is called on the head; `is_root_shared` where the root is a directory that all nodes see."""

    address: str
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    python: str = "python"
    is_root_shared: bool = False
    sends_rayflow: bool = True


@dataclass(frozen=True)
class RayJobs:
    """The Jobs API at `options.address`, as a Platform. Connects when it is first asked."""

    options: RayOptions

    @staticmethod
    def of(facts: Mapping[str, Any]) -> RayJobs:
        """The one that a run has noted."""
        return RayJobs(RayOptions(facts["address"]))

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"on": "ray", "address": self.options.address}

    def check(self, job: DriverJob) -> None:
        here = _is_here(self.options.address)
        shared_root(job.root, is_shared=here or self.options.is_root_shared, reaches="the cluster")
        facts = self._answered(lambda client: client._do_request("GET", "/api/v0/cluster_metadata").json())
        theirs = facts.get("data", {}) if isinstance(facts, dict) else {}
        _refuse_other_versions(theirs.get("rayVersion") or self._client.get_version(), theirs.get("pythonVersion"))

    def submit(self, job: DriverJob) -> None:
        status = self.state(job.id).status
        if status in (JobStatus.PENDING, JobStatus.RUNNING):
            return
        if status is not JobStatus.GONE:  # of an earlier driver of the same run
            self._answered(lambda client: client.delete_job(job.id))
        line = shlex.join([self.options.python, *job.words[1:]])
        metadata = {"rayflow.run": f"{job.flow}/{job.run_id}", "rayflow.user": job.user, "rayflow.root": job.root}
        deadline = time.monotonic() + _AGENT_PATIENCE_S
        while True:
            try:
                self._answered(
                    lambda client: client.submit_job(
                        entrypoint=line, submission_id=job.id, runtime_env=self._runtime_env(job), metadata=metadata
                    )
                )
            except ClusterFault as fault:
                if "No available agent" not in str(fault) or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
            else:
                return

    def _runtime_env(self, job: DriverJob) -> dict[str, Any]:
        asked = dict(self.options.runtime_env)
        own = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_S), "RAYFLOW_USER": job.user}
        if self.options.sends_rayflow:
            asked["py_modules"] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *asked.get("py_modules", ())]
        return {**asked, "env_vars": {**own, **asked.get("env_vars", {}), **job.environ}}

    def state(self, job_id: str) -> JobState:
        try:
            details = self._answered(lambda client: client.get_job_info(job_id))
        except ClusterFault as fault:
            if "does not exist" in str(fault):
                return JobState(JobStatus.GONE)
            raise
        status = _STATUSES.get(str(getattr(details.status, "value", details.status)), JobStatus.PENDING)
        return JobState(status, str(details.message or "").strip())

    def stop(self, job_id: str) -> None:
        if not self.state(job_id).status.is_over:
            self._answered(lambda client: client.stop_job(job_id))

    def output(self, job_id: str) -> str:
        return str(self._answered(lambda client: client.get_job_logs(job_id)))

    @cached_property
    def _client(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        from rayflow.executors.connecting import show_token

        show_token()
        with _quiet():
            return JobSubmissionClient(self.options.address)

    def _answered(self, ask: Callable[[Any], T]) -> T:
        """What the API answers. ClusterFault where it does not, or refuses."""
        where = f"the Ray Jobs API at {self.options.address}"
        try:
            with _quiet():
                return ask(self._client)
        except Exception as fault:
            said = " ".join(str(fault).split())
            if "ray[default]" in said:
                raise UserError("Submitting to Ray needs more of Ray here: pip install 'rayflow[jobs]'.") from fault
            status = re.search(r"(?:status code|^) ?(\d{3})\b", said)
            if (status and status[1] in ("401", "403")) or "AuthenticationError" in type(fault).__name__:
                raise ClusterFault(
                    f"Access to {where} was refused. Give the cluster's token: RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH with a file's name."
                ) from fault
            if isinstance(fault, (ConnectionError, OSError)):  # those of requests are OSErrors
                raise ClusterFault(
                    f"Nobody answers for {where}. Check --address (the dashboard's, such as http://head:8265), and that the head was "
                    "started with its dashboard (pip install 'ray[default]')."
                ) from fault
            raise ClusterFault(f"Asked about a job, {where} answered: {said[:600]}") from fault


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Ray logs what its users need not know."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def checked_address(text: str | None) -> str:
    """The address of a dashboard as it was given, with its scheme. UserError where it is none."""
    if not text:
        raise UserError("Say which cluster: --address http://HEAD:8265 (its dashboard), or RAY_API_SERVER_ADDRESS.")
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    try:
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_right = False
    if not is_right:
        raise UserError(f"--address {text!r} is no address of a Ray dashboard. Give one such as http://HEAD:8265.")
    return url.rstrip("/")


def _is_here(address: str) -> bool:
    """Whether a cluster at this address is this machine."""
    host = urlsplit(address).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _refuse_other_versions(ray_version: str, python_version: str | None) -> None:
    """UserError where the cluster's Ray or Python is of another minor version: what is pickled here could not be read there."""
    import ray

    pairs = [("Ray", ray.__version__, ray_version), ("Python", platform.python_version(), python_version or platform.python_version())]
    for name, ours, theirs in pairs:
        if _minor(ours) != _minor(theirs):
            raise UserError(
                f"The cluster has {name} {theirs}, and here is {name} {ours}: what one pickles the other may not read. Submit from an "
                f"environment with {name} {_minor(theirs)}, or to a cluster with {name} {_minor(ours)}."
            )


def _minor(version: str) -> str:
    return ".".join(re.findall(r"\d+", version)[:2])
