"""What the scheduler wants, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rayflow.model.indexes import IndexSet, Lane, TaskKey
from rayflow.model.records import Failure, Outcome, Segment


@dataclass(frozen=True)
class Batch:
    """Sibling tasks of one step, launched together and performed one after another; a lone task is a batch of one.

    `parent` is the step whose tasks led to these: for a join the split step that it closes, None for the start step.
    `attempts` holds the attempt number of the tasks that are not at their first. In a fallback (`fallback_for` given: the failure that
    used up the attempts) no user code runs: the task is recorded as caught. `goes_on`: once a task is done its worker performs what
    follows it, too, as far as that needs nothing else (`engine.chains`); so the batch grows into other lanes than its own.
    `after` is the batch on whose offer this one starts, ahead of that one's commit (`engine.speculation`); None for all others.
    `is_gang`: the tasks are the nodes of a gang. They start at once, each in a worker of its own, and are done together or not at all: what
    is told of one that failed is told of all.
    """

    id: int
    step: str
    indices: IndexSet
    lap: int = 0
    parent: str | None = None
    attempts: Mapping[int, int] = field(default_factory=dict[int, int])
    fallback_for: Failure | None = None
    goes_on: bool = False
    after: int | None = None
    is_gang: bool = False

    @property
    def lane(self) -> Lane:
        """Its own: that of the tasks which it was launched with."""
        return Lane(self.step, self.lap, self.parent)

    def attempt_of(self, index: int) -> int:
        return self.attempts.get(index, 0)


@dataclass(frozen=True, slots=True)
class Launch:
    batch: Batch
    why: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """Take over these committed tasks of the origin (`segment.run` names the owner of the bytes)."""

    segment: Segment
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a batch: softly after the task in progress, or (`is_hard`) at once, with its process."""

    batch_id: int
    is_hard: bool
    why: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop a batch that was launched ahead, at once, and forget all that it said: what it started from will not be committed."""

    batch_id: int
    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over. `failed` and `failure` name the first task that failed for good, where one did."""

    outcome: Outcome
    why: str
    failed: TaskKey | None = None
    failure: Failure | None = None


Command = Launch | Reuse | Cancel | Drop | Finish
