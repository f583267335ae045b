"""What Ray's errors say about a batch."""

from __future__ import annotations

import re

from rayflow.model.records import Failure, FailureKind

_KILLED_FOR_MEMORY = r"pid={pid}, actual memory used=([\d.]+)GB"


def failure_of(fault: Exception) -> Failure:
    """The failure of a batch whose stream ended with `fault`."""
    from ray import exceptions

    match fault:
        case exceptions.OutOfMemoryError():
            return Failure(FailureKind.OUT_OF_MEMORY, "It ran out of memory: Ray ended its process to protect the node.")
        case exceptions.NodeDiedError() | exceptions.ObjectLostError() | exceptions.ActorUnavailableError():
            return Failure(FailureKind.LOST, "The node that performed it was lost.")
        case exceptions.RuntimeEnvSetupError():
            return Failure(FailureKind.DIED, f"Its environment could not be set up: {fault}")
        case exceptions.TaskCancelledError():
            return Failure(FailureKind.DIED, "It was cancelled, and its process was killed.")
        case exceptions.WorkerCrashedError():
            return Failure(FailureKind.DIED, "Its process ended before the step was over.")
        case exceptions.RayTaskError():
            return Failure(FailureKind.DIED, f"The worker failed outside the step's code: {fault.cause!r}", traceback=str(fault))
        case _:
            return Failure(FailureKind.DIED, f"Ray lost it: {type(fault).__name__}: {fault}")


def peak_in(fault: Exception, pid: int) -> int:
    """The bytes that process `pid` held when Ray ended it for want of memory, as the error's text has it; 0 where it does not."""
    found = re.search(_KILLED_FOR_MEMORY.format(pid=pid), str(fault))
    return int(float(found[1]) * 2**30) if found else 0
