from __future__ import annotations

import pytest

from rayflow import (
    FlowMutator,
    FlowSpec,
    IncludeFile,
    Parameter,
    StepMutator,
    UserStepDecorator,
    environment,
    retry,
    step,
    user_step_decorator,
)
from rayflow.exception import TaskFailedException
from rayflow.flow.decorators import kind_of
from rayflow.flow.definition import define
from rayflow.model.errors import BadStepDecoratorException, DuplicateStepDecoratorException, UnknownStepDecoratorException, UserError
from rayflow.testing import run_flow


@user_step_decorator
def quiet(step_name, flow, inputs):
    yield


def made(above_start=(), above_flow=()):
    """A flow of two steps, with decorators above the first (the nearest first), and above the class."""

    class Made(FlowSpec):
        alpha = Parameter("alpha", default=1)

        @retry(times=2)
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    for decorator in above_start:
        decorator(vars(Made)["start"])
    for decorator in above_flow:
        Made = decorator(Made)
    return Made


class Acts(FlowMutator):
    """Does in one phase what it is given."""

    def init(self, act, phase="mutate"):
        self.act, self.phase = act, phase

    def pre_mutate(self, mutable_flow):
        if self.phase == "pre_mutate":
            self.act(mutable_flow)

    def mutate(self, mutable_flow):
        if self.phase == "mutate":
            self.act(mutable_flow)


def mutated(act, phase="mutate"):
    return define(made(above_flow=[Acts(act, phase=phase)]))


def names(definition, name="start"):
    return [decorator.name for decorator in definition.specs[name].decorators]


# -- how they are written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "error", "words"),
    [
        (lambda: user_step_decorator(lambda a, b, c: None), UserError, "no generator function"),
        (lambda: user_step_decorator(two_arguments), UserError, r"takes 2 arguments. Give it \(step_name, flow, inputs\[, attributes\]\)"),
        (lambda: quiet(made()), BadStepDecoratorException, "not declared as a @step"),
        (lambda: made(above_start=[quiet, quiet]), DuplicateStepDecoratorException, "more than once"),
        (lambda: Acts(act=None)(made().start), UserError, "which is no flow"),
        (lambda: kind_of("rayflow.nowhere.deco"), UnknownStepDecoratorException, "Unknown step decorator rayflow.nowhere.deco"),
    ],
)
def test_misuse_is_named(write, error, words):
    with pytest.raises(error, match=words):
        write()


def two_arguments(step_name, flow):
    yield


def test_a_decorator_is_found_by_its_name_and_by_an_ending_of_it():
    whole = f"{__name__}.quiet"

    assert kind_of(whole) is kind_of("test_extensions.quiet") is quiet


# -- what goes wrong in them -------------------------------------------------------------------------------------------


@user_step_decorator
def twice(step_name, flow, inputs):
    yield
    yield


@user_step_decorator
def never(step_name, flow, inputs):
    if step_name == "nobody":
        yield


@user_step_decorator
def odd(step_name, flow, inputs):
    yield 7


@user_step_decorator
def breaking(step_name, flow, inputs):
    raise OSError("before the step")
    yield


class Takes(UserStepDecorator):
    pass


class Raises(UserStepDecorator):
    def post_step(self, step_name, flow, exception=None):
        return ValueError("from post_step"), None


@pytest.mark.parametrize(
    ("decorator", "words"),
    [
        (twice, "twice should only yield once, for step 'start': it yielded again"),
        (never, "never should only yield once, for step 'start': it did not"),
        (odd, "odd yielded 7. It may yield nothing, a mapping, or a function of the flow"),
        (breaking, "before the step"),
        (Takes(a=1), r"@Takes was given a=1. Define init\(self, ...\) in it to take that"),
        (Raises, "from post_step"),
    ],
)
def test_what_goes_wrong_in_a_wrapper_fails_the_task(decorator, words):
    with pytest.raises(TaskFailedException, match=words):
        run_flow(made(above_start=[decorator]))


# -- what mutators may do ----------------------------------------------------------------------------------------------


def test_a_mutator_sees_the_flow():
    seen = {}

    def look(flow):
        seen.update(
            steps=[name for name, _ in flow.steps],
            parameters=[name for name, _ in flow.parameters],
            by_attribute=(flow.start.name, flow.alpha.name),
            start=list(flow.start.decorator_specs),
            has=(flow.start.has_decorator("retry"), flow.end.has_decorator("retry"), flow.start.flow.end.name),
        )

    mutated(look)

    assert seen == {
        "steps": ["start", "end"],
        "parameters": ["alpha"],
        "by_attribute": ("start", "alpha"),
        "start": [("retry", "rayflow.retry", [], {"times": 2, "minutes_between_retries": 2})],
        "has": (True, False, "end"),
    }


def test_decorators_are_added_changed_and_removed():
    def edit(flow):
        (_, _, arguments, keywords) = next(flow.start.get_decorator_specs("retry"))
        keywords["times"] = 3
        flow.start.add_decorator(retry, arguments, keywords, duplicates=flow.OVERRIDE)
        flow.end.add_decorator('environment:vars={"A": "b"}')
        flow.end.add_decorator(quiet)
        assert flow.end.add_decorator("environment", deco_kwargs={"vars": {}}) is None
        assert not flow.end.remove_decorator("environment", deco_kwargs={"vars": {"other": "1"}})
        assert flow.end.remove_decorator("quiet")
        assert not flow.end.remove_decorator("quiet")

    definition = mutated(edit)

    assert (definition.specs["start"].retry.times, names(definition, "end")) == (3, ["environment"])
    assert definition.specs["end"].decorators[0].inserted_by == f"{__name__}.Acts"


class AddsAnother(StepMutator):
    def pre_mutate(self, mutable_step):
        mutable_step.add_decorator(Last)

    def mutate(self, mutable_step):
        mutable_step.add_decorator(environment, deco_kwargs={"vars": {"A": "1"}})


class Last(StepMutator):
    def mutate(self, mutable_step):
        (_, _, _, keywords) = next(mutable_step.get_decorator_specs("environment"))
        mutable_step.add_decorator(environment, deco_kwargs={"vars": {**keywords["vars"], "B": "2"}}, duplicates=mutable_step.OVERRIDE)


def test_a_mutator_that_a_mutator_adds_runs_too():
    definition = define(made(above_start=[AddsAnother]))

    assert dict(definition.specs["start"].environment) == {"A": "1", "B": "2"}
    assert names(definition) == ["retry", "environment"]


def test_mutators_of_base_classes_come_first():
    order = []
    base = made(above_flow=[Acts(lambda flow: order.append("base"))])
    derived = type("Derived", (base,), {"__module__": __name__})
    derived = Acts(lambda flow: order.append("derived"))(derived)

    define(base)
    define(derived)

    assert order == ["base", "base", "derived"]


@pytest.mark.parametrize(
    ("act", "phase", "words"),
    [
        (lambda flow: flow.add_parameter("b", Parameter("b")), "mutate", "Adding a parameter is only allowed in the `pre_mutate` method"),
        (lambda flow: flow.remove_parameter("alpha"), "mutate", "Removing a parameter is only allowed in the `pre_mutate` method"),
        (lambda flow: flow.start.add_decorator(Last), "mutate", "Adding a step mutator is only allowed in the `pre_mutate` method"),
        (lambda flow: flow.add_parameter("alpha", Parameter("a")), "pre_mutate", "has 'alpha' already"),
        (lambda flow: flow.add_parameter("start", Parameter("a")), "pre_mutate", "has 'start' already"),
        (lambda flow: flow.add_parameter("b", 7), "pre_mutate", "Give it a Parameter"),
        (lambda flow: flow.add_parameter("b", IncludeFile("b", parser=str)), "pre_mutate", "IncludeFile with a parser"),
        (lambda flow: flow.start.add_decorator("retry:times=1", deco_kwargs={"times": 2}), "mutate", "says arguments twice"),
        (lambda flow: flow.start.add_decorator(print), "mutate", "which is no step decorator"),
        (lambda flow: flow.start.add_decorator(retry, duplicates=flow.ERROR), "mutate", "which has it already"),
    ],
)  # fmt: skip
def test_what_a_mutator_may_not_do_is_named(act, phase, words):
    with pytest.raises(UserError, match=words):
        mutated(act, phase)


def test_a_parameter_that_is_added_or_overwritten_is_one_like_all():
    def edit(flow):
        flow.add_parameter("beta", Parameter("be-ta", default=2))
        flow.add_parameter("alpha", Parameter("alpha", default=5), overwrite=True)

    assert {name: parameter.default for name, parameter in mutated(edit, "pre_mutate").parameters.items()} == {"alpha": 5, "beta": 2}
