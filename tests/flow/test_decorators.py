from __future__ import annotations

import pytest

from rayflow.flow.builtin import batch, catch, environment, isolated, kubernetes, parallel, resources, retry, timeout
from rayflow.flow.decorators import DecoratorKind, register
from rayflow.flow.decospec import parse_decospec
from rayflow.flow.definition import define, with_decospecs
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step
from rayflow.model.errors import (
    BadStepDecoratorException,
    DuplicateStepDecoratorException,
    InvalidDecoratorAttribute,
    UnknownStepDecoratorException,
    UserError,
)
from rayflow.model.spec import Catch, Resources, Retry, StepDecorator

MIB = 1024 * 1024


class Flow(FlowSpec):
    @step
    def start(self):
        self.next(self.fan)

    @step
    def fan(self):
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.next({1: self.arm, 2: self.arm}, condition="x")

    @step
    def arm(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


def spec_of(*decorators, on="start"):
    """The compiled spec of the step `on` of a flow where it carries these decorators, the first nearest to the step."""
    function = getattr(Flow, on)
    marked = step(type(function)(function.__code__, function.__globals__, on))
    for decorate in decorators:
        marked = decorate(marked)
    return define(type("Flow", (Flow,), {"__module__": __name__, on: marked})).specs[on]


def test_retry_bare_has_its_defaults_and_states_no_delay():
    assert spec_of(retry).retry == Retry(times=3, delay_s=120, delay_is_stated=False)


def test_retry_states_a_delay_where_the_flow_writes_one():
    assert spec_of(retry(times="2", minutes_between_retries=0.5)).retry == Retry(times=2, delay_s=30, delay_is_stated=True)


def test_a_timeout_is_the_sum_of_its_units():
    assert spec_of(timeout(seconds="1", minutes=2, hours=1)).timeout_s == 3721


def test_catch_keeps_its_artifact():
    assert spec_of(catch(var="failure", print_exception=False)).catch == Catch("failure", print_exception=False)


def test_environment_values_are_texts():
    assert spec_of(environment(vars={"A": 1, "B": None})).environment == {"A": "1", "B": "None"}


def test_an_isolated_step_has_processes_of_its_own():
    assert (spec_of(isolated).is_isolated, spec_of().is_isolated) == (True, False)


@pytest.mark.parametrize(
    ("decorators", "needs"),
    [
        ([], Resources()),
        ([resources], Resources()),
        ([resources(cpu="0.5", gpu=0.25, memory=100)], Resources(cpus=0.5, gpus=0.25, memory_nbytes=100 * MIB)),
        ([resources(resources={"TPU": 2})], Resources(custom={"TPU": 2})),
        ([resources(gpu=0.5, gpu_type="T4")], Resources(gpus=0.5, custom={"accelerator_type:T4": 0.001})),
        ([kubernetes(memory="8", image="x")], Resources(memory_nbytes=8 * MIB)),
        ([resources(cpu=2, gpu=1), kubernetes(cpu=4, memory=5)], Resources(cpus=4, gpus=1, memory_nbytes=5 * MIB)),
        ([kubernetes(cpu=0.5), resources(cpu=2)], Resources(cpus=2)),
        ([resources(cpu=0)], Resources(cpus=0)),
    ],
)
def test_needs_are_what_resources_and_kubernetes_state_the_larger_of_each(decorators, needs):
    assert spec_of(*decorators).resources == needs


def test_the_graph_lists_decorators_with_all_attributes_from_the_nearest_on():
    assert spec_of(retry(times=1), timeout(seconds=2)).decorators == (
        StepDecorator("retry", {"times": 1, "minutes_between_retries": 2}, True, frozenset({"times"})),
        StepDecorator("timeout", {"seconds": 2, "minutes": 0, "hours": 0}, True, frozenset({"seconds"})),
    )


def test_a_subclass_that_overrides_a_step_leaves_the_decorators_behind():
    class Base(FlowSpec):
        @retry
        @step
        def start(self):
            pass

    class Derived(Base):
        @step
        def start(self):
            pass

    assert (define(Base).specs["start"].retry.times, define(Derived).specs["start"].retry.times) == (3, 0)


def test_a_registered_decorator_is_like_a_built_in_one():
    note = register(DecoratorKind("note", {"text": ""}, is_repeatable=True))

    assert [decorator.attributes for decorator in spec_of(note(text="a"), note(text="b")).decorators] == [{"text": "a"}, {"text": "b"}]


def test_an_unknown_attribute_is_refused_when_the_class_is_defined():
    with pytest.raises(
        InvalidDecoratorAttribute, match=r"attribute 'tries': @retry does not know it.*supported: minutes_between_retries, times"
    ):
        retry(tries=3)


def test_an_attribute_by_position_is_refused():
    with pytest.raises(BadStepDecoratorException, match=r"retry was given 3 by position.*@retry\(key=value\)"):
        retry(3)


@pytest.mark.parametrize("target", [lambda self: None, FlowSpec])
def test_a_decorator_on_something_that_is_not_a_step_is_refused(target):
    with pytest.raises(BadStepDecoratorException, match=r"Decorator retry is applied on .* which is not declared as a @step"):
        retry(target)


def test_step_on_something_that_is_not_a_method_is_refused():
    with pytest.raises(BadStepDecoratorException, match=r"@step is applied to .*, which is not a plain method"):
        step(staticmethod(print))


def test_the_same_decorator_twice_is_refused():
    with pytest.raises(DuplicateStepDecoratorException, match="Step start has the decorator @retry more than once"):
        spec_of(retry, retry(times=1))


WRONG = {
    "retries beyond the maximum": (retry(times=5), r"on step 'start' .*maximum number of retries is @retry\(times=4\)"),
    "retries that are no number": (retry(times="many"), "has times='many'. Give a number"),
    "retries in halves": (retry(times=1.5), "has times=1.5. Give a whole number"),
    "a negative delay": (retry(minutes_between_retries=-1), "has minutes_between_retries=-1. Give a number that is not negative"),
    "a timeout of nothing": (timeout, "Specify a duration for @timeout on step 'start'"),
    "a catch without a name": (catch(var="not a name"), "has var='not a name'. Give the name of an artifact"),
    "resources that are no number": (resources(cpu="two"), "@resources on step 'start' .* has cpu='two'"),
    "more than one GPU in fractions": (resources(gpu=1.5), "has gpu=1.5. A fraction shares one GPU"),
    "a type of no GPU": (resources(gpu_type="T4"), "has gpu_type='T4'. Give Ray's name of the type, and how many: gpu=1"),
    "a type that is no name": (resources(gpu=1, gpu_type=4), "has gpu_type=4. Give Ray's name of the type"),
    "custom resources that are no mapping": (resources(resources=["TPU"]), "has resources=.*Give a mapping"),
    "custom resources that are no number": (resources(resources={"TPU": "x"}), "has TPU='x'"),
    "variables that are no mapping": (environment(vars=["A"]), "has vars=.*Give a mapping"),
    "a variable that no system takes": (environment(vars={"A=B": 1}), "names a variable 'A=B'"),
    "a batch system that is not there": (batch(cpu=2), "@batch on step 'start' .*asks for AWS Batch.*@resources"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_flow_cannot_ask_for(what):
    decorate, message = WRONG[what]

    with pytest.raises(UserError, match=message):
        spec_of(decorate)


@pytest.mark.parametrize(("on", "kind"), [("fan", "foreach split"), ("body", "conditional switch")])
def test_catch_is_not_for_steps_that_fan_out_or_choose(on, kind):
    with pytest.raises(BadStepDecoratorException, match=f"@catch is not supported in {kind} steps, and step '{on}'"):
        spec_of(catch, on=on)


def test_with_adds_a_decorator_to_the_steps_that_lack_it():
    class Two(FlowSpec):
        @retry(times=0)
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    definition = define(Two, ["retry:times=2", "retry:times=4", "timeout:seconds=1"])

    assert {step: (spec.retry.times, spec.timeout_s) for step, spec in definition.specs.items()} == {"start": (0, 1), "end": (2, 1)}


def test_with_leaves_the_definition_that_it_is_given():
    definition = define(Flow)

    added = with_decospecs(definition, ["retry"])

    assert (definition.specs["end"].retry.times, added.specs["end"].decorators[0].is_static) == (0, False)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("environment", {"vars": {}}),
        ('environment:vars={"A":"b","C":1}', {"vars": {"A": "b", "C": 1}}),
        ("resources:cpu=2,memory=1.5", {"cpu": 2, "memory": 1.5}),
        ("catch:var=failure,print_exception=false", {"var": "failure", "print_exception": False}),
        ("timeout:seconds=0x", {"seconds": "0x"}),
    ],
)
def test_a_decospec_is_a_name_and_values_as_json_or_text(text, attributes):
    decorator = parse_decospec(text)

    assert {name: decorator.attributes[name] for name in attributes} == attributes


def test_an_unknown_decorator_is_answered_with_those_that_exist():
    with pytest.raises(UnknownStepDecoratorException, match=r"Unknown step decorator rety.*supported: .*environment.*retry"):
        parse_decospec("rety")


def test_an_attribute_without_a_value_is_refused():
    with pytest.raises(InvalidDecoratorAttribute, match=r"'times' in --with 'retry:times' has no value. Write retry:key=value"):
        parse_decospec("retry:times")


def test_the_parallel_decorator_marks_the_node():
    class Gang(FlowSpec):
        @parallel
        @step
        def start(self):
            pass

    assert define(Gang).graph["start"].is_parallel
