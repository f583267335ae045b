from __future__ import annotations

import collections
import datetime
import inspect

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rayflow.flow.fanout import NotIterableError, Rows, elements, in_order
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parse import parse
from rayflow.flow.step import step
from rayflow.flow.transition import Transition, check_taken, static_transition
from rayflow.model.errors import InvalidNextException
from rayflow.model.graph import Node, NodeKind

from .tasks import task_of


class Flow(FlowSpec):
    @step
    def start(self):
        self.next(self.a)

    @step
    def a(self):
        self.next(self.a)

    @step
    def b(self):
        self.next(self.a)

    def helper(self):
        pass


def taken(call, **given):
    """The transition of a task of `Flow` whose body is `call`."""
    flow = task_of(Flow, "start", **given)
    call(flow)
    return flow._rayflow.taken


def refusal(call, **given):
    """The message of the `InvalidNextException` that `call` raises, without its place."""
    with pytest.raises(InvalidNextException) as raised:
        taken(call, **given)
    return raised.value.message


def test_a_linear_transition():
    assert taken(lambda self: self.next(self.a)) == Transition(("a",))


def test_a_repeated_linear_transition_is_answered_from_the_class():
    first, second = task_of(Flow, "start"), None
    second = object.__new__(type(first))
    second.__dict__["_rayflow"] = type(first._rayflow)("start")

    first.next(first.a)
    second.next(second.a)

    assert first._rayflow.taken is second._rayflow.taken


def test_a_static_split():
    assert taken(lambda self: self.next(self.a, self.b)) == Transition(("a", "b"))


def test_a_foreach_takes_its_items_from_the_artifact_even_an_inherited_one():
    transition = taken(lambda self: self.next(self.a, foreach="items"), artifacts={"items": ["x", "y"]})

    assert transition == Transition(("a",), foreach="items", items=["x", "y"], count=2)


def test_a_foreach_over_nothing_has_no_splits():
    assert taken(lambda self: self.next(self.a, foreach="items"), artifacts={"items": []}).count == 0


def test_what_a_one_shot_iterator_gave_becomes_the_artifact():
    flow = task_of(Flow, "start")
    flow.items = map(str, [1, 2])

    flow.next(flow.a, foreach="items")

    assert (flow._rayflow.taken.items, flow.items) == (["1", "2"], ["1", "2"])


def test_a_gang():
    assert taken(lambda self: self.next(self.a, num_parallel=3)) == Transition(("a",), count=3, num_parallel=3)


@pytest.mark.parametrize(("kind", "target"), [("x", "a"), (1, "b"), (True, "b"), (None, "a")])
def test_a_switch_goes_where_its_artifact_says(kind, target):
    transition = taken(lambda self: self.next({"x": self.a, 1: self.b, None: self.a}, condition="kind"), artifacts={"kind": kind})

    assert transition == Transition((target,), condition="kind")


def test_a_switch_without_a_case_for_the_value_names_the_cases():
    with pytest.raises(RuntimeError, match=r"Switch over self\.kind: its value 'z' has no case\. The available cases are: 'x', 1\."):
        taken(lambda self: self.next({"x": self.a, 1: self.b}, condition="kind"), artifacts={"kind": "z"})


def test_a_switch_over_an_unhashable_value_is_a_type_error():
    with pytest.raises(TypeError, match="unhashable"):
        taken(lambda self: self.next({"x": self.a, "y": self.b}, condition="kind"), artifacts={"kind": []})


REFUSED = {
    "an unknown keyword": (lambda self: self.next(self.a, when="x"), "got an unknown keyword argument 'when'"),
    "two keywords": (lambda self: self.next(self.a, foreach="x", num_parallel=2), "combines foreach and num_parallel"),
    "a condition and a foreach": (lambda self: self.next({1: self.a}, condition="x", foreach="y"), "combines condition and foreach"),
    "no targets": (lambda self: self.next(), "names no step to go to"),
    "a dictionary without a condition": (lambda self: self.next({1: self.a}), "got a dictionary of targets without a condition"),
    "a condition without a dictionary": (lambda self: self.next(self.a, condition="x"), "takes one dictionary that is not empty"),
    "an empty dictionary": (lambda self: self.next({}, condition="x"), "takes one dictionary that is not empty"),
    "a condition that is no string": (lambda self: self.next({1: self.a}, condition=3), "has condition=3. The condition is a string"),
    "a condition that does not exist": (lambda self: self.next({1: self.a}, condition="x"), "there is no artifact of that name"),
    "a target that is no method": (lambda self: self.next("a"), "got 'a', which is not a method of the flow"),
    "a method of another object": (lambda self: self.next([].append), "which is not a method of the flow"),
    "a method that is no step": (lambda self: self.next(self.helper), "got the method 'helper', which is not a step"),
    "a foreach that is no string": (lambda self: self.next(self.a, foreach=[1]), "has foreach=[1]. The foreach argument is a string"),
    "a foreach to two steps": (lambda self: self.next(self.a, self.b, foreach="x"), "to 2 steps ('a', 'b'). A foreach takes exactly one"),
    "a foreach artifact that does not exist": (lambda self: self.next(self.a, foreach="x"), "has foreach='x', but there is no artifact"),
    "a gang of two steps": (lambda self: self.next(self.a, self.b, num_parallel=2), "has num_parallel with 2 steps"),
    "a gang of no number": (lambda self: self.next(self.a, num_parallel="many"), "has num_parallel='many'. Give the number of nodes"),
    "a gang of nobody": (lambda self: self.next(self.a, num_parallel=0), "has num_parallel=0. Give the number of nodes, from 1 on"),
    "a gang of nothing": (lambda self: self.next(self.a, num_parallel=None), "has num_parallel=None. Give the number of nodes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_next_refuses(what):
    call, key_words = REFUSED[what]

    message = refusal(call)

    assert message.startswith("In step 'start', self.next() ") and key_words in message


def test_next_refuses_a_foreach_over_what_is_not_iterable():
    message = refusal(lambda self: self.next(self.a, foreach="n"), artifacts={"n": 7})

    assert message == (
        "In step 'start', self.next() has foreach='n', and self.n (int) is not iterable. "
        "A foreach needs a list, or another value with elements."
    )


def test_next_is_called_once():
    def twice(self):
        self.next(self.a)
        self.next(self.b)

    assert (
        refusal(twice)
        == "In step 'start', self.next() was called more than once: it went to 'a' before. Call it once, as the last statement."
    )


def test_a_refusal_names_the_line_of_the_call():
    def body(self):
        self.next(self.a, when="x")

    with pytest.raises(InvalidNextException) as raised:
        taken(body)

    assert (raised.value.source_file, raised.value.line_no) == (__file__, inspect.getsourcelines(body)[1] + 1)


class Indexed:
    """Has elements by position only."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        if not 0 <= i < 3:
            raise IndexError(i)
        return i * 10


class TableOfAnother:
    """A table of a library that is not known."""

    columns = ("x",)

    def __len__(self):
        return 2


class Named(pd.DataFrame):
    """As geopandas has them."""


INSTANT = datetime.datetime(2024, 5, 1, 12, 30)
COLUMNS = {"n": [1, None, 3], "s": ["ą", "", None], "t": [INSTANT, None, INSTANT]}
FRAME = pd.DataFrame({"n": [1, 2], "x": np.array([0.5, np.nan], "float32"), "t": [INSTANT, pd.NaT]}, index=pd.Index(["b", "a"], name="key"))
TABLES = {
    "Table": pa.table(COLUMNS),
    "chunked Table": pa.concat_tables([pa.table(COLUMNS), pa.table(COLUMNS)]),
    "RecordBatch": pa.record_batch(COLUMNS),
    "pandas": FRAME,
    "numbers for columns": pd.DataFrame(np.ones((2, 3))),
    "no columns": pd.DataFrame(index=range(2)),
    "subclass": Named(FRAME),
    "Arrow in pandas": pd.DataFrame({"n": pd.array([1, None], dtype=pd.ArrowDtype(pa.int64()))}),
    "polars": pl.DataFrame(COLUMNS),
    "empty Table": pa.table({"n": pa.array([], pa.int64())}),
    "empty pandas": pd.DataFrame({"n": []}),
}


@pytest.mark.parametrize(
    "value",
    [[1, 2], (1, 2), range(5), "text", b"bytes", np.arange(3), np.ones((2, 2)), pa.array([1, 2]), collections.deque([1]), Indexed(), []],
    ids=lambda value: type(value).__name__,
)
def test_what_is_indexed_is_used_as_it_is(value):
    assert in_order(value) is value


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ({3}, [3]),
        (frozenset("a"), ["a"]),
        ({"k": 1}.keys(), ["k"]),
        ({"k": 1}.items(), [("k", 1)]),
        (iter([1, 2]), [1, 2]),
        ((i for i in range(2)), [0, 1]),
        (pd.Series([5, 6], index=[9, 8]), [5, 6]),
        ({1: "b", 0: "a"}, ["a", "b"]),
        ({}, []),
    ],
    ids=["set", "frozenset", "keys", "items", "iterator", "generator", "series", "mapping", "empty"],
)
def test_what_is_not_indexed_becomes_a_list_in_the_order_of_iteration(value, items):
    assert in_order(value) == items


@pytest.mark.parametrize(
    ("value", "key_words"),
    [
        (7, "is not iterable"),
        (None, "is not iterable"),
        (np.array(7), "is not iterable"),
        ({"k": 1}, "is a mapping"),
        (TableOfAnother(), "is a table, of which"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), r"has several columns 'x'.*Rename them"),
        (pa.table([[1], [2]], names=["x", "x"]), "has several columns 'x'"),
    ],
    ids=["number", "None", "array without a shape", "mapping", "table of another library", "columns of one name", "the same in Arrow"],
)
def test_what_has_no_clear_elements_is_refused(value, key_words):
    with pytest.raises(NotIterableError, match=key_words):
        in_order(value)


def records_of(table):
    """The rows as the library itself gives them."""
    return (
        table.to_dict("records")
        if isinstance(table, pd.DataFrame)
        else table.to_dicts()
        if isinstance(table, pl.DataFrame)
        else table.to_pylist()
    )


@pytest.mark.parametrize("kind", TABLES)
def test_the_elements_of_a_table_are_its_rows_as_the_library_has_them(kind):
    table = TABLES[kind]

    rows = elements(in_order(table))

    assert in_order(table) is table
    assert (len(rows), repr(list(rows))) == (len(table), repr(records_of(table)))


def test_values_of_rows_are_plain_python():
    mixed = pd.DataFrame(
        {"i": np.arange(1, dtype="int8"), "o": pd.Series([np.int64(3)], dtype=object), "m": pd.array([None], dtype="Int64")}
    )

    assert [(type(value), value) for value in elements(mixed)[0].values()] == [(int, 0), (int, 3), (type(None), None)]


@pytest.mark.parametrize("make", [pa.table, pd.DataFrame, pl.DataFrame])
def test_rows_are_found_in_any_order_and_end_where_the_table_does(make):
    rows = elements(make({"n": range(5000)}))

    assert [rows[position]["n"] for position in (4999, 0, 1023, 1024, 2048, 2047, 4096)] == [4999, 0, 1023, 1024, 2048, 2047, 4096]
    for outside in (5000, -1):
        with pytest.raises(IndexError):
            rows[outside]


def test_one_row_does_not_convert_the_table():
    read = []
    rows = Rows(range(1_000_000), lambda table, start, stop: read.append((start, stop)) or list(table[start:stop]))

    assert [rows[position] for position in (500_000, 500_001, 999_999)] == [500_000, 500_001, 999_999]
    assert read == [(499_712, 500_736), (999_424, 1_000_000)]


def test_what_is_no_table_is_its_own_elements():
    for value in ([1], range(3), np.arange(3)):
        assert elements(value) is value


def test_an_error_within_the_iteration_of_a_value_is_its_own():
    class Broken:
        def __iter__(self):
            raise TypeError("mine")

    with pytest.raises(TypeError, match="mine") as raised:
        in_order(Broken())

    assert not isinstance(raised.value, NotIterableError)


def test_the_groups_of_a_frame_are_its_elements():
    assert [key for key, _ in in_order(pd.DataFrame({"x": [1, 2]}).groupby("x"))] == [1, 2]


LINEAR = Node("s", NodeKind.LINEAR, 3, "f.py", targets=("a",), next_line=5)
FOREACH = Node("s", NodeKind.FOREACH, 3, "f.py", targets=("a",), foreach="items", next_line=5)
GANG = Node("s", NodeKind.FOREACH, 3, "f.py", targets=("a",), num_parallel=True, next_line=5)
SWITCH = Node("s", NodeKind.SWITCH, 3, "f.py", targets=("a", "b"), condition="x", next_line=5)
END = Node("end", NodeKind.END, 9, "f.py")


@pytest.mark.parametrize(
    ("node", "transition"),
    [
        (LINEAR, Transition(("a",))),
        (FOREACH, Transition(("a",), foreach="items", items=[1], count=1)),
        (GANG, Transition(("a",), num_parallel=2, count=2)),
        (GANG, Transition(("a",))),
        (SWITCH, Transition(("b",), condition="x")),
        (END, None),
    ],
)
def test_a_transition_that_agrees_with_the_source_passes(node, transition):
    assert check_taken(node, transition) is None


@pytest.mark.parametrize(
    ("node", "transition", "text"),
    [
        (LINEAR, None, "to 'a', but self.next() was never called"),
        (LINEAR, Transition(("b",)), "to 'a', but self.next() was called with 'b'."),
        (LINEAR, Transition(("a",), foreach="x"), "to 'a', but self.next() was called with 'a' with foreach='x'."),
        (LINEAR, Transition(("a",), num_parallel=2), "to 'a', but self.next() was called with 'a'"),
        (FOREACH, Transition(("a",), foreach="x"), "to 'a' with foreach='items', but"),
        (GANG, Transition(("b",), num_parallel=2), "to 'a' with num_parallel, but"),
        (SWITCH, Transition(("c",), condition="x"), "to one of 'a', 'b' with condition='x', but"),
        (SWITCH, Transition(("a",)), "to one of 'a', 'b' with condition='x', but"),
        (END, Transition(("a",)), "to nothing, but"),
    ],
)
def test_a_transition_that_differs_from_the_source_is_refused(node, transition, text):
    with pytest.raises(InvalidNextException) as raised:
        check_taken(node, transition)

    assert f"Based on static analysis of the code, step '{node.name}' was expected to transition {text}" in raised.value.message


def test_a_caught_task_goes_where_its_source_says():
    assert static_transition(parse(Flow)["start"]) == Transition(("a",))
