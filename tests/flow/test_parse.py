from __future__ import annotations

import functools
import importlib.util
import inspect
import linecache
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayflow.flow import lint
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parse import parse
from rayflow.flow.step import step
from rayflow.model.errors import UserError
from rayflow.model.graph import NodeKind, SplitFrame


def load_flow(name, source, tmp_path):
    """The class `Flow` of a module that is loaded from a path."""
    path = tmp_path / f"{name}.py"
    path.write_text("from rayflow.flow.flowspec import FlowSpec\nfrom rayflow.flow.step import step\n" + textwrap.dedent(source))
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location(name, path))
    spec.loader.exec_module(module)
    return module.Flow


def cell_flow(source, cell):
    """The class `Flow` of a notebook cell: its source is known to linecache only."""
    text = "from rayflow.flow.flowspec import FlowSpec\nfrom rayflow.flow.step import step\n" + source
    linecache.cache[cell] = (len(text), None, text.splitlines(True), cell)
    names = {"__name__": "__main__"}
    exec(compile(text, cell, "exec"), names)
    return names["Flow"]


class Forms(FlowSpec):
    """All forms of next."""

    @step
    def start(self):
        """The first."""
        self.items = [1, 2]
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.next(
            {1: self.loop, -2: self.other, "x": self.other, None: self.other, False: self.loop, self.config.key: self.other},
            condition="kind",
        )

    @step
    def loop(self):
        self.next({"again": self.loop, "on": self.meet}, condition="kind")

    @step
    def other(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.next(self.join)

    @step
    def right(self):
        self.next(self.gang, num_parallel=2 + 2)

    @step
    def gang(self):
        self.next(self.gang_join)

    @step
    def gang_join(self, inputs):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step(node_info={"colour": "red"})
    def end(self):
        pass


def test_every_form_of_next_is_understood():
    graph = parse(Forms)

    assert {node.name: (node.kind, node.targets, node.foreach, node.num_parallel, node.condition) for node in graph} == {
        "start": (NodeKind.SPLIT, ("left", "right"), None, False, None),
        "left": (NodeKind.FOREACH, ("body",), "items", False, None),
        "body": (NodeKind.SWITCH, ("loop", "other"), None, False, "kind"),
        "loop": (NodeKind.SWITCH, ("loop", "meet"), None, False, "kind"),
        "other": (NodeKind.LINEAR, ("meet",), None, False, None),
        "meet": (NodeKind.LINEAR, ("inner_join",), None, False, None),
        "inner_join": (NodeKind.JOIN, ("join",), None, False, None),
        "right": (NodeKind.FOREACH, ("gang",), None, True, None),
        "gang": (NodeKind.LINEAR, ("gang_join",), None, False, None),
        "gang_join": (NodeKind.JOIN, ("join",), None, False, None),
        "join": (NodeKind.JOIN, ("end",), None, False, None),
        "end": (NodeKind.END, (), None, False, None),
    }


def test_the_cases_of_a_switch_are_the_literals_and_the_config_expressions():
    cases = parse(Forms)["body"].cases

    assert cases == ((1, "loop"), (-2, "other"), ("x", "other"), (None, "other"), (False, "loop"), ("config.key", "other"))


def test_frames_pass_through_splits_foreachs_switches_and_loops():
    left, right = SplitFrame("start", False, 0), SplitFrame("start", False, 1)
    items, gang = SplitFrame("left", True), SplitFrame("right", True)

    assert {node.name: node.frames for node in parse(Forms)} == {
        "start": (),
        "left": (left,),
        "body": (left, items),
        "loop": (left, items),
        "other": (left, items),
        "meet": (left, items),
        "inner_join": (left,),
        "right": (right,),
        "gang": (right, gang),
        "gang_join": (right,),
        "join": (),
        "end": (),
    }


def test_splits_and_joins_know_each_other():
    graph = parse(Forms)

    assert {node.name: (node.joins, node.joined_by, node.branches_expected) for node in graph if node.joins or node.joined_by} == {
        "start": (None, "join", 0),
        "left": (None, "inner_join", 0),
        "right": (None, "gang_join", 0),
        "inner_join": ("left", None, 1),
        "gang_join": ("right", None, 1),
        "join": ("start", None, 2),
    }


def test_steps_are_in_topological_order_and_else_as_defined():
    assert list(parse(Forms).nodes) == [
        "start", "left", "body", "loop", "other", "meet", "inner_join", "right", "gang", "gang_join", "join", "end",
    ]  # fmt: skip


def test_sources_are_in_the_order_of_definition():
    graph = parse(Forms)

    assert (graph["meet"].sources, graph["loop"].sources, graph["join"].sources) == (
        ("loop", "other"),
        ("body", "loop"),
        ("inner_join", "gang_join"),
    )


def test_a_node_says_where_it_is_written_and_what_it_is_about():
    node = parse(Forms)["start"]

    assert (node.file, node.line, node.doc, node.next_line) == (
        __file__,
        inspect.getsourcelines(Forms.start)[1] + 1,
        "The first.",
        inspect.getsourcelines(Forms.start)[1] + 4,
    )


def test_the_graph_says_the_flow_its_file_its_ends_and_its_doc():
    graph = parse(Forms)

    assert (graph.flow_name, graph.file, graph.start, graph.end, graph.doc, graph["end"].node_info) == (
        "Forms",
        __file__,
        "start",
        "end",
        "All forms of next.",
        {"colour": "red"},
    )


def test_annotations_name_the_start_and_the_end_step():
    class Named(FlowSpec):
        @step(start=True)
        def hello(self):
            self.next(self.end)

        @step(end=True)
        def end(self):
            pass

    graph = parse(Named)

    assert (graph.start, graph["hello"].kind, graph.end) == ("hello", NodeKind.START, "end")


def test_a_flow_of_one_step_needs_no_annotation():
    class Single(FlowSpec):
        @step
        def only(self):
            pass

    graph = parse(Single)

    assert (graph.start, graph.end, graph["only"].kind) == ("only", "only", NodeKind.END)


def test_steps_are_read_across_the_files_of_an_inheritance(tmp_path):
    base = load_flow(
        "base_flow",
        """
        class Flow(FlowSpec):
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                pass
        """,
        tmp_path,
    )

    class Derived(base):
        @step
        def start(self):
            self.next(self.middle)

        @step
        def middle(self):
            self.next(self.end)

    graph = parse(Derived)

    assert [(node.name, node.file, node.line) for node in graph] == [
        ("start", __file__, inspect.getsourcelines(Derived.start)[1] + 1),
        ("middle", __file__, inspect.getsourcelines(Derived.middle)[1] + 1),
        ("end", str(tmp_path / "base_flow.py"), 10),
    ]


def test_an_inherited_step_that_is_no_step_any_more_leaves_the_graph():
    class Without(Forms):
        other = None

    assert "other" not in parse(Without)


def test_a_flow_in_a_notebook_cell_is_read_from_linecache():
    flow = cell_flow(
        "class Flow(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.end)\n"
        "    @step\n    def end(self):\n        text = '''\nnot indented\n'''\n",
        "<ipython-input-7>",
    )

    assert [(node.name, node.file, node.line) for node in parse(flow)] == [
        ("start", "<ipython-input-7>", 5),
        ("end", "<ipython-input-7>", 8),
    ]


def test_a_step_below_another_decorator_is_read_through_it():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    class Wrapped(FlowSpec):
        @step
        @logged
        def start(self):
            self.next(self.end)

        @step
        @logged
        def end(self):
            pass

    assert parse(Wrapped)["start"].targets == ("end",)


def test_a_source_that_cannot_be_found_is_an_error_that_says_why_it_is_needed():
    names = {"FlowSpec": FlowSpec, "step": step, "__name__": "nowhere"}
    exec("class Flow(FlowSpec):\n    @step\n    def start(self):\n        pass\n", names)

    with pytest.raises(UserError, match=r"source of step 'start' could not be found \(<string>:2\)"):
        parse(names["Flow"])


def test_a_source_that_is_no_python_any_more_is_an_error(tmp_path):
    flow = load_flow("spoiled_flow", "class Flow(FlowSpec):\n    @step\n    def start(self):\n        pass\n", tmp_path)
    (tmp_path / "spoiled_flow.py").write_text("class (")

    with pytest.raises(UserError, match=r"spoiled_flow\.py:4\).*not changed since it was loaded"):
        parse(flow)


@pytest.mark.parametrize(
    ("call", "malformed"),
    [
        ("self.next()", "it names no step"),
        ("self.next(start)", "start is not of the form self.<step>"),
        ("self.next('end')", "'end' is not of the form self.<step>"),
        ("self.next(*self.targets)", "*self.targets is not of the form self.<step>"),
        ("self.next(self.end, foreach=name)", "foreach=name is not a literal string, the name of an artifact"),
        ("self.next(self.end, foreach='x', num_parallel=2)", "it has more than one keyword argument"),
        ("self.next(self.end, self.start, foreach='x')", "a fan-out goes to exactly one step"),
        ("self.next(self.end, when='x')", "the keyword argument 'when' is unknown"),
        ("self.next(self.end, **options)", "the keyword argument '**' is unknown"),
        ("self.next(self.end, condition='x')", "a condition takes one dictionary, written out in the call"),
        ("self.next({'a': self.end}, condition=x)", "condition=x is not a literal string, the name of an artifact"),
        ("self.next({key: self.end}, condition='x')", "the case key is neither a literal nor self.<config>.<key>"),
        ("self.next({**cases}, condition='x')", "the dictionary of a condition is written out, without '**'"),
        ("self.next({'a': self.end})", "{'a': self.end} is not of the form self.<step>"),
    ],
)
def test_a_malformed_next_is_noted_for_the_rules_to_report(call, malformed):
    flow = cell_flow(f"class Flow(FlowSpec):\n    @step\n    def start(self):\n        {call}\n", f"<malformed {call}>")

    assert parse(flow)["start"].malformed_next == malformed


@pytest.mark.parametrize("body", ["pass", "return self.next(self.end)", "this.next(self.end)", "next(self.end)", "x = self.next(self.end)"])
def test_anything_but_a_bare_call_of_self_next_is_no_transition(body):
    flow = cell_flow(f"class Flow(FlowSpec):\n    @step\n    def start(self):\n        {body}\n", f"<no next {body}>")

    assert (parse(flow)["start"].targets, parse(flow)["start"].next_line) == ((), 0)


shapes = st.recursive(
    st.sampled_from(["step", "loop"]),
    lambda inner: st.one_of(
        st.tuples(st.just("foreach"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.sampled_from(["split", "switch"]), st.lists(st.lists(inner, min_size=1, max_size=2), min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


class Writer:
    """Writes the source of a well-formed flow, and what its graph has to be."""

    def __init__(self):
        self.methods = []
        self.frames = {}
        self.joins = {}

    def step(self, frames, body, name=None, inputs=False):
        name = name or f"s{len(self.frames)}"
        self.frames[name] = frames
        self.methods.append(f"    @step\n    def {name}(self{', inputs' if inputs else ''}):\n        {body.replace('ME', name)}\n")
        return name

    def chain(self, shape, frames, target):
        for item in reversed(shape):
            target = self.item(item, frames, target)
        return target

    def item(self, item, frames, target):
        if item == "step":
            return self.step(frames, f"self.next(self.{target})")
        if item == "loop":
            after = self.step(frames, f"self.next(self.{target})")
            return self.step(frames, f"self.next({{0: self.ME, 1: self.{after}}}, condition='x')")
        kind, inner = item
        if kind == "switch":
            meet = self.step(frames, f"self.next(self.{target})")
            arms = [self.chain(arm, frames, meet) for arm in inner]
            return self.step(frames, f"self.next({{{', '.join(f'{i}: self.{arm}' for i, arm in enumerate(arms))}}}, condition='x')")
        join = self.step(frames, f"self.next(self.{target})", inputs=True)
        name = f"{kind}{len(self.frames)}"
        self.frames[name] = frames  # reserves the name
        self.joins[join] = name
        if kind == "foreach":
            first = self.chain(inner, (*frames, SplitFrame(name, True)), join)
            return self.step(frames, f"self.next(self.{first}, foreach='items')", name)
        arms = [self.chain(arm, (*frames, SplitFrame(name, False, i)), join) for i, arm in enumerate(inner)]
        return self.step(frames, f"self.next({', '.join(f'self.{arm}' for arm in arms)})", name)


@given(st.lists(shapes, max_size=3))
def test_a_well_formed_graph_of_any_shape_is_read_as_it_was_meant(shape):
    writer = Writer()
    writer.step((), "pass", "end")
    writer.step((), f"self.next(self.{writer.chain(shape, (), 'end')})", "start")
    flow = cell_flow("class Flow(FlowSpec):\n" + "".join(writer.methods), "<generated>")

    graph = parse(flow)

    positions = {name: position for position, name in enumerate(graph.nodes)}
    backward = [(node.name, target) for node in graph for target in node.targets if positions[target] < positions[node.name]]
    assert (
        lint.problems(graph),
        {node.name: node.frames for node in graph},
        {node.name: node.joins for node in graph if node.joins},
        backward,
    ) == ([], writer.frames, writer.joins, [])
