"""What is asked of a place that starts drivers, and what it answers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from rayflow.model.spec import StepSpec


@dataclass(frozen=True)
class DriverJob:
    """A driver to be started. The run that it drives is recorded under `root` already, unless `deployment` is given: then the run is made,
    under this id, of the deployment of that digest (`rayflow.submission.deployments`), and of the parameters that the place gives.

    `root` is what the place itself calls the root. `run_id` may be an expression of a scheduler. `environ` is what the driver finds
    in its environment besides what the place has; never a secret. `specs` tell what the steps need, `max_workers` how many tasks there are
    at once at most (None: as many as the place holds).
    """

    root: str
    flow: str
    run_id: str
    user: str
    specs: Mapping[str, StepSpec] = field(default_factory=dict[str, StepSpec])
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    max_workers: int | None = None
    deployment: str | None = None

    @property
    def id(self) -> str:
        """The name under which the place knows it: the same for the same run, so that asking twice starts one."""
        return job_id(self.run_id)

    @property
    def words(self) -> tuple[str, ...]:
        """The command that is the driver, word by word."""
        words = ("python", "-m", "rayflow", "drive", f"{self.flow}/{self.run_id}", "--root", self.root)
        return (*words, "--deployment", self.deployment) if self.deployment else words

    @property
    def command(self) -> str:
        """The same as a line for a shell."""
        return shlex.join(self.words)


def job_id(run_id: str) -> str:
    """The id of the job that drives the run."""
    return f"rayflow-{run_id}"


class JobStatus(Enum):
    """Where a job stands. GONE: the place knows none of that id, any more or yet."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    GONE = "gone"

    @property
    def is_over(self) -> bool:
        return self not in (JobStatus.PENDING, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobState:
    """What the place says of a job: where it stands, and why, in its own words ("" where it says nothing)."""

    status: JobStatus
    why: str = ""


class Platform(Protocol):
    """A place that starts drivers. Errors: UserError for what is asked for, ClusterFault for what the place does or fails to do."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a run notes of it (plain JSON, no secrets), so that `platforms.platform_of` finds it again. One is `on`, its kind."""
        ...

    def check(self, job: DriverJob) -> None:
        """Refuses what could not run there. Nothing is changed anywhere."""
        ...

    def submit(self, job: DriverJob) -> None:
        """Asks for the driver; nothing happens where it was asked for already."""
        ...

    def state(self, job_id: str) -> JobState:
        """Where the job stands."""
        ...

    def stop(self, job_id: str) -> None:
        """Ends the job, as far as it has not ended. The run stays resumable."""
        ...

    def output(self, job_id: str) -> str:
        """The last of what the driver itself printed; "" where the place does not tell."""
        ...
