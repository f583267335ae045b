"""What the death of a process says about the task in it."""

from __future__ import annotations

import signal

from rayflow.executors.progress import Progress
from rayflow.model.commands import Batch
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import WorkerDied

HARD_TIMEOUT_EXIT = 124
"""Exit status of a worker that ended itself because a task ignored its `@timeout` (set by `rayflow.runtime.deadline`)."""


def death_of(batch: Batch, failure: Failure, word: Progress | None) -> WorkerDied:
    """The report of a batch whose worker is gone; `word` is what it was performing, as far as it said so. A lone task that nothing can
    follow in the same go is at fault in any case."""
    if word is None and len(batch.indices) == 1 and not batch.goes_on and failure.kind is not FailureKind.LOST:
        word = Progress(batch.indices[0], batch.attempt_of(batch.indices[0]))
    if word is None:
        return WorkerDied(batch.id, failure)
    return WorkerDied(batch.id, failure, word.index, word.attempt, is_exact=True, suspect_step=word.step, suspect_lap=word.lap)


def failure_of_exit(code: int | None) -> Failure:
    """The failure that stands for a worker process that ended with `code` (negative: the signal; None: unknown)."""
    if code is None:
        return Failure(FailureKind.DIED, "The process that performed it is gone.")
    if code >= 0:
        return Failure(FailureKind.DIED, f"Its process ended with exit code {code} before the step was over.", exit_code=code)
    if -code == signal.SIGSEGV:
        return Failure(FailureKind.DIED, "Its process ended by a segmentation fault (SIGSEGV).", exit_code=code)
    if -code == signal.SIGKILL:
        message = "Its process was killed (SIGKILL): by someone, or by the system when memory ran out."
        return Failure(FailureKind.DIED, message, exit_code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Failure(FailureKind.DIED, f"Its process ended by {name}.", exit_code=code)
