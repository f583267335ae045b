"""Reads rows and values from where segments say that they lie: in the segment itself, or in a pack.

Used by running tasks in their loops, so that it holds a few packs open and does as little as possible per value.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rayflow.flow.fanout import elements
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, Row, Segment
from rayflow.store.blobs import Blobs
from rayflow.store.slices import Sliced, Slices

if TYPE_CHECKING:
    from rayflow.store.packs import Pack

_MAX_PACKS = 16
_MAX_MAPS = 16
_MAX_SEQUENCES = 4
_KEPT_NBYTES = 32 << 20
"""A longer sequence is decoded for each batch anew: what is worth it lies in parts, or is mapped."""


class StoreReader:
    """A `lineage.RowReader` over the packs and blobs of one flow. `run` owns segments and artifacts that name no owner.

    Not promised: safety for use from several threads.
    """

    def __init__(self, store: Store, flow: str, run: str) -> None:
        self._store = store
        self._flow = flow
        self._run = run
        self._packs: OrderedDict[tuple[str, str], Pack] = OrderedDict()
        self._blobs: dict[str, Blobs] = {}
        self._sequences: OrderedDict[tuple[str, str, int, str], Sequence[Any]] = OrderedDict()
        self._positions: OrderedDict[int, tuple[Segment, dict[int, int]]] = OrderedDict()

    def row(self, segment: Segment, index: int) -> Row:
        """The record of a task; ValueError when the segment does not hold it."""
        if segment.rows:
            return segment.rows[self._position(segment, index)]
        return self.pack(segment).row(self.pack_position(segment, index))

    def artifact(self, segment: Segment, index: int, name: str) -> Artifact | None:
        if segment.rows:
            return segment.rows[self._position(segment, index)].artifacts.get(name)
        pack = self.pack(segment)
        return pack.artifact(self.pack_position(segment, index), name) if name in pack.names else None

    def names(self, segment: Segment, index: int) -> list[str]:
        if segment.rows:
            return list(segment.rows[self._position(segment, index)].artifacts)
        pack, position = self.pack(segment), self.pack_position(segment, index)
        return [name for name in pack.names if pack.artifact(position, name) is not None]

    def load(self, artifact: Artifact, run: str, name: str = "") -> Any:
        return self.blobs(run).load(artifact, name)

    def value(self, segment: Segment, index: int, name: str) -> Any:
        blobs = self.blobs(segment.run)
        if not segment.rows:
            return self.pack(segment).value(self.pack_position(segment, index), name, blobs.load)
        return blobs.load(segment.rows[self._position(segment, index)].artifacts[name], name)

    def sequence(self, segment: Segment, index: int, name: str) -> Sequence[Any]:
        """The elements of the sequence that the row stored under `name`: of a table its rows. KeyError when it did not. The last few are
        kept for the batches that follow, with the parts that were read of those in parts: look, and change nothing."""
        key = (segment.run, segment.step, index, name)
        found = self._sequences.get(key)
        if found is not None:
            self._sequences.move_to_end(key)
            return found
        artifact = self.artifact(segment, index, name)
        if artifact is None:
            raise KeyError(name)
        blobs = self.blobs(segment.run)
        value = blobs.load(artifact, name)
        is_in_parts = isinstance(value, Slices)
        found = Sliced(value, lambda part: elements(blobs.load(part, name))) if is_in_parts else elements(value)
        if artifact.nbytes <= _KEPT_NBYTES:
            self._sequences[key] = found
            if len(self._sequences) > _MAX_SEQUENCES:
                self._sequences.popitem(last=False)
        return found

    def blobs(self, run: str) -> Blobs:
        """The artifacts of `run` (of the reader's own run where that is empty)."""
        found = self._blobs.get(run)
        if found is None:
            found = self._blobs[run] = Blobs(self._store, self._flow, run or self._run)
        return found

    def pack(self, segment: Segment) -> Pack:
        """The open pack that holds the segment's rows. Raises `StoreMissing`, `StoreCorrupt`."""
        assert segment.pack is not None, f"a segment of {segment.step} has neither rows nor a pack"
        key = (segment.run, segment.pack)
        found = self._packs.get(key)
        if found is None:
            from rayflow.store.packs import Pack

            found = self._packs[key] = Pack.open(self._store, self.pack_key(segment))
            if len(self._packs) > _MAX_PACKS:
                self._packs.popitem(last=False)
        else:
            self._packs.move_to_end(key)
        return found

    def pack_key(self, segment: Segment) -> str:
        """The key of the pack that holds the segment's rows."""
        return RunLayout(self._flow, segment.run or self._run).pack(segment.pack or "")

    def pack_position(self, segment: Segment, index: int) -> int:
        """The row of the pack that holds `index`; ValueError when the segment does not."""
        if isinstance(segment.indices.values, range) and segment.pack_indices is None:
            return segment.pack_row + segment.indices.values.index(index)
        return self._position(segment, index)

    def _position(self, segment: Segment, index: int) -> int:
        """The position among the segment's rows, or in its pack. Scattered indices get a map, so that a loop over them is no
        quadratic one."""
        if segment.rows and isinstance(segment.indices.values, range):
            return segment.indices.values.index(index)
        known = self._positions.get(id(segment))
        if known is None or known[0] is not segment:
            known = self._positions[id(segment)] = (segment, _positions_of(segment))
            if len(self._positions) > _MAX_MAPS:
                self._positions.popitem(last=False)
        position = known[1].get(index)
        if position is None:
            raise ValueError(f"{segment.step}[{index}]")
        return position


def _positions_of(segment: Segment) -> dict[int, int]:
    if segment.rows:
        return {index: position for position, index in enumerate(segment.indices)}
    held = segment.pack_indices or segment.indices
    wanted = set(segment.indices) if isinstance(segment.indices.values, array) else segment.indices.values
    return {index: segment.pack_row + position for position, index in enumerate(held) if index in wanted}
