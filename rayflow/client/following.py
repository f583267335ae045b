"""What tasks print, as it arrives: each line once, however often it is looked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from rayflow.client.attempts import Attempt, attempt_of
from rayflow.client.logs import LogRange, log_of
from rayflow.client.tasks import Task

_RAY_S_OWN = b":task_name:"
"""Ray writes such a line between the batches of a worker."""


class Line(NamedTuple):
    """A line that a task wrote to "stdout" or "stderr". `moment` is naive and in UTC."""

    task: Task
    stream: str
    moment: datetime
    text: str


class LogFollower:
    """Reads on, task by task, from where the last look ended. Without `attempt` it begins with the latest attempt of each task, and goes on
    with those that follow."""

    def __init__(self, streams: Sequence[str], attempt: int | None = None) -> None:
        self._streams = streams
        self._number = attempt
        self._told: dict[tuple[str, str, str], int] = {}
        self._first: dict[str, int] = {}
        self._open: dict[tuple[str, str], tuple[Task, LogRange]] = {}
        self._over: set[str] = set()

    def read_new(self, tasks: Iterable[Task]) -> Iterator[Line]:
        """The whole lines that came since the last look; of attempts that are over also a last one without its newline."""
        for task in tasks:
            if task.pathspec in self._over:
                continue
            attempts = self._attempts(task)
            for stream in self._streams:
                for attempt in attempts:
                    yield from self._of_attempt(task, attempt, stream)
            if attempts and attempts[-1].is_done:
                self._over.add(task.pathspec)

    def read_rest(self) -> Iterator[Line]:
        """What is left of attempts of which nothing is recorded, once nobody writes any more: their driver died."""
        for (_, stream), (task, log) in list(self._open.items()):
            yield from self._of_log(task, log, stream, is_over=True)

    def _attempts(self, task: Task) -> list[Attempt]:
        """Those to be shown of a task, by number."""
        handle, key = task.handle, task.key
        if key is None:
            return []
        if self._number is not None:
            return [attempt_of(handle, key, self._number)]
        failed = handle.view.failed.get(key, []) if not task.record.is_parameters else []
        newest = attempt_of(handle, key)
        first = self._first.setdefault(task.pathspec, len(failed) - (0 if newest.is_done or newest.underway or not failed else 1))
        return [*(Attempt(handle, key, None, each.row, each.parent) for each in failed[first:]), newest]

    def _of_attempt(self, task: Task, attempt: Attempt, stream: str) -> Iterator[Line]:
        log = log_of(attempt, stream, time.time_ns() // 1000)
        if log is None:
            return
        place = (task.pathspec, stream)
        if log.end is None:
            self._open[place] = (task, log)
        elif place in self._open and self._open[place][1].name == log.name:
            del self._open[place]
        yield from self._of_log(task, log, stream, is_over=log.end is not None)

    def _of_log(self, task: Task, log: LogRange, stream: str, *, is_over: bool) -> Iterator[Line]:
        place = (task.pathspec, stream, log.name)
        begin = max(log.begin, self._told.get(place, 0))
        left = replace(log, begin=begin)
        content = left.read()
        if not is_over:
            content = content[: content.rfind(b"\n") + 1]
        self._told[place] = begin + len(content) if log.end is None else max(begin, log.end)
        for moment, line in left.lines_of(content):
            if not line.startswith(_RAY_S_OWN):
                yield Line(task, stream, moment, line.decode("utf-8", "replace"))
