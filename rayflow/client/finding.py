"""Which runs are meant: by state, time, tags and parameters. Lazy: a run is opened only where the index cannot tell, newest first."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rayflow.catalog.index import IndexEntry
from rayflow.model.errors import RayflowNotFound, StoreFault
from rayflow.model.records import Artifact, Outcome

if TYPE_CHECKING:
    from rayflow.client.runs import Run

_log = logging.getLogger(__name__)

STATES = ("pending", "running", "succeeded", "failed", "interrupted", "unknown")
Found = tuple["Run", IndexEntry]


@dataclass(frozen=True)
class Wanted:
    """What is asked of runs: all of `tags`, one of `states` (any without), started in [`since_us`, `until_us`) (microseconds since 1970),
    and `parameters` with values that read like these texts."""

    tags: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    since_us: int | None = None
    until_us: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_all(self) -> bool:
        """Whether every run will do."""
        return self == Wanted()


def matching(found: Iterable[Found], wanted: Wanted) -> Iterator[Run]:
    """Those of the runs, newest first, that are wanted. What the index tells is asked first; the search ends with the first that is too
    old. Of a damaged run nothing can be told: it is left out, with a warning, unless every run will do."""
    for run, entry in found:
        if wanted.since_us is not None and entry.created_us < wanted.since_us:
            return
        if wanted.until_us is not None and entry.created_us >= wanted.until_us:
            continue
        if wanted.is_all or (_may_be(entry, wanted.states) and holds(run, lambda each: _is_wanted(each, wanted))):
            yield run


def holds(run: Run, claim: Callable[[Run], bool]) -> bool:
    """Whether the claim holds; not of a run that is gone or damaged, since one damaged run must hide no other."""
    try:
        return claim(run)
    except RayflowNotFound:
        return False  # removed, or its driver has not got further than the directory
    except StoreFault as fault:
        _log.warning("%s is left out: %s", run, fault)
        return False


def _may_be(entry: IndexEntry, states: frozenset[str]) -> bool:
    """Whether the run may be in one of the states. The index is a hint: only a run that succeeded never changes, and only a run without
    an end entry may have any."""
    if not states or entry.outcome is None:
        return True
    if entry.outcome is Outcome.SUCCEEDED:
        return Outcome.SUCCEEDED.value in states
    return bool(states - {Outcome.SUCCEEDED.value})


def _is_wanted(run: Run, wanted: Wanted) -> bool:
    record = run._handle.record  # pyright: ignore[reportPrivateUsage] - parameters by their previews: no value is loaded
    if not all(name in record.parameters and _reads(record.parameters[name], text) for name, text in wanted.parameters.items()):
        return False
    return run.tags.issuperset(wanted.tags) and (not wanted.states or run.state in wanted.states)


def _reads(artifact: Artifact, text: str) -> bool:
    """Whether a value is what the text says: a text itself, a number or anything else of JSON by its value, others by their preview."""
    if artifact.inline is not None and artifact.codec == "text":
        return artifact.inline == text.encode("utf-8", "surrogatepass")
    if artifact.inline is not None and artifact.codec == "json":
        value = json.loads(artifact.inline)
        if text == str(value):
            return True
        with suppress(ValueError):
            given = json.loads(text)
            return given == value and isinstance(given, bool) == isinstance(value, bool)
        return False
    return artifact.preview in (text, repr(text))
