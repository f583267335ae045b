"""Tables and arrays from step to step."""

from __future__ import annotations

from scenarios.flows import tables


def test_tables_and_arrays_arrive_as_they_were_and_writable(play):
    data = play(tables.Tables).data

    assert (data.firsts, data.changed) == ([10.0, 11.0, 12.0], [0, 1, 2])
    assert data.shown == (
        [[1], [], [2, 3]],
        [{"s": "ą", "d": {"a": 1}}, {"s": None, "d": {"a": 2}}],
        3,
        ((0, 4), "complex64"),
        [[0, 1, 2], [3, 4, 5]],
        ["a", "ü"],
        (["r0", "r1", "r2", "r3", "r4", "r5"], "row", "category", "Europe/Warsaw"),
    )
