"""Linear flows, splits, foreaches and their joins."""

from __future__ import annotations

import pytest

from rayflow.testing import run_flow
from scenarios.flows import shapes


def test_steps_run_one_after_another_and_hand_on_what_they_change(play):
    played = play(shapes.Linear)

    assert (played.data.trail, played.run["start"].task.data.trail) == (["start", "middle", "end"], ["start"])


def test_a_flow_of_one_step_is_a_flow(play):
    played = play(shapes.OneStep)

    assert (played.data.answer, played.run.successful) == (42, True)


def test_the_first_and_the_last_step_may_have_any_name(play):
    run = play(shapes.NamedEnds).run

    info = run["publish"].task["_graph_info"].data
    assert (run.end_task.pathspec, run.successful, run.data.steps) == (run["publish"].task.pathspec, True, list(info["steps"]))
    assert (info["start_step"], info["end_step"], info["steps"]["fetch"]["node_info"]) == ("fetch", "publish", {"colour": "red"})
    assert [run["_parameters"].task.metadata_dict[name] for name in ("start_step", "end_step")] == ["fetch", "publish"]


def test_a_task_says_where_it_is(play):
    played = play(shapes.NamedEnds)

    assert played.run["fetch"].task.data.where == [("<flow NamedEnds step fetch>", "fetch")]
    assert played.data.where == [
        ("<flow NamedEnds step work[0] (input: a)>", "work"),
        ("<flow NamedEnds step work[1] (input: b)>", "work"),
        ("<flow NamedEnds step publish>", "publish"),
    ]


def test_a_static_join_gets_its_inputs_in_the_order_of_declaration(play):
    data = play(shapes.Split).data

    assert (data.order, data.by_name, data.by_index, data.count) == (["z", "ap", "m"], ("z", "ap", "m"), ("z", "m", ["ap", "m"]), 3)
    assert (data.origins, data.is_empty_before_merge, data.has_apple) == ({"s"}, True, False)
    assert data.index_in_split == (None, None, [])


def test_a_split_within_a_split_is_joined_first(play):
    assert play(shapes.NestedSplit).data.words == ["la", "lb", "r"]


def test_a_foreach_takes_each_element_once_in_order(play):
    data = play(shapes.Foreach).data

    frames = [(index, value, [(index, 3, value)]) for index, value in enumerate("bac")]
    assert (data.got, data.places) == (["b", "a", "c"], [0, 1, 2])
    assert (data.still, data.inputs_of) == (frames, frames)
    assert data.outside == (None, None, [])


def test_a_foreach_takes_whatever_has_elements(play):
    assert play(shapes.Kinds).data.got == {
        "list": ["b", "a", "c"],
        "tuple": [(1, 2), (3, 4)],
        "range": [3, 5, 7],
        "str": ["h", "é", "y"],
        "set": list({10, 20, 30}),
        "empty": [],
        "array": [[1, 2], [3, 4], [5, 6]],
        "iterator": ["X", "Y"],
        "views": [("k", 1), ("l", 2)],
        "none": [None, 0, False],
    }


def test_the_body_may_rebind_the_artifact_that_is_fanned_out_over(play):
    assert play(shapes.RebindsItems).data.got == [("a", "a"), ("b", "b")]


def test_nested_foreaches_know_their_place_and_are_joined_from_within(play):
    data = play(shapes.Nested).data

    assert data.values == [["0x", "0y"], [], ["2x", "2y", "2z"]]
    assert data.stacks == [
        [(outer, 3, (outer, count)), (inner, count, f"{outer}{'xyz'[inner]}")]
        for outer, count in enumerate([2, 0, 3])
        for inner in range(count)
    ]
    assert data.ats == [(0, (0, 2)), (1, (1, 0)), (2, (2, 3))]
    assert data.still_ats == [(outer, [(outer, 3, (outer, count))]) for outer, count in enumerate([2, 0, 3])]


def test_splits_see_what_their_own_outer_row_stored_and_share_no_value_that_can_change(play):
    cells = [(0, 0), (0, 1), (0, 2), (1, 0), (3, 0), (3, 1)]

    assert play(shapes.Inheriting).data.got == [(10 * row + 1, "w", 10 * row, [row, cell], False) for row, cell in cells]


@pytest.mark.parametrize(("shape", "values"), [("[]", []), ("[0, 0]", [[], []])])
def test_empty_foreaches_go_straight_to_their_joins(play, shape, values):
    assert play(shapes.Nested, shape=shape).data.values == values


def test_a_static_split_within_a_foreach_is_joined_per_element(play):
    data = play(shapes.SplitInForeach).data

    assert (data.got, data.bases) == ([(11, 9, 0), (22, 18, 1), (33, 27, 2)], [10, 20, 30])


def test_a_foreach_within_a_branch_is_joined_before_the_branches_are(play):
    assert play(shapes.ForeachInSplit).data.got == [["a", "b"], ["one"]]


def test_a_join_gets_its_inputs_in_index_order_whatever_ended_first(play):
    data = play(shapes.RandomSleeps).data

    assert (data.got, data.indexes) == (list(range(16)), list(range(16)))


def test_a_foreach_of_two_thousand_is_joined_and_can_be_iterated(play):
    played = play(shapes.Wide)

    assert (played.data.total, played.data.ends) == (sum(i**2 for i in range(2000)), (0, 1999**2, 2000))
    assert sum(1 for _ in played.run["body"]) == 2000
    assert played.run["body"].table("square")["square"].to_pylist() == [i**2 for i in range(2000)]


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_hundred_thousand_splits_join_and_come_back_as_a_table(tmp_path):
    run = run_flow(shapes.Wide, root=tmp_path, executor="ray", width=100_000)

    assert run.data.ends == (0, 99_999**2, 100_000)
    assert run["body"].table("square")["square"].to_pylist() == [i**2 for i in range(100_000)]
