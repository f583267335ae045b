"""The tasks of one step that are ready and not launched: pieces of index sets, in the order in which they became ready."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rayflow.engine.sets import adjoin, concat
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Failure


@dataclass(frozen=True, slots=True)
class Kind:
    """What tasks have in common that may share a batch. (Not the attempt: a batch lists the exceptions.) `is_repair`: they were done,
    their data is lost, and nothing else changed; what follows from them may be there."""

    parent: str | None
    lap: int
    why: str
    is_repair: bool = False


@dataclass(frozen=True, slots=True)
class Apart:
    """Tasks that make a batch of their own, with no others: one of them took a worker down, or they were lost with one; a single task that
    is tried again; a `@catch` fallback."""

    indices: IndexSet
    kind: Kind
    fallback_for: Failure | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a batch is made from."""

    indices: IndexSet
    kind: Kind
    fallback_for: Failure | None = None
    is_apart: bool = False


@dataclass(slots=True)
class _Pile:
    """Ready tasks of one kind, in pieces. `since` orders piles by their first task."""

    since: int
    pieces: deque[IndexSet] = field(default_factory=deque[IndexSet])

    def add(self, indices: IndexSet) -> None:
        longer = adjoin(self.pieces[-1], indices) if self.pieces else None
        if longer is None:
            self.pieces.append(indices)
        else:
            self.pieces[-1] = longer

    def take(self, count: int) -> IndexSet:
        taken: list[IndexSet] = []
        while count and self.pieces:
            head, rest = self.pieces.popleft().take(count)
            taken.append(head)
            count -= len(head)
            if rest:
                self.pieces.appendleft(rest)
        return concat(taken)


class StepQueue:
    """First in, first out by kind, after the tasks that stand apart and those that were handed back."""

    def __init__(self) -> None:
        self._apart: deque[Apart] = deque()
        self._front: OrderedDict[Kind, _Pile] = OrderedDict()
        self._piles: OrderedDict[Kind, _Pile] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def since(self) -> int:
        """When the oldest task became ready; -1 where some go first. ValueError when empty."""
        if self._apart or self._front:
            return -1
        if not self._piles:
            raise ValueError("empty queue")
        return next(iter(self._piles.values())).since

    def put(self, indices: IndexSet, kind: Kind, since: int) -> None:
        """Appends tasks that became ready. Cost: one operation, whatever their number."""
        self._piles.setdefault(kind, _Pile(since)).add(indices)
        self._count += len(indices)

    def put_first(self, indices: IndexSet, kind: Kind) -> None:
        """Adds tasks that go before all others: handed back, or retried."""
        self._front.setdefault(kind, _Pile(-1)).add(indices)
        self._count += len(indices)

    def put_apart(self, tasks: Apart) -> None:
        """Adds tasks that must not share a batch with others."""
        self._apart.append(tasks)
        self._count += len(tasks.indices)

    def take(self, count: int) -> Chunk:
        """Removes up to `count` (>= 1) tasks that may share a batch, or those that stand apart. ValueError when empty."""
        if self._apart:
            tasks = self._apart.popleft()
            self._count -= len(tasks.indices)
            return Chunk(tasks.indices, tasks.kind, tasks.fallback_for, is_apart=True)
        piles = self._front or self._piles
        if not piles:
            raise ValueError("empty queue")
        kind, pile = next(iter(piles.items()))
        indices = pile.take(count)
        if not pile.pieces:
            del piles[kind]
        self._count -= len(indices)
        return Chunk(indices, kind)

    def chunks(self) -> Iterator[Chunk]:
        """All that waits, as a dry run and the invariants see it; nothing is removed."""
        for tasks in self._apart:
            yield Chunk(tasks.indices, tasks.kind, tasks.fallback_for, is_apart=True)
        for piles in (self._front, self._piles):
            for kind, pile in piles.items():
                yield Chunk(concat(list(pile.pieces)), kind)
