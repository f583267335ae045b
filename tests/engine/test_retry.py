from __future__ import annotations

import pytest

from rayflow.engine import Catch, Fallback, GiveUp, RetryAfter, RetryNow, after_failure
from rayflow.model.records import Failure, FailureKind
from rayflow.model.spec import Catch as CatchSpec
from rayflow.model.spec import Retry, StepSpec

RAISED = Failure(FailureKind.EXCEPTION, "boom", type="builtins.ValueError")
DIED = Failure(FailureKind.DIED, "killed by signal 9", exit_code=-9)
LOST = Failure(FailureKind.LOST, "the node went away")
NEVER = Failure(FailureKind.EXIT, "exit code 202", exit_code=202)
WRONG_NEXT = Failure(FailureKind.TRANSITION, "expected b")
SOFT_TIMEOUT = Failure(FailureKind.TIMEOUT, "timed out", type="rayflow.exception.TimeoutException")
HARD_TIMEOUT = Failure(FailureKind.TIMEOUT, "never returned")

TWICE = StepSpec(Retry(2))
CAUGHT = StepSpec(Retry(1), CatchSpec())


@pytest.mark.parametrize(
    ("spec", "attempt", "failure", "decision"),
    [
        (StepSpec(), 0, RAISED, GiveUp()),
        (TWICE, 0, RAISED, RetryNow()),
        (TWICE, 1, DIED, RetryNow()),
        (TWICE, 2, RAISED, GiveUp()),
        (TWICE, 0, NEVER, GiveUp()),
        (TWICE, 0, WRONG_NEXT, GiveUp()),
        (CAUGHT, 0, WRONG_NEXT, GiveUp()),
        (StepSpec(), 0, LOST, RetryNow()),
        (TWICE, 2, LOST, RetryNow()),
        (CAUGHT, 0, RAISED, RetryNow()),
        (CAUGHT, 1, RAISED, Catch()),
        (CAUGHT, 1, DIED, Fallback()),
        (CAUGHT, 1, SOFT_TIMEOUT, Catch()),
        (CAUGHT, 1, HARD_TIMEOUT, Fallback()),
        (StepSpec(Retry(1, 30.0)), 0, RAISED, RetryNow()),
        (StepSpec(Retry(1, 30.0, delay_is_stated=True)), 0, RAISED, RetryAfter(30.0)),
        (StepSpec(Retry(1, 0.0, delay_is_stated=True)), 0, RAISED, RetryNow()),
    ],
)
def test_what_follows_a_failure(spec: StepSpec, attempt: int, failure: Failure, decision: object) -> None:
    assert after_failure(spec, attempt, failure) == decision
