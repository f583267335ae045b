"""How two values differ, in words that fit their type."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rayflow.client.differences import differences


class Odd:
    """Compares like nothing else."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"Odd({self.number})"


class Broken(Odd):
    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


TABLE = {"x": [1, 2, 3], "y": [0.5, math.nan, 1.5], "z": ["a", "b", None]}


@pytest.mark.parametrize(
    "value",
    [
        *(1, 1.5, math.nan, "a", None, True, [1, [2, math.nan]], {"a": {"b": (1,)}}, {1, 2}),
        *(np.arange(3), np.array([1, np.nan]), np.float64("nan"), np.array(["a", None], object)),
        *(pd.DataFrame(TABLE), pl.DataFrame(TABLE), pa.table(TABLE), pd.Series([1, 2])),
    ],
)
def test_equal_values_do_not_differ(value):
    assert differences(value, copy.deepcopy(value)) == []


@pytest.mark.parametrize(
    ("a", "b", "lines"),
    [
        (1, 3, ["1 -> 3 (+2, +200.000%)"]),
        (0.5, 0.25, ["0.5 -> 0.25 (-0.25, -50.000%)"]),
        (0, 2, ["0 -> 2 (+2)"]),
        (1, 1.0, ["int 1 -> float 1.0"]),
        (1, True, ["int 1 -> bool True"]),
        (math.nan, 1.0, ["nan -> 1.0 (+nan)"]),
        (3, "3", ["int 3 -> str '3'"]),
        ("ab", "ac", ["'ab' -> 'ac'"]),
        ("x" * 99 + "\nend", "x" * 99 + "\nEnd!", ["103 -> 104 characters, first differing at 100 (line 2): 'end' -> 'End!'"]),
        ([1, 2], [1, 3, 4], ["2 -> 3 items", "[1]: 2 -> 3 (+1, +50.000%)"]),
        ((1,), [1], ["tuple (1,) -> list [1]"]),
        (
            {"a": 1, "b": [{"c": 1}], "d": 0},
            {"a": 1, "b": [{"c": "x"}], "e": 5},
            ["['b'][0]['c']: int 1 -> str 'x'", "['d']: removed, was 0", "['e']: added: 5"],
        ),
        (OrderedDict(a=1), OrderedDict(a=2), ["['a']: 1 -> 2 (+1, +100.000%)"]),
        ({1, 2}, {2, 3}, ["removed 1", "added 3"]),
        (Odd(1), Odd(2), ["Odd(1) -> Odd(2)"]),
        (Broken(1), Broken(1), ["Odd(1) -> Odd(1)"]),
        (np.array([1, 2, 3]), np.array([1, 2, 7]), ["1 of 3 elements differ, by at most 4"]),
        (np.zeros((2, 3)), np.zeros((3, 2)), ["shape (2, 3) -> (3, 2)"]),
        (np.array([1, 2]), np.array([1.0, 2.5]), ["dtype int64 -> float64", "1 of 2 elements differ, by at most 0.5"]),
        (np.array([1.0, np.nan]), np.array([np.nan, np.nan]), ["1 of 2 elements differ, NaN in one only"]),
        (np.array([250], np.uint8), np.array([5], np.uint8), ["1 of 1 elements differ, by at most 245"]),
        (np.array(["a", "b"]), np.array(["a", "c"]), ["1 of 2 elements differ"]),
        ({"w": np.zeros(2)}, {"w": np.ones(2)}, ["['w']: 2 of 2 elements differ, by at most 1"]),
        (
            pa.table({"x": [1, 2], "y": [1, 2]}),
            pa.table({"y": ["1", "2", "3"], "z": [0, 0, 0]}),
            ["column 'x' removed", "column 'z' added (int64)", "2 -> 3 rows", "column 'y': int64 -> string"],
        ),
        (pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [1, 5]}), ["column 'x': 1 of 2 elements differ, by at most 3"]),
        (pd.DataFrame(TABLE), pd.DataFrame({**TABLE, "z": ["a", "q", None]}), ["column 'z': 1 of 3 rows differ"]),
        (pa.table({"x": [1, None]}), pa.table({"x": [1, 4]}), ["column 'x': 1 of 2 rows differ"]),
        (pa.table({"x": [1], "y": [1]}), pa.table({"y": [1], "x": [1]}), ["the columns are in another order"]),
        (pd.Series([1, 2], name="s"), pd.Series([1, 4], name="s"), ["column 's': 1 of 2 elements differ, by at most 2"]),
    ],
)
def test_differences_are_told_by_type(a, b, lines):
    assert differences(a, b) == lines


def test_of_very_many_a_few_are_told():
    assert differences(list(range(100)), list(range(1, 101)), 2) == [
        "[0]: 0 -> 1 (+1)",
        "[1]: 1 -> 2 (+1, +100.000%)",
        "...",
    ]
