"""Opening a run: its record, what is committed, how it ended, what is under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.journal import JournalReader
from rayflow.catalog.ownership import last_epoch
from rayflow.catalog.run import RunRecord, read_run
from rayflow.catalog.view import RunView, view_of
from rayflow.model.errors import StoreCorrupt, StoreExists, StoreFault, StoreMissing
from rayflow.model.indexes import IndexSet, TaskKey
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import FailedAttempt, Failure, Outcome, Segment


@dataclass(frozen=True)
class Ending:
    """How a run ended, and where all of it lies: `end.json`. Opening an ended run reads no journal.

    `ended_us` is microseconds since 1970, UTC, by the driver's clock; 0 where whoever sealed the run could not know. `epoch` is the
    writer who says so: where a later one exists the run went on, and this end counts no more (0: not known, and believed).
    """

    outcome: Outcome
    why: str
    ended_us: int
    failed_key: TaskKey | None = None
    failure: Failure | None = None
    segments: tuple[Segment, ...] = ()
    failed: tuple[FailedAttempt, ...] = ()
    epoch: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome.value,
            "why": self.why,
            "ended_us": self.ended_us,
            "epoch": self.epoch,
            "failed_key": list(self.failed_key) if self.failed_key else None,
            "failure": wire.failure_to_json(self.failure) if self.failure else None,
            "segments": [wire.segment_to_json(segment) for segment in self.segments],
            "failed": [wire.failed_attempt_to_json(failed) for failed in self.failed],
        }

    @staticmethod
    def from_json(form: dict[str, Any]) -> Ending:
        key = form.get("failed_key")
        return Ending(
            outcome=Outcome(form["outcome"]),
            why=form.get("why", ""),
            ended_us=form.get("ended_us", 0),
            failed_key=TaskKey(*key) if key else None,
            failure=wire.failure_from_json(form["failure"]) if form.get("failure") else None,
            segments=tuple(wire.segment_from_json(segment) for segment in form.get("segments", ())),
            failed=tuple(wire.failed_attempt_from_json(failed) for failed in form.get("failed", ())),
            epoch=form.get("epoch", 0),
        )


@dataclass(frozen=True, slots=True)
class Underway:
    """A batch that a driver launched. Only a hint for readers of a live run: where its output is being written."""

    step: str
    indices: IndexSet
    lap: int
    parent: str | None
    log_name: str | None
    out_begin: int
    err_begin: int
    pid: int
    node: str
    place: int = 0
    """Which of the batches that wrote to that log it is: an index of `OpenedRun.begins`."""


@dataclass
class OpenedRun:
    """A run as a reader sees it now. `refresh` brings a live one up to date."""

    store: Store
    record: RunRecord
    view: RunView
    ending: Ending | None = None
    underway: dict[TaskKey, Underway] = field(default_factory=dict[TaskKey, Underway])
    begins: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])
    """By log: where in it (stdout, stderr) the output of each batch that was launched begins, in order."""
    _reader: JournalReader | None = None

    @property
    def layout(self) -> RunLayout:
        return self.record.layout

    def refresh(self) -> None:
        """Reads what was committed since the last look."""
        if self.ending is not None:
            return
        reader = self._reader or JournalReader(self.store, self.layout)
        self._reader = reader
        # The end before the journal: a run that ends between the two looks is then complete, and is never looked at again.
        ending = read_ending(self.store, self.layout)
        self.absorb(reader.read_new())
        self.ending = ending

    def absorb(self, events: Iterable[dict[str, Any]]) -> None:
        """Takes journal events in. Unknown kinds are those of a newer minor version: passed over."""
        for event in events:
            match event.get("e"):
                case "rows":
                    self.view.add(wire.segment_from_json(event))
                case "failed":
                    self.view.add_failed(wire.failed_attempt_from_json(event))
                case "launched":
                    self._launched(event)
                case _:
                    pass

    def _launched(self, event: dict[str, Any]) -> None:
        indices = IndexSet.from_json(event["idx"])
        begins = self.begins.setdefault(event["log"], []) if event.get("log") else []
        begins.append((event.get("out", 0), event.get("err", 0)))
        if len(indices) == 1:  # of larger batches only the worker knows which task is in progress
            underway = Underway(
                step=event["step"],
                indices=indices,
                lap=event.get("lap", 0),
                parent=event.get("parent"),
                log_name=event.get("log"),
                out_begin=event.get("out", 0),
                err_begin=event.get("err", 0),
                pid=event.get("pid", 0),
                node=event.get("node", ""),
                place=len(begins) - 1,
            )
            self.underway[TaskKey(underway.step, indices[0], underway.lap)] = underway


def open_run(store: Store, flow: str, run_id: str) -> OpenedRun:
    """Opens a run for reading; no lock, and blocks nobody. RayflowNotFound without one, StoreCorrupt where it is damaged."""
    record = read_run(store, flow, run_id)
    return opened_run(store, record, stored_ending(store, record.layout))


def opened_run(store: Store, record: RunRecord, end: bytes | None) -> OpenedRun:
    """The same, where its record and its end record were read already."""
    ending = parsed_ending(store, record.layout, end)
    if ending is not None:
        return OpenedRun(store, record, view_of(record, ending.segments, ending.failed), ending)
    opened = OpenedRun(store, record, RunView(record))
    opened.refresh()
    return opened


def read_ending(store: Store, layout: RunLayout) -> Ending | None:
    """How the run ended; None while it has not, or where a later driver went on since. StoreCorrupt when the record is damaged."""
    return parsed_ending(store, layout, stored_ending(store, layout))


def stored_ending(store: Store, layout: RunLayout) -> bytes | None:
    """The end record as it is stored; None without one."""
    try:
        return store.read(layout.end)
    except StoreMissing:
        return None


def parsed_ending(store: Store, layout: RunLayout, text: bytes | None) -> Ending | None:
    """What such a record says; None where a later driver went on since. Nobody goes on with a run that succeeded."""
    ending = _ending_in(store, layout, text) if text is not None else None
    if ending is None or (ending.outcome is not Outcome.SUCCEEDED and 0 < ending.epoch < last_epoch(store, layout)):
        return None
    return ending


def _ending_in(store: Store, layout: RunLayout, text: bytes) -> Ending:
    try:
        return Ending.from_json(wire.loads_checked(text, layout.end))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(
            f"The end record of run {layout.run} is damaged ({store.url}/{layout.end}). "
            "The journal beside it says the same: remove that file, and the run counts as interrupted.",
            layout.end,
        ) from error


def write_ending(store: Store, layout: RunLayout, ending: Ending) -> None:
    """Records how the run ended. An end that a replaced driver left is replaced; StoreExists where another one is recorded already."""
    text = wire.dumps_checked(ending.to_json(), layout.end)
    try:
        store.write(layout.end, [text], only_new=True)
    except StoreExists:
        stored = stored_ending(store, layout)
        known = _ending_in(store, layout, stored) if stored is not None else None
        if known is not None and not (0 < known.epoch < ending.epoch):
            raise
        store.write(layout.end, [text])


def drop_ending(store: Store, layout: RunLayout) -> None:
    """A re-attached run goes on: its end record is taken back. The journal still has everything."""
    try:
        store.delete(layout.end)
    except StoreFault as fault:
        raise StoreFault(f"Run {layout.run} cannot be continued: {fault}", layout.end) from fault
