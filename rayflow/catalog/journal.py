"""The journal of a run: facts in the order in which they became true. An event is *committed* when its line is durable.

A line is `<crc32 of the file's key and the rest, 8 hex digits> <json>\\n`. Each driver (epoch) of a run writes its own file,
`journal/<epoch>.jsonl`, where the store can append; elsewhere each group commit is one created object, `journal/<sequence>.jsonl`,
so that a driver which was replaced meets its successor's object and stops.

A take-over writes as its first line how many bytes it read of each file before it (`sealed`; none of those it did not find): what a
replaced driver still appends lies beyond, is never acknowledged, and is not read. A line cut short at the end of a file is a write that
did not finish, and so are zeros, which a power failure may leave of bytes that were not synced; any other damaged line is damage, and
is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.ownership import is_taken_over, owner_of
from rayflow.model.errors import RunFenced, StoreCorrupt, StoreExists
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store

Json = dict[str, Any]

_UNWRITTEN = bytes(8)
"""What a power failure leaves of bytes that were not synced is at least as long: file systems lose pages."""


def frame(event: Json, key: str) -> bytes:
    """One line of the journal file `key`."""
    text = wire.dumps(event)
    return b"%08x %b\n" % (wire.checksum(text, key), text)


def unframe(content: bytes, key: str, offset: int = 0) -> Iterator[Json]:
    """The events of a journal file, from byte `offset` of it on. A torn last line ends it silently; StoreCorrupt for damage before the end.

    So do zeros, which no line has: a machine that stopped may have kept later bytes of a file than it lost. Whatever was acknowledged was
    synced with all that is before it. One zero alone is a flipped bit.
    """
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        line = content[start:] if end < 0 else content[start:end]
        event = _parsed(line, key) if end >= 0 else None
        if event is None:
            if _UNWRITTEN in line:
                return
            if end >= 0 and content.find(b"\n", end + 1) >= 0 and _any_valid_after(content, end + 1, key):
                raise StoreCorrupt(f"The journal '{key}' is damaged at byte {offset + start}: the line's checksum does not match.", key)
            return
        yield event
        start = end + 1


def _parsed(line: bytes, key: str) -> Json | None:
    try:
        if len(line) > 9 and int(line[:8], 16) == wire.checksum(line[9:], key):
            return wire.loads(line[9:])
    except ValueError:
        pass
    return None


def _any_valid_after(content: bytes, start: int, key: str) -> bool:
    return any(_parsed(line, key) is not None for line in content[start:].split(b"\n") if line)


@dataclass
class JournalReader:
    """Reads the journal of one run, whoever wrote it. `read_new` continues where the last call ended."""

    store: Store
    layout: RunLayout
    _sizes: dict[str, int] = field(default_factory=dict[str, int])
    _seal: tuple[str, Json] = ("", {})
    """The file of the last take-over, and how much it read of those before it."""

    def read(self) -> list[Json]:
        """All events, in commit order; StoreCorrupt where a file is damaged."""
        self._sizes.clear()
        self._seal = ("", {})
        return self.read_new()

    def read_new(self) -> list[Json]:
        """The events that were added since the last call."""
        contents = {key: content for key in self._files() if (content := self._added(key)) is not None}
        for key, content in contents.items():
            self._note_seal(key, content)
        events: list[Json] = []
        for key, content in contents.items():
            start = self._sizes.get(key, 0)
            added = self._up_to_seal(key, start, content)
            events.extend(unframe(added, key, start))
            self._sizes[key] = start + added.rfind(b"\n") + 1
        return events

    def _added(self, key: str) -> bytes | None:
        """What was not read yet of a file; None where nothing can come any more."""
        done = self._sizes.get(key)
        if done is None:
            return self.store.read(key)
        limit = self._limit(key)
        if not self.store.can_append or (limit is not None and done >= limit):
            return None
        return self.store.read(key, done)

    def _up_to_seal(self, key: str, start: int, content: bytes) -> bytes:
        limit = self._limit(key)
        if limit is None:
            return content
        if limit > start + len(content):
            content = self.store.read(key, start)  # it grew between our look at it and its seal
        if limit > start + len(content):
            raise StoreCorrupt(f"The journal '{key}' is cut short: {start + len(content)} of {limit} bytes are there.", key)
        return content[: max(0, limit - start)]

    def _note_seal(self, key: str, content: bytes) -> None:
        first = next(unframe(content, key), None) if key not in self._sizes else None
        if first is not None and first.get("e") == "sealed" and key > self._seal[0]:
            self._seal = (key, first["sizes"])

    def _limit(self, key: str) -> int | None:
        """How many bytes of a file count: what the last take-over read of it. It read all that was acknowledged before, and none of a file
        that a replaced driver, or taker, began later. None: all, where nobody took over since."""
        last, sizes = self._seal
        return int(sizes.get(key, 0)) if key < last else None

    def sizes(self) -> dict[str, int]:
        """Bytes read of each file so far: what a take-over seals."""
        return dict(self._sizes)

    def _files(self) -> list[str]:
        return sorted(key for key in self.store.list(self.layout.journal) if key.endswith(".jsonl"))


class JournalWriter:
    """Appends group commits for one epoch. Not promised: safety for use from several threads."""

    def __init__(self, store: Store, layout: RunLayout, epoch: int, next_sequence: int = 0) -> None:
        self._store = store
        self._layout = layout
        self._epoch = epoch
        self._sequence = next_sequence

    def note(self, events: Iterable[Json]) -> None:
        """Writes events that help a reader while the run goes on, and may be lost (what was launched, where it logs).

        A store that cannot append does not get them: an object a batch would be too many.
        """
        if self._store.can_append:
            key = self._layout.journal_file(self._epoch)
            lines = b"".join(frame(event, key) for event in events)
            if lines:
                self._store.append(key, lines, is_durable=False)

    def commit(self, events: Iterable[Json]) -> None:
        """Makes the events durable; they may be acknowledged when this returns. RunFenced when another driver owns the run."""
        key = self._layout.journal_file(self._epoch if self._store.can_append else self._sequence)
        lines = b"".join(frame(event, key) for event in events)
        if self._store.can_append:
            self._store.append(key, lines)
            self.check_fence()
        else:
            try:
                self._store.write(key, [lines], only_new=True)
            except StoreExists as fault:
                raise self._fenced() from fault
            self._sequence += 1

    def check_fence(self) -> None:
        """RunFenced when another driver took the run over."""
        if is_taken_over(self._store, self._layout, self._epoch):
            raise self._fenced()

    def _fenced(self) -> RunFenced:
        owner = owner_of(self._store, self._layout)
        return RunFenced(
            f"Run {self._layout.run} was taken over by another driver ({owner}), so nothing more is recorded here. "
            f"What was acknowledged is kept; follow it with `rayflow show {self._layout.run}`."
        )
