"""Many transfers at once, their results in the order in which they were asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

OBJECTS_AT_ONCE = 32
PARTS_AT_ONCE = 8
"""Of all objects together: each part that is uploaded is in memory."""


class Crew:
    """The threads of one `S3`, started when there is something for more than one of them. Objects and parts of objects have threads of
    their own, since an object waits for its parts."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._objects: ThreadPoolExecutor | None = None
        self._parts: ThreadPoolExecutor | None = None

    def each(self, act: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """`[act(item) for item in items]`. Takes no more items than it can begin with; of several failures the first item's is raised, when
        nothing is underway any more."""
        if isinstance(items, list) and len(items) == 1:
            return [act(items[0])]
        self._notice_fork()
        if self._objects is None:
            self._objects = ThreadPoolExecutor(OBJECTS_AT_ONCE, "rayflow-s3")
        return _in_order(self._objects, act, items, OBJECTS_AT_ONCE)

    def together(self, acts: list[Callable[[], object]]) -> None:
        """Performs parts of an object."""
        if not acts:
            return
        self._notice_fork()
        if self._parts is None:
            self._parts = ThreadPoolExecutor(PARTS_AT_ONCE, "rayflow-s3-part")
        _in_order(self._parts, lambda act: act(), acts, PARTS_AT_ONCE)

    def _notice_fork(self) -> None:
        """Threads are not there in a forked child, however much their pools look so."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._objects = self._parts = None

    def close(self) -> None:
        """Ends the threads."""
        self._notice_fork()
        for pool in (self._objects, self._parts):
            if pool is not None:
                pool.shutdown()
        self._objects = self._parts = None


def _in_order(pool: ThreadPoolExecutor, act: Callable[[T], R], items: Iterable[T], most: int) -> list[R]:
    underway: deque[Future[R]] = deque()
    found: list[R] = []
    try:
        for item in items:
            if len(underway) == 2 * most:
                found.append(underway.popleft().result())
            underway.append(pool.submit(act, item))
        found += [future.result() for future in underway]
    except BaseException:
        for future in underway:
            future.cancel()
        wait(underway)
        raise
    return found
