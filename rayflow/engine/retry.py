"""What follows a failed attempt. One pure function, used by the worker in its own loop and by the scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from rayflow.model.records import Failure
from rayflow.model.spec import StepSpec

MAX_LOSSES = 5
"""How often one task may be lost, uncharged (node death, preemption, a batch whose culprit is unknown), before the run fails."""


@dataclass(frozen=True, slots=True)
class RetryNow:
    """The next attempt may start at once. Its number is `attempt + 1`; after an uncharged failure it stays `attempt`."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """As `RetryNow`, `delay_s` seconds from now: the flow states the delay, so the worker does not wait but hands over."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Catch:
    """No attempt is left, and `@catch` swallows the failure: the worker records the task as caught, with what it has."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """As `Catch`, but the process is gone with the attempt: one more attempt, without user code, records the task."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempt is left: the run fails."""


Decision = RetryNow | RetryAfter | Catch | Fallback | GiveUp


def after_failure(spec: StepSpec, attempt: int, failure: Failure) -> Decision:
    """What to do after attempt number `attempt` (from 0) failed. `1 + retry.times` attempts may be charged; then `@catch`.

    A failure that says "never retry" is not retried. `@catch` does not hide a wrong transition, since where the flow goes on
    is then unknown, nor exit code 202. Not promised: an end to uncharged losses; the scheduler counts them (`MAX_LOSSES`).
    """
    if not failure.is_charged:
        return RetryNow()
    if not failure.is_retryable:
        return GiveUp()
    if attempt < spec.retry.times:
        delay_s = spec.retry.delay_before(attempt + 1)
        return RetryAfter(delay_s) if delay_s > 0 else RetryNow()
    if spec.catch is None:
        return GiveUp()
    return Fallback() if failure.left_no_process else Catch()


def retry_why(spec: StepSpec, next_attempt: int, failure: Failure) -> str:
    """The reason of a retry, for people. The same for equal failures, so that their retries share a batch."""
    cause = failure.type.rpartition(".")[2] or failure.kind.value
    return f"retry {next_attempt} of {spec.retry.times} after {cause}"


def last_words(step: str, attempt: int) -> str:
    """Why the run fails, after attempt number `attempt` of a task of `step` was the last."""
    retries = f" and its {attempt} retries" if attempt > 1 else " and its retry" if attempt else ""
    return f"{step!r}{retries} failed"
