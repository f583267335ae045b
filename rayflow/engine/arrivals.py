"""Who has arrived at the joins. Counters per group, not per task, wherever the groups are ranges.

Each arrival is told once: the scheduler reports a task done exactly once, and a task leads to a join through one arm only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

from rayflow.engine.sets import ascending, cut
from rayflow.model.indexes import Fanout, IndexSet

BLOCK = 1 << 14
WIDE = 0x7F
FRESH = 0x80
ADD = {
    False: bytes((cell + 1) % 256 for cell in range(256)),
    True: bytes(((cell + 1) % 256) | FRESH for cell in range(256)),
}
"""How a cell of `StaticTally` changes by an arrival: its low bits count, its high bit says that one of them was fresh."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Groups whose last member has arrived; `is_fresh` where one of the members was not reused."""

    indices: IndexSet
    is_fresh: bool


class FanoutTally:
    """The arrivals at the join of one fan-out. State: two numbers per group that is partly there."""

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.arrived: dict[int, int] = {}
        self.fresh: set[int] = set()

    def add(self, values: range | array[int], is_fresh: bool) -> list[Complete]:
        """The parents whose children are all there, now that the children `values` (ascending, of this fan-out) are."""
        first, last = self.fanout.position_of(values[0]), self.fanout.position_of(values[-1])
        if first == last:
            return self._count(first, len(values), is_fresh)
        if not isinstance(values, range) or values.step != 1:
            return [done for position, count in self._spread(values) for done in self._count(position, count, is_fresh)]
        complete = self._count(first, self.fanout.children_at(first).stop - values.start, is_fresh)
        between = self._non_empty(first + 1, last)
        if between:
            complete.append(Complete(between, is_fresh))
        return complete + self._count(last, values.stop - self.fanout.children_at(last).start, is_fresh)

    def _count(self, position: int, count: int, is_fresh: bool) -> list[Complete]:
        arrived = self.arrived.pop(position, 0) + count
        if is_fresh:
            self.fresh.add(position)
        if arrived < self.fanout.count_at(position):
            self.arrived[position] = arrived
            return []
        was_fresh = position in self.fresh
        self.fresh.discard(position)
        return [Complete(IndexSet.single(self.fanout.parents[position]), was_fresh)]

    def _spread(self, values: range | array[int]) -> Iterator[tuple[int, int]]:
        """(position of the parent, how many of `values` are its children)."""
        begin = 0
        while begin < len(values):
            position = self.fanout.position_of(values[begin])
            end = cut(values, begin, self.fanout.children_at(position).stop)
            yield position, end - begin
            begin = end

    def _non_empty(self, first: int, stop: int) -> IndexSet:
        """The parents at these positions, less those without children: their joins did not wait for anyone."""
        parents, counts = self.fanout.parents.values[first:stop], self.fanout.counts
        if isinstance(counts, int) or 0 not in counts[first:stop]:
            return IndexSet(parents)
        return IndexSet.of(array("q", compress(parents, counts[first:stop])))


class SpaceTally:
    """The arrivals at the join of one foreach step, over all its fan-outs."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self.tallies: list[FanoutTally] = []

    def adopt(self, fanout: Fanout) -> None:
        """Makes a fan-out known; nothing happens where it is already."""
        where = bisect_right(self._bases, fanout.base)
        if fanout.total and not (where and self._bases[where - 1] == fanout.base):
            self._bases.insert(where, fanout.base)
            self.tallies.insert(where, FanoutTally(fanout))

    def add(self, children: IndexSet, is_fresh: bool) -> list[Complete]:
        """The parents whose children are all there, now that these are."""
        values = ascending(children)
        complete: list[Complete] = []
        begin = 0
        while begin < len(values):
            tally = self.tallies[bisect_right(self._bases, values[begin]) - 1]
            end = cut(values, begin, tally.fanout.stop)
            complete += tally.add(values[begin:end], is_fresh)
            begin = end
        return complete


class StaticTally:
    """The arrivals at the join of a static split: one byte per index, counted up by `bytes.translate` at memory speed."""

    def __init__(self, branches: int) -> None:
        self.branches = branches
        self.blocks: dict[int, bytearray] = {}

    def add(self, indices: IndexSet, is_fresh: bool) -> list[Complete]:
        """Those of `indices` for which the last branch arrived with this."""
        values = ascending(indices)
        complete: list[Complete] = []
        begin = 0
        while begin < len(values):
            number = values[begin] // BLOCK
            end = cut(values, begin, (number + 1) * BLOCK)
            piece = values[begin:end]
            complete += self._complete(piece, self._count(number, piece, is_fresh))
            begin = end
        return complete

    def _count(self, number: int, piece: range | array[int], is_fresh: bool) -> bytes:
        """The cells of `piece`, which lies in block `number`, after one more arrival."""
        block, base = self.blocks.setdefault(number, bytearray()), number * BLOCK
        if len(block) <= piece[-1] - base:
            block.extend(bytes(piece[-1] - base + 1 - len(block)))
        if isinstance(piece, range):
            where = slice(piece[0] - base, piece[-1] - base + 1, piece.step)
            block[where] = block[where].translate(ADD[is_fresh])
            return bytes(block[where])
        for index in piece:
            block[index - base] = ADD[is_fresh][block[index - base]]
        return bytes(block[index - base] for index in piece)

    def _complete(self, piece: range | array[int], cells: bytes) -> list[Complete]:
        complete: list[Complete] = []
        for full, is_fresh in ((self.branches, False), (self.branches | FRESH, True)):
            count = cells.count(full)
            if count == len(cells):
                return [Complete(IndexSet(piece), is_fresh)]
            if count:
                chosen = compress(piece, (cell == full for cell in cells))
                complete.append(Complete(IndexSet.of(array("q", chosen)), is_fresh))
        return complete


class WideTally:
    """As `StaticTally`, for splits of more branches than a cell can count: a number per index that is partly there."""

    def __init__(self, branches: int) -> None:
        self.branches = branches
        self.arrived: dict[int, int] = {}
        self.fresh: set[int] = set()

    def add(self, indices: IndexSet, is_fresh: bool) -> list[Complete]:
        """Those of `indices` for which the last branch arrived with this."""
        complete: list[Complete] = []
        for index in indices:
            if is_fresh:
                self.fresh.add(index)
            self.arrived[index] = self.arrived.get(index, 0) + 1
            if self.arrived[index] == self.branches:
                del self.arrived[index]
                complete.append(Complete(IndexSet.single(index), index in self.fresh))
        return complete


def static_tally(branches: int) -> StaticTally | WideTally:
    """The tally for a split of so many branches."""
    return StaticTally(branches) if branches <= WIDE else WideTally(branches)
