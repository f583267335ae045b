from __future__ import annotations

from rayflow.engine.sizing import MAX_SPLITS, Pace


def sizes(split_s: float, splits: int, slots: int) -> list[int]:
    """The sizes of the batches of a fan-out, reported one by one."""
    pace, left, found = Pace(), splits, list[int]()
    while left:
        size = min(left, pace.batch_size(left, slots))
        found.append(size)
        pace, left = pace.after(size, split_s * size, split_s, size), left - size
    return found


def test_the_first_batches_have_one_split_each() -> None:
    assert Pace().batch_size(10**6, slots=2) == 1


def test_batches_grow_towards_the_target_and_shrink_at_the_end() -> None:
    assert sizes(0.01, 200, slots=1) == [1, 8, 64, 63, 32, 16, 8, 4, 4]


def test_batches_of_trivial_splits_do_not_become_trivial_at_the_end() -> None:
    assert sizes(20e-6, 100_000, slots=2)[-3:] == [1999, 1999, 1161]


def test_one_slow_split_does_not_stand_for_the_thousands_after_it() -> None:
    pace = Pace().after(1, 0.09, 0.09, 1).after(8, 8e-5, 1e-5, 8).after(64, 64e-5, 1e-5, 64)

    assert pace.batch_size(10**6, slots=2) > 200


def test_slow_splits_stay_one_per_batch() -> None:
    assert set(sizes(0.3, 50, slots=2)) == {1}


def test_uneven_splits_get_smaller_batches() -> None:
    even, uneven = Pace().after(1000, 1.0, 0.002, 10**4), Pace().after(1000, 1.0, 0.5, 10**4)

    assert (even.batch_size(10**6, 2), uneven.batch_size(10**6, 2)) == (1000, 500)


def test_a_batch_has_a_largest_size() -> None:
    assert Pace().after(10**6, 0.0, 0.0, 10**6).batch_size(10**8, 2) == MAX_SPLITS
