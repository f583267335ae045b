"""Step decorators and mutators that the user wrote."""

from __future__ import annotations

import os

from rayflow import (
    USER_SKIP_STEP,
    Config,
    FlowMutator,
    FlowSpec,
    Parameter,
    StepMutator,
    UserStepDecorator,
    current,
    environment,
    retry,
    step,
    user_step_decorator,
)


@user_step_decorator
def noted(step_name, flow, inputs, attributes):
    flow.temporary = True
    flow.trail = [*getattr(flow, "trail", []), ("before", step_name, attributes.get("as_", ""), inputs is not None)]
    yield
    flow.trail = [*flow.trail, ("after", step_name, attributes.get("as_", ""))]
    if hasattr(flow, "temporary"):
        del flow.temporary


@user_step_decorator
def forgiving(step_name, flow, inputs):
    try:
        yield
    except ValueError as error:
        flow.forgiven = str(error)


@user_step_decorator
def renaming(step_name, flow, inputs):
    try:
        yield
    except ValueError as error:
        raise KeyError("renamed") from error


@user_step_decorator
def left_out(step_name, flow, inputs):
    flow.is_left_out = True
    yield USER_SKIP_STEP


@user_step_decorator
def instead(step_name, flow, inputs, attributes):
    def body(flow, *inputs):
        flow.replaced = (attributes["by"], len(inputs))

    yield body


class Counting(UserStepDecorator):
    def init(self, first=0):
        self.count = first

    def pre_step(self, step_name, flow, inputs=None):
        self.count += 1
        flow.skipped = step_name == "skipped"
        if flow.skipped:
            self.skip_step = True

    def post_step(self, step_name, flow, exception=None):
        flow.count = self.count
        flow.seen = repr(exception)
        return None if step_name == "raising" else exception


class Wrapped(FlowSpec):
    @forgiving
    @noted(as_="start")
    @step
    def start(self):
        self.numbers = [1, 2, 3]
        self.next(self.body, foreach="numbers")

    @forgiving
    @step
    def body(self):
        self.value = self.input
        if self.input == 2:
            raise ValueError("not two")
        self.next(self.join)

    @noted(as_="join")
    @step
    def join(self, inputs):
        self.forgiven = [getattr(each, "forgiven", None) for each in inputs]
        self.values = [each.value for each in inputs]
        self.letters = "ab"
        self.next(self.skipped)

    @Counting(first=10)
    @step
    def skipped(self):
        self.never = True
        self.next(self.raising)

    @Counting
    @step
    def raising(self):
        raise ValueError("swallowed")
        self.next(self.replaced)

    @instead(by="a function")
    @step
    def replaced(self):
        self.never = True
        self.next(self.fan)

    @left_out
    @step
    def fan(self):
        self.never = True
        self.next(self.split, foreach="letters")

    @step
    def split(self):
        self.next(self.last)

    @instead(by="a function of the inputs")
    @step
    def last(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Renamed(FlowSpec):
    """What the wrapper raises is what the step failed with, in each attempt anew."""

    @retry(times=1, minutes_between_retries=0)
    @renaming
    @step
    def start(self):
        print("attempt", current.retry_count)
        raise ValueError("first")
        self.next(self.end)

    @step
    def end(self):
        pass


class Adds(FlowMutator):
    """Adds a Parameter, and a decorator to each step that has none of the kind."""

    def init(self, name, default=0):
        self.name, self.default = name, default

    def pre_mutate(self, mutable_flow):
        mutable_flow.add_parameter(self.name, Parameter(self.name, default=self.default))
        assert mutable_flow.remove_parameter("unwanted")

    def mutate(self, mutable_flow):
        for name, mutable_step in mutable_flow.steps:
            mutable_step.add_decorator(noted, deco_kwargs={"as_": f"added to {name}"})
            assert mutable_step.has_decorator("noted")
        assert dict(mutable_flow.configs)["cfg"].level == 3


class Sets(StepMutator):
    """Sets environment variables, whatever is there."""

    def init(self, **variables):
        self.variables = variables

    def mutate(self, mutable_step):
        mutable_step.add_decorator("environment", deco_kwargs={"vars": self.variables}, duplicates=mutable_step.OVERRIDE)


class Base(FlowSpec):
    cfg = Config("cfg", default_value={"level": 3})
    unwanted = Parameter("unwanted", default=1)


@Adds("added", default=Base.cfg.level)
class Mutated(Base):
    @noted(as_="its own")
    @step
    def start(self):
        self.next(self.show)

    @Sets(LEVEL="high")
    @environment(vars={"LEVEL": "low"})
    @step
    def show(self):
        self.level = os.environ["LEVEL"]
        self.has_unwanted = hasattr(self, "unwanted")
        self.next(self.end)

    @step
    def end(self):
        self.twice = self.added * 2
