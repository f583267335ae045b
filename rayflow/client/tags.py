"""The tags of a run, as they are now, and how they are changed. The one place of the client that knows where tags lie.

A run's tags are those of its record and what the flow's log of changes says since (`rayflow.catalog.tags`). The log is read once for all
runs of a flow, and is as fresh as runs are (see `roots`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import NamedTuple, cast

from rayflow.catalog.run import RunRecord
from rayflow.catalog.tags import TagChange, TagState, change_tags, read_tags
from rayflow.model.errors import RayflowTaggingError
from rayflow.model.ports import Store

_log = logging.getLogger(__name__)

MAX_TAG_LENGTH, MAX_TAGS = 500, 50
_LOOK_EVERY_S, _LOOK_REMOTE_EVERY_S = 0.1, 1.0


class Tags(NamedTuple):
    """`user` tags can be changed; `system` tags say who and what made the run."""

    user: frozenset[str]
    system: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.user | self.system


class FlowTags:
    """What changed of the tags of one flow's runs. Threads may share it: what was read is replaced as a whole."""

    def __init__(self, store: Store, flow: str) -> None:
        self._store = store
        self._flow = flow
        self._every_s = _LOOK_EVERY_S if store.can_append else _LOOK_REMOTE_EVERY_S
        self._read: tuple[float, TagState] | None = None

    def of(self, record: RunRecord) -> Tags:
        """The tags of a run, at most 0.1 s (a bucket: 1 s) old."""
        return tags_in(self._state(), record)

    def have(self, record: RunRecord, tag: str) -> bool:
        """Whether the run has the tag. For a system tag, which a namespace usually is, no change is looked for."""
        return tag in record.system_tags or tag in self.of(record).user

    def look(self) -> None:
        """What was read is old: the next question reads what came since."""
        known = self._read
        if known is not None:
            self._read = float("-inf"), known[1]

    def change(self, record: RunRecord, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Tags:
        """Removes and adds tags at once: all, or none where it is refused with a `RayflowTaggingError`. Tags that are there already, and
        those to be removed that are not, are passed over."""
        added, removed = frozenset(add), frozenset(remove)
        _check_change(record, added, removed)

        def decide(state: TagState) -> dict[str, TagChange]:
            before = tags_in(state, record).user
            after = (before - removed) | (added - frozenset(record.system_tags))
            if len(after) > max(MAX_TAGS, len(before)):
                raise RayflowTaggingError(
                    f"Run {record.flow}/{record.run_id} would have {len(after)} tags of its user; at most {MAX_TAGS} are kept. Remove some "
                    "first: run.remove_tag, or rayflow tag remove."
                )
            return {record.run_id: TagChange(after - before, before - after)}

        known = self._read
        state = change_tags(self._store, self._flow, decide, known[1] if known else None)
        self._read = time.monotonic(), state
        return tags_in(state, record)

    def _state(self) -> TagState:
        known = self._read
        if known is not None and time.monotonic() - known[0] <= self._every_s:
            return known[1]
        begun_s = time.monotonic()
        state = read_tags(self._store, self._flow, known[1] if known else None)
        for key in state.damages.keys() - (known[1].damages.keys() if known else ()):
            _log.warning("A change of tags of %s is lost: %s/%s %s.", self._flow, self._store.url, key, state.damages[key])
        self._read = begun_s, state
        return state


def tags_in(state: TagState, record: RunRecord) -> Tags:
    """The tags of a run in that state."""
    system = frozenset(record.system_tags)
    return Tags(state.of(record.run_id).applied(record.tags) - system, system)


def _check_change(record: RunRecord, added: frozenset[str], removed: frozenset[str]) -> None:
    if not added and not removed:
        raise RayflowTaggingError("Must add or remove at least one tag.")
    system = sorted(removed.intersection(record.system_tags))
    if system:
        raise RayflowTaggingError(f"Cannot remove {_named(system)}: system tags say who and what made the run, and stay.")


def tag_list(tags: object, *, takes_text: bool = False) -> list[str]:
    """The tags that a caller gave, without repetitions. A text or bytes by itself is one tag with `takes_text`.

    Raises `RayflowTaggingError` for what is no collection, and for tags that cannot be: they are texts (or bytes of UTF-8) of 1 to 500
    characters.
    """
    if isinstance(tags, (str, bytes)):
        if not takes_text:
            raise RayflowTaggingError(f"Expects a list of tags; got the text {tags!r}. Write [{tags!r}].")
        tags = [tags]
    if not isinstance(tags, Iterable):
        raise RayflowTaggingError(f"Expects a list of tags; got {tags!r}.")
    return list(dict.fromkeys(_valid(tag) for tag in cast(Iterable[object], tags)))


def _valid(tag: object) -> str:
    try:
        text = tag.decode() if isinstance(tag, bytes) else tag
        if isinstance(text, str):
            text.encode()
    except UnicodeError:
        raise RayflowTaggingError(f"{tag!r} is no tag: it is not UTF-8.") from None
    if not isinstance(text, str):
        raise RayflowTaggingError(f"{tag!r} is no tag: expects a text; got a {type(tag).__name__}.")
    if not text:
        raise RayflowTaggingError("A tag must not be empty.")
    if len(text) > MAX_TAG_LENGTH:
        raise RayflowTaggingError(f"A tag has at most {MAX_TAG_LENGTH} characters; got {len(text)}: {text[:40]!r}...")
    return text


def _named(tags: list[str]) -> str:
    return ", ".join(repr(tag) for tag in tags)
