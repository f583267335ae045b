"""One flow for each rule, which breaks just that rule."""

from __future__ import annotations

import inspect

import pytest

from rayflow.flow import lint
from rayflow.flow.builtin import parallel
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parse import parse
from rayflow.flow.step import step
from rayflow.model.errors import LintWarn
from rayflow.model.graph import Graph, Node, NodeKind


def found(flow):
    """(rule, message) of each problem of the flow."""
    graph = parse(flow)
    return [(rule.__name__, problem.message) for rule in lint.RULES for problem in rule(graph)]


class Ends(FlowSpec):
    """Start and end for the flows below, which override `start`."""

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_a_flow_that_obeys_the_rules_passes():
    assert (lint.check(parse(Ends)), lint.problems(parse(Ends))) == (None, [])


def test_the_first_broken_rule_is_raised_with_file_and_line():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.nowhere)

    with pytest.raises(LintWarn, match="unknown step, 'nowhere'") as raised:
        lint.check(parse(Flow))

    assert (raised.value.source_file, raised.value.line_no, raised.value.headline) == (
        __file__,
        inspect.getsourcelines(Flow.start)[1] + 2,
        "Validity checker found an issue",
    )


@pytest.mark.parametrize("name", ["name", "next", "input", "index", "cmd"])
def test_some_step_names_are_reserved(name):
    graph = Graph("Flow", {name: Node(name, NodeKind.LINEAR, 1, __file__)}, "start", "end")

    assert [problem.message.split(".")[0] for problem in lint.no_reserved_names(graph)] == [f"Step name '{name}' is a reserved word"]


def test_a_flow_has_a_start_and_an_end_step():
    class Flow(FlowSpec):
        @step
        def begin(self):
            self.next(self.finish)

        @step
        def finish(self):
            pass

    assert found(Flow)[:2] == [
        (
            "one_start_and_end",
            "A flow must have exactly one start step, and Flow has none. Name a step 'start' or mark it with @step(start=True).",
        ),
        (
            "one_start_and_end",
            "A flow must have exactly one end step, and Flow has none. Name a step 'end' or mark it with @step(end=True).",
        ),
    ]


def test_a_flow_without_steps_has_no_start():
    class Flow(FlowSpec):
        pass

    with pytest.raises(LintWarn, match="must have exactly one start step"):
        lint.check(parse(Flow))


def test_one_step_at_most_is_annotated_as_the_start():
    class Flow(FlowSpec):
        @step(start=True)
        def first(self):
            self.next(self.second)

        @step(start=True)
        def second(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    assert found(Flow) == [
        ("one_start_and_end", "Multiple steps annotated with @step(start=True): first, second. Leave the annotation on one of them.")
    ]


def test_an_annotated_start_and_a_step_named_start_are_ambiguous():
    class Flow(Ends):
        @step(start=True)
        def first(self):
            self.next(self.start)

    assert found(Flow) == [
        (
            "no_ambiguous_terminals",
            "Ambiguous start step: 'first' is annotated with @step(start=True), and another step is named 'start'. "
            "Rename that one or remove the annotation.",
        )
    ]


def test_nothing_leads_to_the_start():
    class Flow(Ends):
        @step
        def start(self):
            self.next({0: self.start, 1: self.end}, condition="x")

    assert found(Flow) == [
        ("terminals_are_terminal", "The start step 'start' has incoming transitions from 'start'. Nothing may lead to it.")
    ]


def test_nothing_follows_the_end():
    class Flow(Ends):
        @step
        def end(self):
            self.next(self.start)

    assert found(Flow)[:2] == [
        ("terminals_are_terminal", "The start step 'start' has incoming transitions from 'end'. Nothing may lead to it."),
        (
            "terminals_are_terminal",
            "The end step 'end' has outgoing transitions to 'start'. Nothing may follow it: remove its self.next().",
        ),
    ]


def test_the_end_calls_no_next_even_a_malformed_one():
    class Flow(Ends):
        @step
        def end(self):
            self.next()

    assert found(Flow)[0] == ("end_just_ends", "The end step 'end' should not have a self.next() transition. Remove it.")


def test_the_end_is_no_join():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.end)

        @step
        def b(self):
            self.next(self.end)

        @step
        def end(self, inputs):
            pass

    assert found(Flow) == [
        (
            "end_just_ends",
            "The terminal step 'end' should not be a join step: it takes a second parameter. "
            "Add a join before it, and leave it only `self`.",
        )
    ]


def test_step_names_are_plain():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.camelCase)

        @step
        def camelCase(self):
            self.next(self._private)

        @step
        def _private(self):
            self.next(self.end)

    rest = "Only lowercase ascii letters, digits and underscores are allowed, and no underscore at the beginning."
    assert found(Flow) == [
        ("names_are_plain", f"Step 'camelCase' has an invalid name. {rest}"),
        ("names_are_plain", f"Step '_private' has an invalid name. {rest}"),
    ]


def test_a_step_takes_self_and_at_most_inputs():
    class Flow(Ends):
        @step
        def start(self, inputs, more):
            self.next(self.middle)

        @step
        def middle():
            self.next(self.end)  # noqa: F821 - what the rule is about

    assert found(Flow) == [
        (
            "arguments_are_self_and_inputs",
            "Step 'start' has too many arguments (3). Write `self`, and `inputs` in a join; everything else is an artifact or a Parameter.",
        ),
        ("arguments_are_self_and_inputs", "Step 'middle' is missing the 'self' argument. Write `def middle(self):`."),
    ]


def test_a_join_does_not_split():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.c, foreach="items")

        @step
        def c(self):
            self.next(self.last)

        @step
        def last(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "joins_do_not_split",
            "Step 'join' is both a join step (it takes a second parameter) and a split step (it leads to several tasks). "
            "Add a step after it which splits.",
        )
    ]


def test_every_step_but_the_end_ends_with_next():
    class Flow(Ends):
        @step
        def start(self):
            if self.index:
                self.next(self.end)

    assert found(Flow)[0] == (
        "steps_end_with_next",
        "Step 'start' is missing a self.next() transition to the next step. It is the last statement of the step, "
        "not within an `if` or a `for`: self.next(self.<step>).",
    )


def test_a_malformed_next_is_answered_with_the_forms_that_exist():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.end, foreach=self.items)

    rule, message = found(Flow)[0]
    assert (rule, message.split(". ")[0], "condition='artifact'" in message) == (
        "next_is_well_formed",
        "Step 'start' specifies an invalid self.next() transition: foreach=self.items is not a literal string, the name of an artifact",
        True,
    )


def test_a_target_is_a_step():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.foreach_stack)

    assert found(Flow)[0] == (
        "targets_exist",
        "Step 'start' specifies a self.next() transition to an unknown step, 'foreach_stack'. "
        "Add a method of that name with @step, or correct the name.",
    )


def test_a_flow_does_not_go_round_in_circles():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a)

        @step
        def a(self):
            self.next(self.b)

        @step
        def b(self):
            self.next({0: self.a, 1: self.end}, condition="x")

    assert found(Flow) == [
        (
            "no_cycles",
            "There is a loop in your flow: a->b->a. Only a step that chooses (condition=...) may lead back, and only to itself; "
            "use a foreach or a `for` within a step.",
        )
    ]


def test_a_step_that_does_not_choose_may_not_lead_to_itself():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a)

        @step
        def a(self):
            self.next(self.a)

    assert found(Flow)[0][1].startswith("There is a loop in your flow: a->a.")


def test_every_step_is_reachable():
    class Flow(Ends):
        @step
        def lost(self):
            self.next(self.end)

    assert found(Flow) == [
        (
            "steps_are_reachable",
            "Step 'lost' is unreachable from the entry step 'start'. "
            "Lead to it with self.next(self.lost) in an earlier step, or remove it.",
        )
    ]


def test_every_split_is_joined_before_the_end():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, foreach="items")

        @step
        def a(self):
            self.next(self.end)

    assert found(Flow) == [
        (
            "splits_are_joined",
            "Step 'end' was reached before a split started at step(s) start were joined (by way of 'a'). "
            "Add a join before it: a step `def join(self, inputs)`.",
        )
    ]


JOIN = "Step 'join' is a join (it takes a second parameter) but an incorrect number of steps"


def test_a_join_gets_all_branches_of_its_split():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.b, self.c)

        @step
        def a(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def c(self):
            self.next(self.c)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert (
        "joins_get_all_branches",
        f"{JOIN} (a, b) lead to it: the branch(es) 'c' of the split 'start' do not come here. Lead each of them here.",
    ) in found(Flow)


def test_branches_do_not_meet_before_the_join():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.c)

        @step
        def b(self):
            self.next(self.c)

        @step
        def c(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "joins_get_all_branches",
            f"{JOIN} (c) lead to it: branches of the split 'start' meet already before 'c'. Give each branch steps of its own.",
        )
    ]


def test_a_branch_has_at_least_one_step():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.join)

        @step
        def a(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "joins_get_all_branches",
            f"{JOIN} (start, a) lead to it: a branch of the split 'start' has no steps. Add a step between the split and the join.",
        )
    ]


def test_the_branches_of_a_split_have_one_join():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.choose, foreach="items")

        @step
        def choose(self):
            self.next({0: self.a, 1: self.b}, condition="x")

        @step
        def a(self):
            self.next(self.first)

        @step
        def b(self):
            self.next(self.join)

        @step
        def first(self, inputs):
            self.next(self.end)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "joins_get_all_branches",
            f"{JOIN} (b) lead to it: the branches of 'start' lead to the join 'first' as well. All of them lead to one join.",
        )
    ]


def test_several_steps_of_one_conditional_branch_enter_a_join_as_one():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.choose, self.b)

        @step
        def choose(self):
            self.next({0: self.x, 1: self.y}, condition="x")

        @step
        def x(self):
            self.next(self.join)

        @step
        def y(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == []


def test_a_join_follows_a_split():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "joins_follow_splits",
            "Step 'join' is a join (it takes a second parameter) but it is not preceded by a split. "
            "Leave it only `self`, or split before it.",
        )
    ]


def test_a_join_closes_one_split():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.a, self.b)

        @step
        def a(self):
            self.next(self.x, self.y)

        @step
        def x(self):
            self.next(self.join)

        @step
        def y(self):
            self.next(self.join)

        @step
        def b(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    rules = dict(found(Flow))
    assert rules["joins_close_one_split"] == (
        "Step 'join' joins steps from unrelated splits: a, start. Join the inner one first, in a step of its own."
    )


def test_a_switch_has_at_least_two_cases():
    class Flow(Ends):
        @step
        def start(self):
            self.next({"a": self.end}, condition="x")

    assert found(Flow) == [
        (
            "switches_have_cases",
            "Switch splits must define at least 2 transitions, and step 'start' has 1. Add a case, or write self.next(self.<step>).",
        )
    ]


def test_two_cases_may_lead_to_one_step():
    class Flow(Ends):
        @step
        def start(self):
            self.next({"a": self.end, "b": self.end}, condition="x")

    assert found(Flow) == []


def test_a_foreach_has_a_body():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.join, foreach="items")

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "foreach_has_a_body",
            "Step 'start' is a foreach split that has no children: it leads directly to the join 'join'. "
            "Add a step between them, which is performed for each element.",
        )
    ]


def test_a_gang_has_the_parallel_decorator():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.train, num_parallel=2)

        @step
        def train(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "gangs_are_parallel",
            "Step 'train' is called with num_parallel by 'start' but it does not have a @parallel decorator. Add it above @step.",
        )
    ]


def test_a_join_follows_a_gang():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.train, num_parallel=2)

        @parallel
        @step
        def train(self):
            self.next(self.after)

        @step
        def after(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        ("gangs_are_joined", "The @parallel step 'train' should be followed by a join step: one that takes a second parameter.")
    ]


def test_a_parallel_step_is_called_as_a_gang():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.train, foreach="items")

        @parallel
        @step
        def train(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "parallel_steps_are_gangs",
            "The @parallel step 'train' is not called with self.next(num_parallel=...). "
            "Call it with self.next(self.train, num_parallel=N), or remove @parallel.",
        )
    ]


def test_a_switch_does_not_lead_directly_to_a_join():
    class Flow(Ends):
        @step
        def start(self):
            self.next(self.choose, foreach="items")

        @step
        def choose(self):
            self.next({0: self.a, 1: self.join}, condition="x")

        @step
        def a(self):
            self.next(self.join)

        @step
        def join(self, inputs):
            self.next(self.end)

    assert found(Flow) == [
        (
            "switches_do_not_join",
            "A conditional path cannot lead directly to a join step, as from 'choose' to 'join'. Insert a step between them.",
        )
    ]
