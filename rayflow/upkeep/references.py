"""Which objects a run refers to."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from rayflow.catalog.reading import OpenedRun
from rayflow.catalog.run import RunRecord
from rayflow.model.layout import FlowLayout, RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, Outcome, Row, Segment
from rayflow.store import slices
from rayflow.store.blobs import Blobs
from rayflow.store.checkpoints import checkpoints_below
from rayflow.store.datasets import Manifest
from rayflow.store.packs import Pack, digest_in

_MAX_PACKS = 4


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a run refers to. `what` says what it holds; `nbytes` and `digest` (hex BLAKE3) are what it must have, where that is
    known (of a pack the digest's first digits), `least_nbytes` what it has at least. `index` is the task that needs it, of a segment's;
    None: all of them. `is_output`: what was printed, without which every value is what it was."""

    key: str
    what: str
    nbytes: int | None = None
    digest: str | None = None
    least_nbytes: int = 0
    index: int | None = None
    is_output: bool = False


class Referring:
    """What the runs of one flow refer to. Keeps a few packs' worth, since many segments share one.

    Not promised: safety for use from several threads.
    """

    def __init__(self, store: Store, flow: str) -> None:
        self._store = store
        self._flow = flow
        self._packs: OrderedDict[str, _PackReferences] = OrderedDict()

    def of_run(self, opened: OpenedRun) -> Iterator[Reference]:
        """Everything. Raises `StoreFault` where that cannot be known."""
        yield from self.of_record(opened.record)
        yield from self.of_failed(opened)
        for segment in opened.view.segments():
            yield from self.of_segment(segment, segment.run or opened.record.run_id)

    def of_record(self, record: RunRecord) -> Iterator[Reference]:
        """The code, the locks of environments, the parameters and the constants."""
        if record.code is not None:
            yield Reference(FlowLayout(self._flow).code(record.code), "the code of the run", digest=record.code)
        for step, digest in record.locks.items():
            yield Reference(FlowLayout(self._flow).environment(digest), f"the lock of the environment of {step}", digest=digest)
        yield from self.of_values(record)

    def of_values(self, record: RunRecord) -> Iterator[Reference]:
        """The parameters and the constants."""
        for kind, artifacts in (("parameter", record.parameters), ("constant", record.constants)):
            for name, artifact in artifacts.items():
                yield from self._of_artifact(record.run_id, artifact, f"{kind} '{name}'")

    def of_failed(self, opened: OpenedRun) -> Iterator[Reference]:
        """What failed attempts stored and printed."""
        for attempts in opened.view.failed.values():
            for failed in attempts:
                yield from self._of_row(opened.record.run_id, failed.row, f"of a failed attempt of {failed.key.step}")

    def of_checkpoints(self, opened: OpenedRun) -> Iterator[Reference]:
        """Those of a run that has not succeeded: one that has needs them no more. They are not told by `of_run`: no other run needs them
        unless it is about to continue this one."""
        if opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED:
            return
        for key, saved in checkpoints_below(self._store, opened.layout):
            what = f"a checkpoint of {key.split('/')[-3]}, which a resume does without"
            yield Reference(key, what)
            for piece in saved.pieces:
                yield Reference(piece.key, what, piece.nbytes, piece.digest)

    def of_segment(self, segment: Segment, run: str) -> Iterator[Reference]:
        """The pack of a segment that `run` owns, and what its rows refer to. Raises `StoreMissing` and `StoreCorrupt` where that cannot be
        read; the pack itself has been told then."""
        if segment.pack is None:
            for index, row in zip(segment.indices, segment.rows, strict=True):
                yield from self._of_row(run, row, f"of {segment.step}", index)
            return
        key = RunLayout(self._flow, run).pack(segment.pack)
        yield Reference(key, f"the records of tasks of {segment.step}", digest=digest_in(key))
        found = self._pack(key)
        indices = segment.pack_indices or segment.indices
        for position, name, artifact in found.between(segment.pack_row, segment.pack_row + len(indices)):
            index = indices[position - segment.pack_row]
            if index in segment.indices:
                yield from self._of_artifact(run, artifact, f"artifact '{name}' of {segment.step}[{index}]", index)
        for log, ends in found.logs.items():
            yield from self._of_log(run, log, ends, f"the output of {segment.step}")

    def _pack(self, key: str) -> _PackReferences:
        found = self._packs.get(key)
        if found is None:
            pack = Pack.open(self._store, key)
            blobs = sorted(pack.blobs(), key=lambda each: each[0])
            found = self._packs[key] = _PackReferences(blobs, [position for position, _, _ in blobs], pack.logs())
            if len(self._packs) > _MAX_PACKS:
                self._packs.popitem(last=False)
        self._packs.move_to_end(key)
        return found

    def _of_row(self, run: str, row: Row, whose: str, index: int | None = None) -> Iterator[Reference]:
        for name, artifact in row.artifacts.items():
            yield from self._of_artifact(run, artifact, f"artifact '{name}' {whose}", index)
        if row.logs is not None:
            yield from self._of_log(run, row.logs.name, (row.logs.out_end, row.logs.err_end), f"the output {whose}")

    def _of_artifact(self, run: str, artifact: Artifact, what: str, index: int | None = None) -> Iterator[Reference]:
        owner = artifact.run or run
        if artifact.blob is not None:
            key = RunLayout(self._flow, owner).blob(artifact.blob)
            yield Reference(key, what, artifact.nbytes, artifact.digest, index=index)
        if artifact.codec == "sliced":
            parts = slices.decode(memoryview(Blobs(self._store, self._flow, owner).read(artifact))).parts
            for part in parts:
                yield from self._of_artifact(owner, part, f"a part of {what}", index)

        if artifact.codec == "dataset":
            content = Blobs(self._store, self._flow, owner).read(artifact)
            manifest = Manifest.from_bytes(memoryview(content))
            for file in manifest.files:
                yield Reference(f"{manifest.directory}/{file.name}", f"a file of {what}", file.nbytes, file.digest, index=index)

    def _of_log(self, run: str, name: str, ends: tuple[int, int], what: str) -> Iterator[Reference]:
        layout = RunLayout(self._flow, run)
        for stream, end in zip(("out", "err", "marks"), (*ends, 0), strict=True):
            yield Reference(layout.log(name, stream), what, least_nbytes=end, is_output=True)


@dataclass(frozen=True)
class _PackReferences:
    """The artifacts of a pack that lie elsewhere, as (position, name, artifact) in order, and its logs with their ends."""

    blobs: list[tuple[int, str, Artifact]]
    positions: list[int]
    logs: dict[str, tuple[int, int]]

    def between(self, first: int, stop: int) -> list[tuple[int, str, Artifact]]:
        return self.blobs[bisect_left(self.positions, first) : bisect_left(self.positions, stop)]
