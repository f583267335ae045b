"""The index of a flow's runs: immutable entries whose names carry order and outcome, so that one LIST tells the newest.

`<Flow>/index/<inverted start time>.<run id>.<kind>` with kind `started`, or an outcome. A hint that can be rebuilt: a run is what
its run.json says, and on a local root runs that have no entry (a driver died between the two) are found all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    outcomes: dict[str, Outcome | None] = {}
    created: dict[str, int] = {}
    for key in store.list(FlowLayout(flow).index):
        parts = key.rpartition("/")[2].split(".")
        if len(parts) != 3 or not parts[0].isdecimal():
            continue
        inverted, run_id, kind = parts
        created.setdefault(run_id, _LAST_US - int(inverted))
        if kind in Outcome._value2member_map_:
            outcomes[run_id] = _later(outcomes.get(run_id), Outcome(kind))
    for run_id in _unlisted(store, flow, created):
        created[run_id] = int(run_id) if run_id.isdecimal() else 0
    entries = [IndexEntry(run_id, created_us, outcomes.get(run_id)) for run_id, created_us in created.items()]
    return sorted(entries, key=lambda entry: (-entry.created_us, entry.run_id))


def _later(known: Outcome | None, other: Outcome) -> Outcome:
    """Of two ends of one run (it was re-attached) the better one came last."""
    order = [Outcome.INTERRUPTED, Outcome.FAILED, Outcome.SUCCEEDED]
    return other if known is None or order.index(other) > order.index(known) else known


def _unlisted(store: Store, flow: str, listed: dict[str, int]) -> Iterator[str]:
    if store.local_path("") is None:
        return
    for name in children(store, FlowLayout(flow).runs):
        try:
            if safe_run_id(name) not in listed:
                yield name
        except UnsafeName:
            continue


def children(store: Store, prefix: str) -> list[str]:
    """The names directly under a directory of a local root; for others from the listing of everything under it."""
    import os

    path = store.local_path(prefix)
    if path is not None:
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
