from __future__ import annotations

import copy
import pickle

import pytest

from rayflow.flow.binding import PerTask, bound_class, read_only_names
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step
from rayflow.model.errors import UserError

from .tasks import task_of


class Plain(FlowSpec):
    limit = 3
    palette = ["red"]

    @step
    def start(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Longer(Plain):
    @step
    def end(self):
        self.next(self.last)

    @step(end=True)
    def last(self):
        pass


def test_a_flow_object_iterates_over_its_steps_in_the_order_of_the_graph():
    flow = Plain(use_cli=False)

    assert [method.__name__ for method in flow] == ["start", "join", "end"]


def test_a_flow_object_knows_its_name_its_file_and_its_graph():
    flow = Plain(use_cli=False)

    assert (flow.name, flow.script_name, flow._graph["start"].type, flow._graph["join"].in_funcs) == (
        "Plain",
        "test_flowspec.py",
        "start",
        ["start"],
    )


def test_the_graph_of_a_subclass_is_its_own():
    base = list(Plain._graph.nodes)

    assert (base, list(Longer._graph.nodes)) == (["start", "join", "end"], ["start", "join", "end", "last"])


def test_an_unknown_attribute_is_an_attribute_error_that_names_the_flow():
    with pytest.raises(AttributeError, match=r"^Flow Plain has no attribute 'nothing'$"):
        _ = Plain(use_cli=False).nothing


def test_hasattr_and_getattr_with_a_default_tell_whether_an_artifact_exists():
    flow = task_of(Plain, "end", artifacts={"x": 1})

    assert (hasattr(flow, "x"), hasattr(flow, "y"), getattr(flow, "y", "none")) == (True, False, "none")


def test_an_inherited_artifact_is_loaded_once_and_then_lies_in_the_instance():
    flow = task_of(Plain, "end", artifacts={"x": [1]})

    assert (flow.x is flow.x, flow._rayflow.loaded, flow.__dict__["x"]) == (True, ["x"], [1])


def test_a_dunder_is_never_looked_up_among_the_artifacts():
    flow = task_of(Plain, "end", artifacts={"__length_hint__": 1})

    assert (hasattr(flow, "__length_hint__"), flow._rayflow.loaded) == (False, [])


def test_the_name_is_the_class_name_until_the_flow_assigns_it():
    inherited = task_of(Plain, "end", artifacts={"name": "anna"})
    assigned = task_of(Plain, "end")
    before = assigned.name
    assigned.name = "bob"

    assert (inherited.name, before, assigned.name) == ("anna", "Plain", "bob")


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([], "<flow Plain step end>"),
        ([(0, 2, "a"), (1, 3, 7)], "<flow Plain step end[0,1] (input: 7)>"),
        ([(4, 9, "x" * 30)], f"<flow Plain step end[4] (input: {'x' * 20}...)>"),
    ],
)
def test_a_task_says_its_step_and_where_in_the_foreach_it_stands(frames, text):
    assert str(task_of(Plain, "end", frames=frames)) == text


def test_outside_a_task_a_flow_says_only_its_name_and_stands_nowhere():
    flow = Plain(use_cli=False)

    assert (str(flow), flow.index, flow.input, flow.foreach_stack(), flow._current_step) == ("<flow Plain>", None, None, [], None)


def test_index_and_input_are_those_of_the_innermost_foreach():
    flow = task_of(Plain, "end", frames=[(0, 2, "a"), (1, None, 7)])

    assert (flow.index, flow.input, flow.foreach_stack(), flow._current_step) == (1, 7, [(0, 2, "a"), (1, None, 7)], "end")


@pytest.mark.parametrize("spoil", [pickle.dumps, copy.deepcopy])
def test_a_flow_object_refuses_to_be_pickled_and_says_what_to_store_instead(spoil):
    with pytest.raises(UserError, match=r"<flow Plain step end> cannot be pickled.*input\.some_var"):
        spoil(task_of(Plain, "end"))


def test_next_outside_a_task_is_refused():
    flow = Plain(use_cli=False)

    with pytest.raises(UserError, match=r"Plain\.next\(\) was called outside a task"):
        flow.next(flow.end)


def test_merging_outside_a_task_is_refused():
    with pytest.raises(UserError, match=r"Plain\.merge_artifacts\(\) was called outside a task"):
        Plain(use_cli=False).merge_artifacts([])


def test_merging_outside_a_join_is_refused():
    with pytest.raises(UserError, match=r"can only be called in a join and step \*end\* is not a join"):
        task_of(Plain, "end").merge_artifacts([])


def test_exclude_and_include_of_a_merge_are_mutually_exclusive():
    with pytest.raises(UserError, match="mutually exclusive"):
        task_of(Plain, "join").merge_artifacts([], exclude=["a"], include=["b"])


def test_a_merge_goes_to_the_binding():
    flow = task_of(Plain, "join")

    flow.merge_artifacts(["input"], exclude=["a"])

    assert flow._rayflow.merged == [(["input"], ("a",), ())]


def test_parameters_and_constants_of_a_task_cannot_be_assigned():
    flow = task_of(Plain, "end", values={"limit": 3})

    with pytest.raises(AttributeError, match=r"'limit' of flow Plain .*Flow level attributes and Parameters are not modifiable"):
        flow.limit = 4


def test_parameters_and_constants_of_a_task_cannot_be_deleted():
    flow = task_of(Plain, "end", values={"limit": 3})

    with pytest.raises(AttributeError, match="not modifiable"):
        del flow.limit


def test_mutating_a_constant_changes_it_for_one_task_only():
    bound = bound_class(Plain, {"palette": ["red"], "late": PerTask(lambda: {"made": 1})})
    first, second = object.__new__(bound), object.__new__(bound)

    first.palette.append("blue")
    first.late["made"] = 2

    assert (first.palette, first.late, second.palette, second.late) == (["red", "blue"], {"made": 2}, ["red"], {"made": 1})


def test_a_bound_class_looks_like_the_flow_and_says_which_names_are_not_artifacts():
    bound = bound_class(Plain, {"limit": 3, "palette": ["red"]})

    assert (bound.__name__, bound.__qualname__, bound.__module__, bound.limit, bound.palette, read_only_names(bound)) == (
        "Plain",
        "Plain",
        __name__,
        3,
        ["red"],
        {"limit", "palette"},
    )


def test_a_class_that_is_not_bound_has_no_read_only_names():
    assert read_only_names(Plain) == frozenset()
