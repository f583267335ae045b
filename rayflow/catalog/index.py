"""The index of a flow's runs: immutable entries whose names carry order and outcome, so that one LIST tells the newest.

`<Flow>/index/<inverted start time>.<run id>.<kind>` with kind `started`, or an outcome. A hint that can be rebuilt: a run is what
its run.json says, and on a local root runs that have no entry (a driver died between the two) are found all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from rayflow.catalog import wire
from rayflow.catalog.run import RunRecord
from rayflow.model.errors import StoreExists, UnsafeName
from rayflow.model.layout import FORMAT_FILE, FlowLayout, RunLayout, is_run_id
from rayflow.model.ports import Store
from rayflow.model.records import Outcome

_LAST_US = 10**17


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A run as the index knows it. `outcome` is None where no end is recorded: it runs, or its driver died."""

    run_id: str
    created_us: int
    outcome: Outcome | None


def note_start(store: Store, record: RunRecord) -> None:
    """Enters a run that starts."""
    _create(store, record, "started", {"user": record.user, "tags": list(record.tags), "origin": record.origin})


def note_end(store: Store, record: RunRecord, outcome: Outcome) -> None:
    """Enters how a run ended."""
    _create(store, record, outcome.value, {})


def _create(store: Store, record: RunRecord, kind: str, content: dict[str, object]) -> None:
    key = f"{FlowLayout(record.flow).index}/{_LAST_US - record.created_us:017d}.{record.run_id}.{kind}"
    try:
        store.write(key, [wire.dumps(content)], only_new=True)
    except StoreExists:
        return


def runs_of(store: Store, flow: str) -> list[IndexEntry]:
    """The runs of a flow, newest first. Names that are no entries are passed over."""
    return list(newest_first(store, flow))


def newest_first(store: Store, flow: str) -> Iterator[IndexEntry]:
    """The same, lazily: of 10,000 runs the first is there after the two listings, before 10,000 names are parsed."""
    names = children(store, FlowLayout(flow).index)
    on_disk = _on_disk(store, flow)
    listed: set[str] | None = None
    for entry in _entries(names):
        while on_disk and _created_us(on_disk[-1]) >= entry.created_us:
            run_id = on_disk.pop()
            if run_id == entry.run_id:
                continue
            listed = listed or _ids(names)
            if run_id not in listed and _is_run(store, flow, run_id):
                yield IndexEntry(run_id, _created_us(run_id), None)
        yield entry
    listed = listed or _ids(names if on_disk else [])
    yield from (
        IndexEntry(run_id, _created_us(run_id), None)
        for run_id in reversed(on_disk)
        if run_id not in listed and _is_run(store, flow, run_id)
    )


def _is_run(store: Store, flow: str, name: str) -> bool:
    """Whether a directory that has no entry is a run: not the beginnings of one, nor what others still need of one that was removed."""
    return is_run_id(name) and os.path.exists(store.local_path(RunLayout(flow, name).record) or "")


def _created_us(run_id: str) -> int:
    """When a run without an entry was started: its id tells, else 0."""
    return int(run_id) if run_id.isdecimal() else 0


def _ids(names: list[str]) -> set[str]:
    return {name.split(".")[1] for name in names if _is_entry(name)}


def _entries(names: list[str]) -> Iterator[IndexEntry]:
    """The runs that have entries, newest first, of sorted names."""
    for place, kinds in groupby(filter(_is_entry, names), lambda name: name[: name.rindex(".")]):
        yield IndexEntry(place[18:], _LAST_US - int(place[:17]), _outcome_of(kinds))


def _on_disk(store: Store, flow: str) -> list[str]:
    """The names of the directories of runs on a local root, the newest last; ids that are no numbers first."""
    runs = FlowLayout(flow).runs
    names = children(store, runs) if store.local_path(runs) is not None else []
    numbers = [name for name in names if name.isdecimal()]
    numbers.sort(key=len)  # a stable sort of sorted names: numbers in their order
    return [name for name in names if not name.isdecimal()] + numbers


def _is_entry(name: str) -> bool:
    return name.count(".") == 2 and name.find(".") == 17 and name[:17].isdecimal()


def _outcome_of(names: Iterable[str]) -> Outcome | None:
    outcome: Outcome | None = None
    for name in names:
        kind = name.rpartition(".")[2]
        if kind in Outcome._value2member_map_:
            outcome = _later(outcome, Outcome(kind))
    return outcome


def _later(known: Outcome | None, other: Outcome) -> Outcome:
    """Of two ends of one run (it was re-attached) the better one came last."""
    order = [Outcome.INTERRUPTED, Outcome.FAILED, Outcome.SUCCEEDED]
    return other if known is None or order.index(other) > order.index(known) else known


def children(store: Store, prefix: str) -> list[str]:
    """The names directly under a directory of a local root; for others from the listing of everything under it."""
    path = store.local_path(prefix or FORMAT_FILE)
    if path is not None:
        path = path if prefix else os.path.dirname(path)
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
    depth = len(prefix.split("/")) if prefix else 0
    return sorted({key.split("/")[depth] for key in store.list(prefix)})


def flows_of(store: Store) -> list[str]:
    """The flows under the root, by name. Foreign files are passed over."""
    found: list[str] = []
    for name in children(store, ""):
        try:
            if name != FORMAT_FILE and is_flow(store, name):
                found.append(name)
        except UnsafeName:
            continue
    return found


def is_flow(store: Store, name: str) -> bool:
    """Whether a flow of that name has, or had, runs under the root; UnsafeName for what cannot be one's name."""
    layout = FlowLayout(name)
    if store.local_path(layout.index) is None:
        return next(iter(store.list(layout.index)), None) is not None
    return any(child in ("runs", "index") for child in children(store, layout.flow))
