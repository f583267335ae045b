"""`parallel_map` and `profile`: what a step may use for work on the cores that it asked for."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, MutableMapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from rayflow.model.errors import MulticoreException, UserError

T = TypeVar("T")
R = TypeVar("R")

_functions: list[Callable[[Any], Any]] = []
"""What this process, a child of `parallel_map`, applies."""


def parallel_map(func: Callable[[T], R], iterable: Iterable[T], max_parallel: int | None = None, dir: str | None = None) -> list[R]:  # noqa: A002 - Metaflow's name
    """`[func(item) for item in iterable]` in processes that are forked from this one, as many as there are CPUs for it, or `max_parallel`.

    `func` may be any callable, a closure too; items and results travel as pickles. What `func` raises is raised here, once what runs has
    ended. `dir` is accepted for Metaflow's sake: nothing is written to files.
    """
    found = sorted(_performed(func, iterable, max_parallel), key=lambda pair: pair[0])
    return [result for _, result in found]


def parallel_imap_unordered(
    func: Callable[[T], R],
    iterable: Iterable[T],
    max_parallel: int | None = None,
    dir: str | None = None,  # noqa: A002 - Metaflow's name
) -> Iterator[R]:
    """As `parallel_map`, each result as soon as it is there. The iterable is read as far as there are processes for its items."""
    return (result for _, result in _performed(func, iterable, max_parallel))


def _performed(func: Callable[[T], R], iterable: Iterable[T], max_parallel: int | None) -> Iterator[tuple[int, R]]:
    """(position, result), as they come."""
    if max_parallel is not None and max_parallel < 1:
        raise UserError(f"max_parallel is {max_parallel}. Give a number from 1 on.")
    workers = max_parallel or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else max_parallel or os.cpu_count() or 1
    items = enumerate(iterable)
    sys.stdout.flush()
    sys.stderr.flush()
    context = multiprocessing.get_context("fork")  # so that a closure needs no pickling
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_take, initargs=(func,)) as pool:
        running: dict[Future[bytes], int] = {pool.submit(_apply, _dumps(item)): number for number, item in islice(items, 2 * workers)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running.pop(future)
                    yield number, pickle.loads(future.result())
                    running.update((pool.submit(_apply, _dumps(item)), number) for number, item in islice(items, 1))
        except BrokenProcessPool:
            raise MulticoreException("A process of parallel_map was killed, or ended before its work was done.") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _take(func: Callable[[Any], Any]) -> None:
    _functions[:] = [func]


def _apply(item: bytes) -> bytes:
    try:
        return _dumps(_functions[0](pickle.loads(item)))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _dumps(value: object) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(value)


@contextmanager
def profile(label: str, stats_dict: MutableMapping[str, int] | None = None) -> Generator[None]:
    """Prints how long its body took; with `stats_dict` adds the milliseconds there, under the label, instead."""
    if stats_dict is None:
        sys.stdout.write(f"PROFILE: {label} starting\n")
    begun = time.monotonic()
    try:
        yield
    finally:
        took_ms = int((time.monotonic() - begun) * 1000)
        if stats_dict is None:
            sys.stdout.write(f"PROFILE: {label} completed in {took_ms}ms\n")
        else:
            stats_dict[label] = stats_dict.get(label, 0) + took_ms
