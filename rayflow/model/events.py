"""Facts that the scheduler is told. Each is about a batch that it launched, or about the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rayflow.model.indexes import EMPTY, IndexSet, Lane
from rayflow.model.records import Failure, Segment


@dataclass(frozen=True, slots=True)
class Completed:
    """These tasks of batch `batch_id` are done, and committed: `segment` says which, where they went, what they opened.

    `spent_s` is what its worker spent on them and on all that it performed after them in one go, the slowest of them `slowest_s`.
    `unchanged` are those that stored and did, byte for byte, what they had before their data was damaged."""

    batch_id: int
    segment: Segment
    spent_s: float = 0.0
    slowest_s: float = 0.0
    unchanged: IndexSet = EMPTY


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """Attempt `attempt` of one task of the batch failed, and the worker did not retry it itself (no attempt left, or a
    delay is stated). The rest of the batch goes on. `lane`: where the task stands, None for the batch's own."""

    batch_id: int
    index: int
    attempt: int
    failure: Failure
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class BatchLost:
    """The worker of the batch is gone. `suspect` is the task it was performing, as far as known, of step `suspect_step` (None: the
    batch's own) at that lap; `is_exact` where the worker's own progress word names it. Tasks already reported stay done."""

    batch_id: int
    failure: Failure
    suspect: int | None = None
    suspect_attempt: int = 0
    is_exact: bool = False
    suspect_step: str | None = None
    suspect_lap: int = 0


@dataclass(frozen=True, slots=True)
class Offered:
    """The lone task of the batch is done and goes to `target` (None: to several steps, or none); its values can be had, and are being
    stored. `Completed` follows, or the loss of the batch."""

    batch_id: int
    target: str | None


@dataclass(frozen=True, slots=True)
class BatchFreed:
    """The worker of the batch is through with it: `count` tasks in `spent_s` seconds, the slowest in `slowest_s`. Their commit is under
    way, and told by other events; the slot is free for tasks that do not depend on them."""

    batch_id: int
    count: int = 0
    spent_s: float = 0.0
    slowest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """The batch is over. Tasks of it that no event named are handed back, to be launched again."""

    batch_id: int


@dataclass(frozen=True, slots=True)
class CapacityChanged:
    """How many tasks of each step fit the machine or cluster at once (steps not named: `default`), and how many
    batches may be in flight beyond that so that no slot waits for the driver."""

    default: int
    by_step: Mapping[str, int]
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user or the system asked to stop, by signal `signal_number`."""

    signal_number: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed: delayed retries may be due."""


Event = Completed | Offered | TaskFailed | BatchLost | BatchFreed | BatchEnded | CapacityChanged | Interrupted | Ticked
