"""What the engine does with index sets beyond the model: joining pieces, and taking away at the cost of a comparison."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from rayflow.model.indexes import EMPTY, IndexSet


def adjoin(first: IndexSet, second: IndexSet) -> IndexSet | None:
    """The two as one range, where `second` continues `first`; else None."""
    a, b = first.values, second.values
    if isinstance(a, range) and isinstance(b, range) and a.stop == b.start and a.step == b.step:
        return IndexSet(range(a.start, b.stop, a.step))
    return None


def concat(pieces: Sequence[IndexSet]) -> IndexSet:
    """All indices of disjoint sets, in order."""
    if not pieces:
        return EMPTY
    merged = [pieces[0]]
    for piece in pieces[1:]:
        longer = adjoin(merged[-1], piece)
        if longer is None:
            merged.append(piece)
        else:
            merged[-1] = longer
    if len(merged) == 1:
        return merged[0]
    values = array("q")
    for piece in merged:
        values.extend(piece.values)
    return IndexSet.of(values)


def without(indices: IndexSet, gone: IndexSet) -> IndexSet:
    """`indices` less `gone`. Reports name tasks in launch order, so `gone` nearly always is how `indices` begins."""
    head, rest = indices.take(len(gone))
    return rest if head == gone else indices.difference(gone)


def within(indices: IndexSet, whole: IndexSet) -> IndexSet:
    """Those of `indices` that are in `whole`, at the same cost as `without`."""
    head, _ = whole.take(len(indices))
    return indices if head == indices else indices.intersection(whole)


def halves(indices: IndexSet) -> tuple[IndexSet, IndexSet]:
    """The first half and the second."""
    return indices.take((len(indices) + 1) // 2)


def ascending(indices: IndexSet) -> range | array[int]:
    """The indices in ascending order, for `bisect`."""
    values = indices.values
    return values if isinstance(values, range) else array("q", sorted(values))


def gaps(whole: IndexSet, spans: Iterable[range]) -> Iterator[IndexSet]:
    """What the ascending, disjoint `spans` leave of the dense set `whole`."""
    cursor = whole.lowest
    for span in spans:
        if span.start > cursor:
            yield IndexSet.span(cursor, span.start)
        cursor = span.stop
    if cursor <= whole.highest:
        yield IndexSet.span(cursor, whole.highest + 1)


def cut(values: range | array[int], begin: int, stop: int) -> int:
    """The position of the first of the ascending `values`, from position `begin` on, that is `stop` or more."""
    return bisect_left(values, stop, begin)
