"""Performs batches in this process, one after another, when polled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from rayflow.executors.entry import Entry
from rayflow.model.ports import Capabilities, Work
from rayflow.model.reports import Report
from rayflow.model.spec import Resources


class InlineExecutor:
    """For unit tests and the debugger. A task that kills its process kills this one; `@resources` are not enforced."""

    capabilities = Capabilities(can_kill=False, can_isolate=False, can_fan_out=False)

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._waiting: deque[Work] = deque()
        self._running: Iterator[Sequence[Report]] | None = None
        self._running_id = -1
        self._cancelled: set[int] = set()

    def submit(self, work: Work) -> None:
        self._waiting.append(work)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """The next reports of the batch in progress; user code runs inside this call, however long it takes."""
        if self._running is None:
            if not self._waiting:
                return ()
            work = self._waiting.popleft()
            self._running_id = work.batch.id
            self._running = self._entry(work, self._is_cancelled)
        reports = next(self._running, None)
        if reports is None:
            self._running = None
            return self.poll(timeout_s)
        return reports

    def _is_cancelled(self) -> bool:
        return self._running_id in self._cancelled

    def cancel(self, batch_id: int, *, is_hard: bool) -> None:
        self._cancelled.add(batch_id)

    def slots(self, resources: Resources) -> int:
        return 1

    def close(self) -> None:
        self._waiting.clear()
        self._running = None
