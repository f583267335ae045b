"""The log of changes of tags: which of its files are damaged, and which nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayflow.catalog.tags import TagState, is_needed, number_of, numbers_of, read_tag_file, read_tags
from rayflow.model.entry import Entry
from rayflow.model.errors import StoreCorrupt, StoreMissing
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store


@dataclass(frozen=True)
class TagLog:
    """What is known of a flow's tags, and what is wrong with its files: by key. `objects` were looked at, of `nbytes`."""

    state: TagState
    damages: dict[str, str]
    objects: int
    nbytes: int


NO_TAGS = TagLog(TagState(), {}, 0, 0)


def look_at_tags(store: Store, flow: str) -> TagLog:
    """Reads every file of the log, also those that others cover: one that was damaged before it was covered took a change along."""
    state = read_tags(store, flow)
    damages = dict(state.damages)
    sizes = {entry.key: entry.nbytes for entry in store.entries(FlowLayout(flow).tags) if not entry.is_leaving}
    for key in numbers_of(store, flow).values():
        try:
            read_tag_file(store, key)
        except StoreCorrupt:
            damages[key] = "is damaged"
        except StoreMissing:
            continue  # compacted away since it was listed
    return TagLog(state, damages, len(sizes), sum(sizes.values()))


def covered_files(store: Store, flow: str, before_us: int) -> Iterator[Entry]:
    """The files, and the leavings of writers that died, that are older than a moment and that nobody needs: others have covered them for as
    long. Where something is damaged all stay, since they may be what is left of it."""
    entries = list(store.entries(FlowLayout(flow).tags))
    old = {entry.key for entry in entries if entry.modified_us < before_us}
    yield from (entry for entry in entries if entry.is_leaving and entry.key in old)
    log = look_at_tags(store, flow)
    if log.damages:
        return
    keys = numbers_of(store, flow)
    settled = max((number for number, key in keys.items() if key in old), default=0)
    covering = read_tags(store, flow, at=settled)
    for entry in entries:
        if entry.key in old and entry.key in keys.values():
            number = number_of(entry.key)
            if not is_needed(number, log.state) and not is_needed(number, covering):
                yield entry
