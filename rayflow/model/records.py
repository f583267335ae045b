"""What is recorded about tasks: artifacts, rows, segments, failures. These nouns are what the journal and the packs hold."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import compress

from rayflow.model.indexes import EMPTY, Fanout, IndexSet, TaskKey


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value's description, and its bytes or the blob that holds them.

    Exactly one of `inline` (the encoded bytes) and `blob` (file name under `blobs/` of run `run`) is given.
    `type` is the qualified Python type, `preview` at most 80 characters of text, both noted at write time, so that no
    listing ever decodes. `digest` is the hex BLAKE3 of the encoded bytes; None for inline bytes (see `store.blobs`).
    `run` is None where the artifact belongs to the run of the record that holds it.
    """

    codec: str
    type: str
    nbytes: int
    preview: str = ""
    inline: bytes | None = None
    blob: str | None = None
    digest: str | None = None
    run: str | None = None

    def owned_by(self, run: str) -> Artifact:
        """The same artifact, naming its owner, for records that move to another run."""
        return self if self.blob is None or self.run is not None else replace(self, run=run)


class FailureKind(str, Enum):
    """Why an attempt failed. Only `LOST` is never charged to the task."""

    EXCEPTION = "exception"
    EXIT = "exit"
    DIED = "died"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out of memory"
    ARTIFACT = "artifact"
    TRANSITION = "transition"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class UserFrame:
    """One frame of the user's own code in a traceback."""

    file: str
    line: int
    function: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: `type` is "module.Class" (empty for a death), `message` one or more lines, `traceback` the
    whole text. `exit_code` follows the convention of subprocess: negative for a signal; None where unknown."""

    kind: FailureKind
    message: str
    type: str = ""
    traceback: str = ""
    frames: tuple[UserFrame, ...] = ()
    exit_code: int | None = None

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt could end otherwise. A wrong transition cannot; exit code 202 says "never retry"."""
        return self.kind is not FailureKind.TRANSITION and self.exit_code != 202

    @property
    def is_charged(self) -> bool:
        """Whether the attempt counts against `@retry`."""
        return self.kind is not FailureKind.LOST

    @property
    def left_no_process(self) -> bool:
        """Whether the process ended with the attempt, so that `@catch` needs a fallback attempt."""
        return self.kind in (FailureKind.DIED, FailureKind.OUT_OF_MEMORY, FailureKind.LOST) or (
            self.kind is FailureKind.TIMEOUT and not self.type
        )


@dataclass(frozen=True, slots=True)
class LogSpan:
    """Where an attempt's output lies: `logs/<name>.out` and `.err` of the run, byte ranges [begin, end)."""

    name: str
    out_begin: int = 0
    out_end: int = 0
    err_begin: int = 0
    err_end: int = 0


class Status(str, Enum):
    """How an attempt ended. `CAUGHT` is done but not successful: `@catch` swallowed its exception."""

    OK = "ok"
    CAUGHT = "caught"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """The record of one attempt. Times are microseconds since 1970, UTC, by the worker's clock; `peak_nbytes` is the
    highest resident size of its process, 0 where unknown. `artifacts` are those that the attempt itself stored."""

    status: Status = Status.OK
    attempt: int = 0
    started_us: int = 0
    seconds: float = 0.0
    peak_nbytes: int = 0
    pid: int = 0
    node: str = ""
    artifacts: Mapping[str, Artifact] = field(default_factory=dict[str, Artifact])
    logs: LogSpan | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Which transition each task of a segment took: `targets[codes[k]]` for the k-th; `targets[0]` for all without codes."""

    targets: tuple[str, ...]
    codes: bytes | None = None

    def at(self, position: int) -> str:
        return self.targets[0] if self.codes is None else self.targets[self.codes[position]]

    def select(self, indices: IndexSet, target: str) -> IndexSet:
        """Those of `indices` (the segment's) whose task went to `target`."""
        if target not in self.targets:
            return EMPTY
        if self.codes is None:
            return indices if self.targets[0] == target else EMPTY
        code = self.targets.index(target)
        mask = self.codes.translate(bytes(other == code for other in range(256)))
        return IndexSet.of(array("q", compress(indices, mask)))


@dataclass(frozen=True)
class Segment:
    """Committed tasks of one step: the unit of the journal, and what a later run may reuse.

    `indices` are in launch order; row k of the pack (or of `rows`) belongs to `indices[k]`. `parent` is the step whose
    tasks led here (None for the start step; for a join the split that it closes). `taken` is given for a switch, `fanout` for a
    foreach step. `run` is the run that owns the pack and the blobs: the origin's id in a segment that a resume reused.
    Rows lie in `packs/<pack>` of that run from row `pack_row` on, or are `rows` themselves (lone tasks). `pack_indices` are the
    indices of all rows of that part of the pack, where only some of them (`indices`) are reused.
    """

    step: str
    indices: IndexSet
    lap: int = 0
    parent: str | None = None
    taken: Taken | None = None
    fanout: Fanout | None = None
    run: str = ""
    pack: str | None = None
    pack_row: int = 0
    pack_indices: IndexSet | None = None
    rows: tuple[Row, ...] = ()
    busy_s: float = 0.0
    caught: int = 0

    def part(self, indices: IndexSet) -> Segment:
        """The same facts about a subset of the indices. Its fan-out stays whole: ranges of tasks that are left out are
        simply never used again, so that indices keep their meaning."""
        if indices == self.indices:
            return self
        where = {index: position for position, index in enumerate(self.indices)}
        positions = [where[index] for index in indices]
        taken = self.taken
        if taken is not None and taken.codes is not None:
            taken = Taken(taken.targets, bytes(taken.codes[position] for position in positions))
        return replace(
            self,
            indices=indices,
            taken=taken,
            rows=tuple(self.rows[position] for position in positions) if self.rows else (),
            busy_s=self.busy_s * len(indices) / len(self.indices),
            pack_indices=(self.pack_indices or self.indices) if self.pack is not None else None,
        )

    def pack_position(self, index: int) -> int:
        """The row of the pack that holds `index`; ValueError when this segment does not."""
        if self.pack_indices is not None and index not in self.indices:
            raise ValueError(index)
        return self.pack_row + (self.pack_indices or self.indices).values.index(index)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A recorded attempt that failed. `is_final` where no attempt follows, so that the run fails."""

    key: TaskKey
    row: Row
    is_final: bool = False
    parent: str | None = None


class Outcome(str, Enum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
