"""What `@catch(var=...)` and `task.exception` give: an exception as text, readable wherever its class is not."""

from __future__ import annotations

from dataclasses import dataclass

from rayflow.model.records import Failure

FALLBACK_TYPE = "rayflow.exception.FailureHandledByCatch"


@dataclass(frozen=True)
class CaughtException:
    """`exception` is the text of the exception, `type` its class as "module.Class", `stacktrace` the traceback's text."""

    exception: str
    type: str
    stacktrace: str = ""

    def __str__(self) -> str:
        return self.stacktrace or f"[no stacktrace]\n{self.type}: {self.exception}"

    @staticmethod
    def of(failure: Failure) -> CaughtException:
        """The exception that a failure records; a death is a `FailureHandledByCatch`."""
        return CaughtException(failure.message, failure.type or FALLBACK_TYPE, failure.traceback)
