"""What an executor performs: an entry function, named by "module:function" so that other processes find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Protocol

from rayflow.model.ports import Work
from rayflow.model.reports import Report

ENVIRONMENT_VARIABLES = {"PYTHONNOUSERSITE": "1"}
"""What workers in an environment are started with: packages of the account's own site would be seen there otherwise."""


class Entry(Protocol):
    """Performs a batch; yields its reports as they become true, those together that do so together: a message is what costs.
    Ends with `BatchOver`. Asks `is_cancelled` between tasks."""

    def __call__(self, work: Work, is_cancelled: Callable[[], bool]) -> Iterator[Sequence[Report]]: ...


def load_entry(name: str) -> Entry:
    """The entry function that "module:function" names."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def prepare_entry(name: str) -> None:
    """Loads the entry, and what its module's function `prepare` (if it has one) says that a fan-out will need."""
    module = import_module(name.partition(":")[0])
    getattr(module, "prepare", lambda: None)()
