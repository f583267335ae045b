"""The index of a flow's runs: immutable entries whose names carry order and outcome, so that one LIST tells the newest.

`<Flow>/index/<inverted start time>.<run id>.<kind>` with kind `started`, or an outcome. A hint that can be rebuilt: a run is what
its run.json says, and on a local root runs that have no entry (a driver died between the two) are found all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

from rayflow.catalog import wire
from rayflow.catalog.run import RunRecord
from rayflow.model.errors import StoreExists, UnsafeName
from rayflow.model.layout import FORMAT_FILE, FlowLayout, safe_flow_name, safe_run_id
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
    """The same, lazily: after the listing, one entry costs the same whether the flow has ten runs or 100,000."""
    names = [name for name in children(store, FlowLayout(flow).index) if _is_entry(name)]
    listed = {name[18 : name.rindex(".")] for name in names}
    entries = (
        (_LAST_US - int(place[:17]), place[18:], list(kinds)) for place, kinds in groupby(names, lambda name: name[: name.rindex(".")])
    )
    unlisted = sorted((int(run_id) if run_id.isdecimal() else 0, run_id) for run_id in _unlisted(store, flow, listed))
    hidden = ((created_us, run_id, list[str]()) for created_us, run_id in reversed(unlisted))
    for created_us, run_id, kinds in merge(entries, hidden, key=lambda entry: -entry[0]):
        yield IndexEntry(run_id, created_us, _outcome_of(kinds))


def _is_entry(name: str) -> bool:
    return name.count(".") == 2 and name.find(".") == 17 and name[:17].isdecimal()


def _outcome_of(names: list[str]) -> Outcome | None:
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


def _unlisted(store: Store, flow: str, listed: set[str]) -> Iterator[str]:
    runs = FlowLayout(flow).runs
    if store.local_path(runs) is None:
        return
    for name in children(store, runs):
        try:
            if name not in listed:
                yield safe_run_id(name)
        except UnsafeName:
            continue


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
            if name != FORMAT_FILE and any(child in ("runs", "index") for child in children(store, safe_flow_name(name))):
                found.append(name)
        except UnsafeName:
            continue
    return found
