"""Index sets and fan-outs: a million sibling tasks named in a few bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

ROOT_SPACE = ""
"""The space of steps outside every foreach; its only index is 0."""


class TaskKey(NamedTuple):
    """Which task of a run. `index` is flat within the step's space; `lap` counts a recursive step's own repetitions."""

    step: str
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - tuple.index is nobody's need here, the word is the glossary's
    lap: int = 0


class Lane(NamedTuple):
    """Where tasks that are performed together stand: their step, the lap of a recursive one, and the step that led to them (None for the
    start step; for a join the split that it closes)."""

    step: str
    lap: int
    parent: str | None


@dataclass(frozen=True, slots=True)
class IndexSet:
    """An immutable, ordered, duplicate-free collection of flat indices (each 0 <= i < 2**63).

    Backed by a `range` where the indices form an arithmetic progression (all of a fan-out; one arm of an alternating
    switch), else by an `array('q')` of 8 bytes an index. Order is the order given.
    """

    values: range | array[int]

    @staticmethod
    def span(start: int, stop: int) -> IndexSet:
        """The indices start, start + 1, ..., stop - 1."""
        return IndexSet(range(start, stop))

    @staticmethod
    def single(index: int) -> IndexSet:
        return IndexSet(range(index, index + 1))

    @staticmethod
    def of(indices: Iterable[int]) -> IndexSet:
        """The given indices, compressed to a range where they are an arithmetic progression."""
        if isinstance(indices, range):
            return IndexSet(indices)
        values = indices if isinstance(indices, array) else array("q", indices)
        if len(values) == 0:
            return EMPTY
        step = values[1] - values[0] if len(values) > 1 else 1
        if step > 0:
            guess = range(values[0], values[0] + step * len(values), step)
            if guess[-1] == values[-1] and array("q", guess) == values:
                return IndexSet(guess)
        return IndexSet(values)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)

    def __contains__(self, index: object) -> bool:
        return index in self.values

    def __getitem__(self, position: int) -> int:
        return self.values[position]

    @property
    def is_dense(self) -> bool:
        """Whether these are consecutive ascending indices."""
        return isinstance(self.values, range) and self.values.step == 1

    @property
    def lowest(self) -> int:
        """The smallest index; ValueError when empty."""
        return self.values[0] if isinstance(self.values, range) else min(self.values)

    @property
    def highest(self) -> int:
        """The largest index; ValueError when empty."""
        return self.values[-1] if isinstance(self.values, range) else max(self.values)

    def take(self, count: int) -> tuple[IndexSet, IndexSet]:
        """The first `count` indices and the rest."""
        return IndexSet(self.values[:count]), IndexSet(self.values[count:])

    def intersection(self, other: IndexSet) -> IndexSet:
        """The indices of this set that are in `other`, in this set's order."""
        if self.is_dense and other.is_dense:
            a, b = self.values, other.values
            return IndexSet.span(max(a[0], b[0]), min(a[-1], b[-1]) + 1) if a and b and a[0] <= b[-1] and b[0] <= a[-1] else EMPTY
        members = other.values if isinstance(other.values, range) else set(other.values)
        return IndexSet.of(array("q", (i for i in self.values if i in members)))

    def difference(self, other: IndexSet) -> IndexSet:
        """The indices of this set that are not in `other`, in this set's order."""
        if not self or not other or self.highest < other.lowest or other.highest < self.lowest:
            return self
        members = other.values if isinstance(other.values, range) else set(other.values)
        return IndexSet.of(array("q", (i for i in self.values if i not in members)))

    def to_json(self) -> list[int] | dict[str, list[int]]:
        """`[start, stop, step]` of a range, or `{"at": [...]}`."""
        if isinstance(self.values, range):
            return [self.values.start, self.values.stop, self.values.step]
        return {"at": self.values.tolist()}

    @staticmethod
    def from_json(form: Any) -> IndexSet:
        """Inverse of `to_json`; ValueError or TypeError on anything else."""
        if isinstance(form, dict):
            return IndexSet(array("q", form["at"]))
        start, stop, step = form
        return IndexSet(range(start, stop, step))


EMPTY = IndexSet(range(0))


@dataclass(frozen=True)
class Fanout:
    """One reservation of child indices: the splits that tasks `parents` of the foreach step `step` fanned out to.

    The children of the k-th parent are the contiguous flat indices following those of the parents before it, from
    `base` on. `counts` is one number where all parents have equally many, else one per parent.
    `first_id` starts the range of task ids reserved for the steps of the fan-out's body (see `task_id` in `catalog`).
    """

    step: str
    base: int
    parents: IndexSet
    counts: int | Sequence[int]
    first_id: int = 0
    _ends: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.counts, int):
            self._ends.extend(accumulate(self.counts))

    @property
    def total(self) -> int:
        """How many child indices are reserved."""
        if isinstance(self.counts, int):
            return self.counts * len(self.parents)
        return self._ends[-1] if self._ends else 0

    @property
    def stop(self) -> int:
        return self.base + self.total

    def count_at(self, position: int) -> int:
        """How many splits the parent at `position` of `parents` has."""
        return self.counts if isinstance(self.counts, int) else self.counts[position]

    def children_at(self, position: int) -> range:
        """The flat indices of the splits of the parent at `position` of `parents`."""
        if isinstance(self.counts, int):
            start = self.base + position * self.counts
            return range(start, start + self.counts)
        end = self._ends[position]
        return range(self.base + end - self.counts[position], self.base + end)

    def position_of(self, child: int) -> int:
        """The position in `parents` of the parent of flat index `child` (base <= child < stop)."""
        offset = child - self.base
        if isinstance(self.counts, int):
            return offset // self.counts
        return bisect_right(self._ends, offset)

    def locate(self, child: int) -> tuple[int, int, int]:
        """(parent's flat index, position among its siblings, number of siblings) of flat index `child`."""
        position = self.position_of(child)
        siblings = self.children_at(position)
        return self.parents[position], child - siblings.start, len(siblings)


def counts_from(values: Sequence[int]) -> int | tuple[int, ...]:
    """`counts` of a Fanout from one number per parent: a single number where all are equal."""
    first = values[0] if values else 0
    if all(value == first for value in values):
        return first
    return tuple(values)
