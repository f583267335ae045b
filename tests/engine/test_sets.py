from __future__ import annotations

from random import Random

from rayflow.engine.arrivals import SpaceTally, StaticTally, WideTally
from rayflow.engine.reuse import Known
from rayflow.engine.sets import concat, without
from rayflow.model.indexes import Fanout, IndexSet, counts_from
from rayflow.model.records import Segment


def test_pieces_that_continue_each_other_are_one_range() -> None:
    pieces = [IndexSet(range(0, 6, 2)), IndexSet(range(6, 10, 2)), IndexSet.single(10)]

    assert concat(pieces) == IndexSet(range(0, 12, 2))


def test_what_is_taken_away_leaves_the_rest_in_order() -> None:
    assert list(without(IndexSet.of([5, 1, 9, 2]), IndexSet.of([9, 1]))) == [5, 2]


def test_a_join_waits_for_the_last_of_its_group_in_any_order() -> None:
    rng = Random(7)
    counts = [3, 0, 1, 4, 2, 5] * 20
    tally = SpaceTally()
    tally.adopt(Fanout("s", 1000, IndexSet.span(0, len(counts)), counts_from(counts)))
    children = list(range(1000, 1000 + sum(counts)))
    rng.shuffle(children)

    found: list[int] = []
    while children:
        piece, children = children[:9], children[9:]
        found += [parent for done in tally.add(IndexSet.of(piece), False) for parent in done.indices]

    assert sorted(found) == [parent for parent, count in enumerate(counts) if count]


def test_a_range_of_whole_groups_is_complete_at_once() -> None:
    tally = SpaceTally()
    tally.adopt(Fanout("s", 0, IndexSet.span(0, 100_000), 3))

    complete = tally.add(IndexSet.span(1, 299_999), is_fresh=True)

    assert ([done.indices for done in complete], tally.tallies[0].arrived) == ([IndexSet.span(1, 99_999)], {0: 2, 99_999: 2})


def test_static_joins_of_any_width_agree() -> None:
    rng = Random(3)
    narrow, wide = StaticTally(3), WideTally(3)
    arrivals = [IndexSet(range(branch, 40_000, step)) for branch, step in ((0, 1), (0, 2), (1, 2), (0, 3), (2, 3), (1, 3))]
    rng.shuffle(arrivals)

    for indices in arrivals:
        fresh = rng.random() < 0.5
        one = {(index, done.is_fresh) for done in narrow.add(indices, fresh) for index in done.indices}
        other = {(index, done.is_fresh) for done in wide.add(indices, fresh) for index in done.indices}
        assert one == other


def test_known_outcomes_are_found_by_the_range() -> None:
    pieces = [IndexSet.span(0, 4), IndexSet.single(9), IndexSet.of([4, 6, 7]), IndexSet.span(20, 30)]
    known = Known(Segment("a", indices, run="1") for indices in pieces)

    parts, rest = known.split("a", 0, IndexSet.span(2, 22))

    assert sorted(index for part in parts for index in part.indices) == [2, 3, 4, 6, 7, 9, 20, 21]
    assert [index for piece in rest for index in piece] == [5, 8, *range(10, 20)]


def test_a_task_that_two_segments_name_counts_once() -> None:
    known = Known([Segment("a", IndexSet.span(0, 4)), Segment("a", IndexSet.span(2, 6))])

    parts, rest = known.split("a", 0, IndexSet.span(0, 6))

    assert ([list(part.indices) for part in parts], rest) == ([[0, 1, 2, 3], [4, 5]], [])
