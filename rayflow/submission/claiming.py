"""Submitting: the run is recorded on its root, then a place is asked for its driver."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rayflow.catalog.index import note_end
from rayflow.catalog.ownership import last_epoch
from rayflow.catalog.reading import Ending, read_ending, write_ending
from rayflow.catalog.run import RunRecord
from rayflow.catalog.takeover import take_over
from rayflow.flow.definition import FlowDefinition
from rayflow.model.errors import RayflowException, RunFenced, StoreExists, StoreFault, UserError
from rayflow.model.ports import Store
from rayflow.model.records import Outcome
from rayflow.runtime.launch import Recorded
from rayflow.runtime.settings import Settings
from rayflow.submission.job import DriverJob, JobStatus, Platform

ANY_RUN = "0" * 16
"""Stands for the id of a run that has none yet: as long as those that are given out."""
_ENDING_S = 30.0
"""What a job gets to end after its driver has recorded the end of the run."""
_SECRET_WORDS = ("SECRET", "PASSWORD", "PASSWD", "TOKEN", "PRIVATE_KEY", "ACCESS_KEY", "API_KEY", "CREDENTIAL")


@dataclass(frozen=True)
class Request:
    """What is submitted: a flow, to a platform. `environ` is what `--env` names; `settings.platform` has the platform's facts."""

    definition: FlowDefinition
    settings: Settings
    platform: Platform
    environ: Mapping[str, str]

    def job(self, run_id: str) -> DriverJob:
        """The job that drives the run."""
        return DriverJob(
            root=self.settings.root,
            flow=self.definition.name,
            run_id=run_id,
            user=self.settings.user,
            specs=self.definition.specs,
            environ=self.environ,
            max_workers=self.settings.max_workers,
        )


@dataclass(frozen=True)
class Submitted:
    """A run that was submitted. `epoch`: its last driver before that; 0 where it never had one."""

    record: RunRecord
    epoch: int


def submit(request: Request, record: Callable[[], Recorded]) -> Submitted:
    """Checks, has `record` record the run, and submits it. What the platform refuses leaves no run behind; where it fails after that, the
    run is recorded as failed, so that nobody waits for it. Raises what the platform raises."""
    request.platform.check(request.job(request.settings.run_id or ANY_RUN))
    recorded = record()
    job = request.job(recorded.record.run_id)
    epoch = 0 if recorded.is_new else last_epoch(recorded.store, recorded.record.layout)
    if not recorded.is_new and read_ending(recorded.store, recorded.record.layout) is not None:
        _wait_until_over(request.platform, job.id)  # the job of the driver that recorded this end may not have ended itself
    try:
        request.platform.submit(job)
    except RayflowException as fault:
        if isinstance(fault, UserError) or not _has_arrived(request.platform, job.id):
            _note_failure(recorded.store, recorded.record, f"It could not be submitted. {fault}")
            raise
    return Submitted(recorded.record, epoch)


def _wait_until_over(platform: Platform, job_id: str) -> None:
    deadline = time.monotonic() + _ENDING_S
    with contextlib.suppress(RayflowException):
        while not platform.state(job_id).status.is_over and time.monotonic() < deadline:
            time.sleep(0.5)


def _has_arrived(platform: Platform, job_id: str) -> bool:
    """Whether the place has the job, although it seemed to refuse it: an answer may have been lost."""
    with contextlib.suppress(RayflowException):
        return platform.state(job_id).status in (JobStatus.PENDING, JobStatus.RUNNING)
    return False


def _note_failure(store: Store, record: RunRecord, why: str) -> None:
    with contextlib.suppress(StoreFault, StoreExists, RunFenced):
        epoch = take_over(store, record.layout).epoch
        write_ending(store, record.layout, Ending(Outcome.FAILED, why, time.time_ns() // 1000, epoch=epoch))
        note_end(store, record, Outcome.FAILED)


def named_environ(named: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """What `--env NAME[=VALUE]` says, by name. UserError for a name that is not set, and for what looks like a secret: anybody who may
    look at a job sees its environment."""
    found: dict[str, str] = {}
    for text in named:
        name, equals, value = text.partition("=")
        if not name.isidentifier():
            raise UserError(f"--env {text!r} names no variable. Give NAME, which is then taken from here, or NAME=VALUE.")
        if any(word in name.upper() for word in _SECRET_WORDS):
            raise UserError(
                f"--env {name} looks like a secret, and whoever may look at a job sees its environment. Let the place have it itself (an "
                "instance role, a service account, a Kubernetes secret), or read it in the step by @secrets."
            )
        if not equals and name not in environ:
            raise UserError(f"--env {name} names a variable that is not set here. Set it, or give --env {name}=VALUE.")
        found[name] = value if equals else environ[name]
    return found


def shared_root(url: str, *, is_shared: bool, reaches: str) -> None:
    """UserError where drivers and workers elsewhere could not reach the root. `reaches` says who would have to."""
    if url.startswith("memory://"):
        raise UserError("A memory:// root lives in one process, so that nothing can be submitted with it. Give a bucket as --root.")
    if "://" not in url and not is_shared:
        raise UserError(
            f"The root {url} is a directory of this machine, which {reaches} cannot reach. Give a bucket: --root s3://BUCKET/PATH. "
            "If all of them see that directory at the same place, say --shared-root."
        )


def absolute_root(url: str) -> str:
    """The root as other processes are told of it."""
    return url if "://" in url else os.path.abspath(url)
