from __future__ import annotations

import functools
import json
import os as module_constant

from rayflow.flow.builtin import environment, parallel, retry
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.graph_info import graph_info
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import step


class Mixin:
    shared = "s"

    def helper(self):
        pass


class Rich(Mixin, FlowSpec):
    """A flow with all there is."""

    limit = 3
    names = ["a"]
    alpha = Parameter("al-pha", default=1)
    _private = 1
    tools = module_constant

    class Nested:
        pass

    @property
    def computed(self):
        return 1

    @functools.cached_property
    def cached(self):
        return 1

    @staticmethod
    def static():
        pass

    @retry(times=1)
    @step
    def start(self):
        """The first."""
        self.next(self.fan, self.other)

    @environment(vars={"A": {1}})
    @step
    def fan(self):
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.choose)

    @step
    def choose(self):
        self.next({1: self.choose, "x": self.arm, None: self.meet}, condition="kind")

    @step
    def arm(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.join)

    @step
    def other(self):
        self.next(self.gang, num_parallel=2)

    @parallel
    @step
    def gang(self):
        self.next(self.gang_join)

    @step
    def gang_join(self, inputs):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step(node_info={"size": (1, 2), 3: {"b", "a"}, "f": object})
    def end(self):
        pass


def test_a_definition_holds_all_that_the_class_says():
    definition = define(Rich)

    assert (
        definition.flow_class,
        definition.name,
        definition.script_path,
        definition.doc,
        list(definition.specs) == list(definition.graph.nodes),
        definition.parameters,
    ) == (Rich, "Rich", __file__, "A flow with all there is.", True, {"alpha": Rich.alpha})


def test_constants_are_the_plain_values_of_the_class_and_its_mixins():
    assert define(Rich).constants == {"limit": 3, "names": ["a"], "shared": "s"}


def test_a_constant_that_a_subclass_makes_a_method_is_none_any_more():
    class Other(Rich):
        limit = lambda self: 3  # noqa: E731 - as flows have it

    assert define(Other).constants == {"names": ["a"], "shared": "s"}


def test_the_structure_of_the_graph_nests_branches_bodies_and_arms():
    assert graph_info(define(Rich))["graph_structure"] == [
        "start",
        [
            ["fan", [["body"]], "gather", "choose", [["arm"], []], "meet"],
            ["other", [["gang"]], "gang_join"],
        ],
        "join",
        "end",
    ]


def test_arms_that_never_meet_end_apart():
    class Apart(FlowSpec):
        @step
        def start(self):
            self.next({1: self.a, 2: self.end}, condition="x")

        @step
        def a(self):
            self.next({1: self.a, 2: self.b}, condition="x")

        @step
        def b(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    assert graph_info(define(Apart))["graph_structure"] == ["start", [["a", [[]], "b"], []], "end"]


def test_the_graph_info_is_plain_data():
    info = graph_info(define(Rich, ["retry:times=2"]))

    assert json.loads(json.dumps(info)) == info


def test_the_graph_info_names_the_flow_its_ends_parameters_and_constants():
    info = graph_info(define(Rich))

    assert {key: info[key] for key in info if key not in ("steps", "graph_structure")} == {
        "file": "test_definition.py",
        "start_step": "start",
        "end_step": "end",
        "parameters": [{"name": "alpha", "type": "Parameter"}],
        "constants": [{"name": "shared", "type": "str"}, {"name": "limit", "type": "int"}, {"name": "names", "type": "list"}],
        "doc": "A flow with all there is.",
        "decorators": [],
        "extensions": {},
    }


def test_the_graph_info_describes_each_step():
    steps = graph_info(define(Rich))["steps"]
    start = dict(steps["start"])
    line = start.pop("line")

    assert (start, Rich.start.__code__.co_firstlineno + 2) == (
        {
            "name": "start",
            "type": "split-static",
            "source_file": __file__,
            "doc": "The first.",
            "decorators": [
                {
                    "name": "retry",
                    "attributes": {"times": 1, "minutes_between_retries": 2},
                    "statically_defined": True,
                    "inserted_by": None,
                }
            ],
            "next": ["fan", "other"],
            "node_info": {},
            "matching_join": "join",
        },
        line,
    )


def test_the_graph_info_says_what_is_particular_about_each_kind_of_step():
    particular = ("type", "foreach_artifact", "num_parallel", "condition", "switch_cases", "matching_join", "node_info")
    steps = graph_info(define(Rich))["steps"]

    assert {name: {key: steps[name][key] for key in particular if steps[name].get(key)} for name in ("fan", "choose", "other", "end")} == {
        "fan": {"type": "split-foreach", "foreach_artifact": "items", "matching_join": "gather"},
        "choose": {"type": "split-switch", "condition": "kind", "switch_cases": {"1": "choose", "x": "arm", "None": "meet"}},
        "other": {"type": "split-parallel", "num_parallel": True, "matching_join": "gang_join"},
        "end": {"type": "end", "node_info": {"size": [1, 2], "3": ["a", "b"], "f": "<class 'object'>"}},
    }
