"""What a run tells whoever watches it. Facts only: how they look is the Reporter's business, and nothing else prints.

The conductor calls `Reporter.tell(notice)` from the driver's main thread, in the order in which things became true; what says
that something is done is told after its commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rayflow.catalog.run import RunRecord
from rayflow.model.graph import Graph
from rayflow.model.indexes import TaskKey
from rayflow.model.records import Failure, Outcome


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run has its id. `origin` is the run that it continues; `is_reattached` where a new driver goes on with the same run."""

    record: RunRecord
    root: str
    origin: str | None = None
    is_reattached: bool = False


@dataclass(frozen=True, slots=True)
class TaskLabel:
    """How a task is shown: `<run>/<step>/<task>`, the process that performs it (0 while unknown), and its position in the enclosing
    foreaches ("[3]", "[3,0]", or "")."""

    run_id: str
    step: str
    task_id: str
    pid: int = 0
    where: str = ""

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step}/{self.task_id}"


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task of a step outside every fan-out, or of a fan-out of at most 32 splits, began."""

    label: TaskLabel
    attempt: int = 0
    is_fallback: bool = False


@dataclass(frozen=True, slots=True)
class TaskSaid:
    """A line of a task's output (without its newline), while it runs."""

    label: TaskLabel
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A task is done and committed. `is_caught` where `@catch` swallowed its exception."""

    label: TaskLabel
    seconds: float
    is_caught: bool = False
    splits: int | None = None


@dataclass(frozen=True, slots=True)
class TaskAttemptFailed:
    """An attempt of any task failed. `attempts_allowed` counts all attempts; `is_retried` where another follows. `peak_nbytes` is 0
    where unknown."""

    label: TaskLabel
    attempt: int
    attempts_allowed: int
    failure: Failure
    is_retried: bool
    seconds: float = 0.0
    peak_nbytes: int = 0
    node: str = ""


@dataclass(frozen=True, slots=True)
class FanoutOpened:
    """A foreach step fanned out to `splits` tasks of step `target`."""

    label: TaskLabel
    target: str
    splits: int


@dataclass(frozen=True, slots=True)
class StepsReused:
    """What a resume takes over: committed tasks by step, and why."""

    tasks: Mapping[str, int]
    origin: str


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where one step stands. `known` tasks are all that are known to be needed so far."""

    step: str
    known: int
    done: int
    reused: int
    running: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """Told about ten times a second while something happens: every step that has tasks, in the graph's order."""

    graph: Graph
    steps: tuple[StepProgress, ...]


@dataclass(frozen=True, slots=True)
class Included:
    """A file became a parameter's value."""

    path: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something is made before the run begins, which takes seconds: "the environment of step 'train'"."""

    what: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing happens, and why: "Ray is starting", "train[3] needs 8 CPU, the cluster has 4 free"."""

    why: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know, said once."""

    text: str


@dataclass(frozen=True, slots=True)
class Draining:
    """Nothing new starts; `running` batches are given up to `grace_s` seconds."""

    why: str
    running: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over. `failed` and `failure` name the first task that failed for good. `label` is that task's."""

    run_id: str
    outcome: Outcome
    seconds: float
    steps: tuple[StepProgress, ...]
    failed: TaskKey | None = None
    failure: Failure | None = None
    label: TaskLabel | None = None


Notice = (
    RunStarted
    | TaskStarted
    | TaskSaid
    | TaskDone
    | TaskAttemptFailed
    | FanoutOpened
    | StepsReused
    | Progressed
    | Included
    | Preparing
    | Waiting
    | Warned
    | Draining
    | RunEnded
)


class Reporter(Protocol):
    """Shows a run to its user."""

    def tell(self, notice: Notice) -> None: ...


class Silent:
    """A Reporter that shows nothing: for tests and programs."""

    def tell(self, notice: Notice) -> None:
        return None
