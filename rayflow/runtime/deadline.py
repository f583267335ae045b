"""`@timeout`: first an exception inside the step, then, for code that does not let it through, the end of its process.

The soft one is SIGALRM on the main thread, which raises between two bytecodes. C code that never returns, or holds the GIL, does not
see it: `faulthandler` then writes the user's line to the task's stderr and ends the process, which the driver reads.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from types import FrameType

from rayflow.model.errors import TimeoutException

HARD_AFTER_S = 5.0
"""How much later than the soft timeout the hard one comes."""


class Deadline:
    """Arms and disarms the timeout of one step. `can_end_process` is False where the process is the launcher's own."""

    def __init__(self, step: str, timeout_s: float, *, can_end_process: bool) -> None:
        self._step = step
        self._timeout_s = timeout_s
        self._can_end_process = can_end_process
        self._is_main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if self._is_main:
            self._before = signal.signal(signal.SIGALRM, self._expire)
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s)
        if self._can_end_process:
            faulthandler.dump_traceback_later(self._timeout_s + HARD_AFTER_S, exit=True, file=_stderr_descriptor())

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
        if self._can_end_process:
            faulthandler.cancel_dump_traceback_later()

    def _expire(self, number: int, frame: FrameType | None) -> None:
        raise TimeoutException(f"Step {self._step} timed out after {spelled(self._timeout_s)}.")


def spelled(seconds: float) -> str:
    """A duration as "H hours, M minutes, S seconds"."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} hours, {minutes} minutes, {rest:g} seconds"


def _stderr_descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return 2
