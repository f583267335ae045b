"""What the death of a process says about the task in it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from rayflow.executors.progress import Progress
from rayflow.model.commands import Batch
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import WorkerDied

HARD_TIMEOUT_EXIT = 124
"""Exit status of a worker that ended itself because a task ignored its `@timeout` (set by `rayflow.runtime.deadline`)."""


def death_of(batch: Batch, failure: Failure, word: Progress | None, peak_nbytes: int = 0) -> WorkerDied:
    """The report of a batch whose worker is gone; `word` is what it was performing, as far as it said so. A lone task that nothing can
    follow in the same go is at fault in any case."""
    if word is None and len(batch.indices) == 1 and not batch.goes_on and failure.kind is not FailureKind.LOST:
        word = Progress(batch.indices[0], batch.attempt_of(batch.indices[0]))
    if word is None:
        return WorkerDied(batch.id, failure, peak_nbytes=peak_nbytes)
    suspect = {"suspect_step": word.step, "suspect_lap": word.lap, "peak_nbytes": peak_nbytes}
    return WorkerDied(batch.id, failure, word.index, word.attempt, is_exact=True, **suspect)


def failure_of_exit(code: int | None, *, was_memory_out: bool = False) -> Failure:
    """The failure that stands for a worker process that ended with `code` (negative: the signal; None: unknown). `was_memory_out`: the
    system has killed processes for want of memory while it lived."""
    if code is None:
        return Failure(FailureKind.DIED, "The process that performed it is gone.")
    if code >= 0:
        return Failure(FailureKind.DIED, f"Its process ended with exit code {code} before the step was over.", exit_code=code)
    if -code == signal.SIGSEGV:
        return Failure(FailureKind.DIED, "Its process ended by a segmentation fault (SIGSEGV).", exit_code=code)
    if -code == signal.SIGKILL and was_memory_out:
        return Failure(FailureKind.OUT_OF_MEMORY, "It ran out of memory: the system killed its process.", exit_code=code)
    if -code == signal.SIGKILL:
        message = "Its process was killed (SIGKILL): by someone, or by the system when memory ran out."
        return Failure(FailureKind.DIED, message, exit_code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Failure(FailureKind.DIED, f"Its process ended by {name}.", exit_code=code)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory: in this process's cgroup, else here; 0 where nothing tells."""
    for path in _oom_counters():
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            counts = dict(line.split(maxsplit=1) for line in file)
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def _oom_counters() -> Iterator[str]:
    """The files which may tell, best first: cgroup v2, v1, the whole machine's."""
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, group = line.rstrip("\n").split(":", 2)
            if not controllers:
                yield f"/sys/fs/cgroup{group}/memory.events"
            elif "memory" in controllers.split(","):
                yield f"/sys/fs/cgroup/memory{group}/memory.oom_control"
                yield "/sys/fs/cgroup/memory/memory.oom_control"  # inside a container whose view of cgroups is not its own
    yield "/sys/fs/cgroup/memory.events"
    yield "/proc/vmstat"
