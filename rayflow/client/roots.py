"""Roots and runs that this process has open. What an object shows is looked up here each time, so that it follows a live run.

An ended run is read once, and its end record compared when the user names the run again (a re-attached run goes on). A live
run's journal is read on from where the last look ended, at most every 0.1 s (a bucket: 1 s) for the same object, and always
when the user names the run anew. Each thread has runs open of its own, so that any may use any object at any time.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from rayflow.catalog.index import IndexEntry, flows_of, is_flow, newest_first
from rayflow.catalog.ownership import is_alive, last_epoch
from rayflow.catalog.reading import OpenedRun, opened_run, stored_ending
from rayflow.catalog.run import RunRecord, read_run
from rayflow.catalog.view import RunView
from rayflow.client.cache import cached
from rayflow.client.lineage import Lineage
from rayflow.client.reader import StoreReader
from rayflow.client.tags import FlowTags
from rayflow.model.errors import StoreMissing
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.settings.reading import read_settings
from rayflow.store import open_root, open_store

ITEMS = "_foreach_items"
"""The hidden artifact of a foreach step: the sequence that it fanned out over (written by `rayflow.runtime`)."""

_LOOK_EVERY_S, _LOOK_REMOTE_EVERY_S = 0.1, 1.0
_MAX_RUNS = 64
_MAX_SEQUENCES = 4


class RunHandle:
    """One run, read as far as was asked: its record first, what is committed later. One thread's own."""

    def __init__(self, store: Store, flow: str, run_id: str, tags: FlowTags | None = None) -> None:
        self.store = store
        self.layout = RunLayout(flow, run_id)
        self.tags = tags or FlowTags(store, flow)
        self._opened: OpenedRun | None = None
        self._lineage: Lineage | None = None
        self._end_text = b""
        self._looked_s = 0.0
        self._every_s = _LOOK_EVERY_S if store.can_append else _LOOK_REMOTE_EVERY_S
        self._sequences: OrderedDict[tuple[str, int], Any] = OrderedDict()

    @cached_property
    def record(self) -> RunRecord:
        """Raises `RayflowNotFound` and `StoreCorrupt`."""
        return read_run(self.store, self.layout.flow, self.layout.run)

    @cached_property
    def reader(self) -> StoreReader:
        return StoreReader(cached(self.store, read_settings(os.environ, os.getcwd())), self.layout.flow, self.layout.run)

    @property
    def opened(self) -> OpenedRun:
        """What is committed, at most 0.1 s (a bucket: 1 s) old."""
        if self._opened is None:
            return self._open()
        if self._opened.ending is None and time.monotonic() - self._looked_s > self._every_s:
            self._opened.refresh()
            self._looked_s = time.monotonic()
        return self._opened

    @property
    def view(self) -> RunView:
        return self.opened.view

    @property
    def lineage(self) -> Lineage:
        view = self.view
        if self._lineage is None or self._lineage.view is not view:
            self._lineage = Lineage(view, self.reader)
        return self._lineage

    def look(self) -> None:
        """Brings what was read up to date, now."""
        self.tags.look()
        if self._opened is None:
            return
        if self._opened.ending is None:
            self._looked_s = 0.0
        elif self._read_end() != self._end_text:
            self._opened = None
            self.__dict__.pop("record", None)

    def check(self) -> None:
        """Raises `RayflowNotFound` where there is no such run, `StoreCorrupt` where its record is damaged."""
        assert self.record.run_id

    def is_alive(self) -> bool:
        """Whether a driver works on the run. Takes seconds where only its heartbeat can tell (see `catalog.ownership`)."""
        return is_alive(self.store, self.layout)

    @property
    def waits_for_driver(self) -> bool:
        """Whether the run was submitted, and nobody has driven it yet."""
        return self.record.launcher is None and "submitted_to" in self.record.facts and last_epoch(self.store, self.layout) == 0

    def element(self, split: str, index: int, position: int) -> Any:
        """The element that split `position` of task `index` of foreach step `split` stands for; KeyError where it is not known."""
        key = (split, index)
        if key not in self._sequences:
            segment = self.view.find(split, index)
            if segment is None:
                raise KeyError(f"{split}[{index}]")
            self._sequences[key] = self.reader.sequence(segment, index, ITEMS)
            if len(self._sequences) > _MAX_SEQUENCES:
                self._sequences.popitem(last=False)
        return self._sequences[key][position]

    def _open(self) -> OpenedRun:
        end = stored_ending(self.store, self.layout)
        self._opened = opened = opened_run(self.store, self.record, end)
        self._end_text = end or b"" if opened.ending is not None else b""
        self._looked_s = time.monotonic()
        return opened

    def _read_end(self) -> bytes:
        return stored_ending(self.store, self.layout) or b""


class _OpenRuns(threading.local):
    """The runs that one thread has open."""

    def __init__(self) -> None:
        self.handles: OrderedDict[tuple[str, str], RunHandle] = OrderedDict()


class Root:
    """One root, for reading."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._open = _OpenRuns()
        self._tags: dict[str, FlowTags] = {}

    @property
    def url(self) -> str:
        return self.store.url

    def run(self, flow: str, run_id: str) -> RunHandle:
        """The run's handle: the one that is open already, if there is one. Touches nothing; `UnsafeName` for what cannot be a name."""
        key, handles = (flow, run_id), self._open.handles
        handle = handles.get(key)
        if handle is None:
            handle = handles[key] = RunHandle(self.store, flow, run_id, self.tags(flow))
            if len(handles) > _MAX_RUNS:
                handles.popitem(last=False)
        else:
            handles.move_to_end(key)
        return handle

    def forget(self, flow: str, run_id: str) -> None:
        """Drops what was read of a run that turned out not to be there."""
        self._open.handles.pop((flow, run_id), None)

    def tags(self, flow: str) -> FlowTags:
        """The tags of a flow's runs; one for all of them, and for all threads."""
        return self._tags.setdefault(flow, FlowTags(self.store, flow))

    def runs(self, flow: str) -> Iterator[IndexEntry]:
        """The runs of a flow, newest first, lazily."""
        return newest_first(self.store, flow)

    def has(self, flow: str) -> bool:
        """Whether there is such a flow. `UnsafeName` for what cannot be a name."""
        return is_flow(self.store, flow)

    def flows(self) -> list[str]:
        """The flows under the root, by name."""
        return flows_of(self.store)


_roots: dict[str, Root] = {}


def root_at(url: str) -> Root:
    """The root at `url`, opened once per process. Raises `StoreNewer` and `StoreCorrupt`; a root that does not exist yet is empty."""
    found = _roots.get(url)
    if found is None:
        try:
            store = open_root(url, create=False)
        except StoreMissing:
            return Root(open_store(url))  # a run may create it at any time: not kept
        found = _roots[url] = Root(store)
    return found
