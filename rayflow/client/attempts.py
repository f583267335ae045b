"""Which record stands for a task: the committed one, a failed attempt, or that it is under way; and what it can see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rayflow.catalog.reading import OpenedRun, Underway
from rayflow.client.lineage import Place
from rayflow.client.roots import RunHandle
from rayflow.model.indexes import TaskKey
from rayflow.model.records import Failure, FailureKind, LogSpan, Row, Segment, Status

PARAMETERS = "_parameters"
"""The pseudo-step whose only task carries what is known before the first step: parameters, constants, the graph."""
PARAMETERS_TASK = "0"


@dataclass(frozen=True)
class Attempt:
    """One attempt of a task, or that there is none yet. Its row is read when it is asked for.

    `segment` is given where the attempt is committed, `failed` where it failed, `underway` while a driver performs it (with
    `before`: where the log of the attempt before it ended). `parent` is the step that led to the task.
    """

    handle: RunHandle
    key: TaskKey
    segment: Segment | None = None
    failed: Row | None = None
    parent: str | None = None
    underway: Underway | None = None
    before: LogSpan | None = None

    @cached_property
    def row(self) -> Row | None:
        """The record; None of an attempt that runs, or never was."""
        if self.segment is not None:
            return self.handle.reader.row(self.segment, self.key.index)
        if self.is_parameters:
            record = self.handle.record
            return Row(started_us=record.created_us, artifacts={**record.parameters, **record.constants})
        return self.failed

    @property
    def run(self) -> str:
        """The run that owns the attempt's bytes and logs."""
        return (self.segment.run if self.segment is not None else "") or self.handle.layout.run

    @property
    def is_parameters(self) -> bool:
        return self.key.step == PARAMETERS

    @property
    def is_recorded(self) -> bool:
        """Whether the attempt is over, with whatever result: only then it has artifacts."""
        return self.is_done or self.failed is not None

    @property
    def is_done(self) -> bool:
        """Whether the task is done, successfully or caught."""
        return self.segment is not None or self.is_parameters

    @property
    def is_successful(self) -> bool:
        """Whether it is done without an exception, also none that `@catch` swallowed."""
        return self.segment is not None and self.row is not None and self.row.status is Status.OK

    @property
    def failure(self) -> Failure | None:
        """The exception of the user's code that it failed with; None for success, caught exceptions, deaths and exits."""
        failure = self.failed.failure if self.failed is not None else None
        return failure if failure is not None and failure.type and failure.kind is not FailureKind.EXIT else None

    def names(self) -> list[str]:
        """The artifacts that it stored or inherited, parameters and constants included."""
        if self.segment is not None:
            return self.handle.lineage.names(self.key)
        if self.row is None:
            return []
        record = self.handle.record
        names = dict.fromkeys([*self.row.artifacts, *record.parameters, *record.constants])
        if self.parent is not None:
            names.update(dict.fromkeys(self.handle.lineage.names(self.key, self.parent)))
        return list(names)

    def find(self, name: str) -> Place | None:
        """Where the artifact `name` that it sees lies; None when it sees none."""
        if self.segment is not None:
            return self.handle.lineage.find(self.key, name)
        if self.row is None:
            return None
        record = self.handle.record
        for stored in (self.row.artifacts, record.parameters, record.constants):
            if name in stored:
                return Place(name, None, 0, stored[name])
        return self.handle.lineage.find(self.key, name, self.parent) if self.parent is not None else None


def exists(opened: OpenedRun, key: TaskKey) -> bool:
    """Whether anything is known of the task."""
    view = opened.view
    return view.find(key.step, key.index, key.lap) is not None or key in view.failed or key in opened.underway


def keys_of(opened: OpenedRun, step: str) -> list[TaskKey]:
    """The tasks of a step of which anything is known, by index and lap."""
    keys = set(opened.view.keys(step))
    keys.update(key for key in opened.underway if key.step == step)
    return sorted(keys)


@dataclass(frozen=True)
class Standing:
    """Where a step stands: how many tasks are done (laps counted each), and which failed or are under way, by index."""

    done: int
    failed: tuple[TaskKey, ...]
    running: tuple[TaskKey, ...]

    @property
    def counts(self) -> list[tuple[str, str]]:
        """What and how many, as texts; empty for none, except of those that are done."""
        return [
            ("done", f"{self.done:,}"),
            ("failed", f"{len(self.failed):,}" if self.failed else ""),
            ("running", f"{len(self.running):,}" if self.running else ""),
        ]


def standing_of(opened: OpenedRun, step: str) -> Standing:
    """Costs nothing per task that is done."""
    view = opened.view
    known = view.steps.get(step)
    failed = sorted(key for key in view.failed if key.step == step and view.find(*key) is None)
    underway = () if opened.ending is not None else opened.underway
    running = sorted(key for key in underway if key.step == step and key not in view.failed and view.find(*key) is None)
    return Standing(known.total if known is not None else 0, tuple(failed), tuple(running))


def newest_of(opened: OpenedRun, step: str) -> TaskKey | None:
    """The last of those, without making a key of each; None where there is none."""
    known = opened.view.steps.get(step)
    keys = [TaskKey(step, segment.indices.highest, segment.lap) for segment in known.all] if known is not None else []
    keys.extend(key for key in (*opened.view.failed, *opened.underway) if key.step == step)
    return max(keys, default=None)


def attempt_of(handle: RunHandle, key: TaskKey, number: int | None = None) -> Attempt:
    """Attempt `number` of a task; without it the latest that is over, else the one under way."""
    if key.step == PARAMETERS:
        return Attempt(handle, key)
    opened = handle.opened
    segment = opened.view.find(key.step, key.index, key.lap)
    failed = opened.view.failed.get(key, [])
    if segment is not None:
        done = Attempt(handle, key, segment, parent=segment.parent)
        if number is None or (done.row is not None and done.row.attempt == number):
            return done
    underway = None if segment is not None or any(each.is_final for each in failed) else opened.underway.get(key)
    if opened.ending is not None:
        underway = None
    before = failed[-1].row.logs if failed else None
    for each in reversed(failed):
        if number is None:
            return Attempt(handle, key, None, each.row, each.parent, underway, before)
        if each.row.attempt == number:
            return Attempt(handle, key, None, each.row, each.parent)
    if underway is not None and number in (None, len(failed)):
        return Attempt(handle, key, parent=underway.parent, underway=underway, before=before)
    return Attempt(handle, key)


def rows_of(handle: RunHandle, key: TaskKey) -> list[Row]:
    """The rows of all attempts that are over, by number."""
    latest = attempt_of(handle, key)
    rows = {} if latest.is_parameters else {each.row.attempt: each.row for each in handle.view.failed.get(key, [])}
    if latest.is_done and latest.row is not None:
        rows[latest.row.attempt] = latest.row
    return [rows[number] for number in sorted(rows)]
