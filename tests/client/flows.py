"""Flows whose graphs the tests need. Their bodies never run."""

from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step


class Hello(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class Sweep(FlowSpec):
    @step
    def start(self):
        self.next(self.train, foreach="rates")

    @step
    def train(self):
        self.next(self.score)

    @step
    def score(self):
        self.next(self.choose)

    @step
    def choose(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Nested(FlowSpec):
    @step
    def start(self):
        self.next(self.outer, foreach="letters")

    @step
    def outer(self):
        self.next(self.inner, foreach="digits")

    @step
    def inner(self):
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Loop(FlowSpec):
    @step
    def start(self):
        self.next(self.again)

    @step
    def again(self):
        self.next({"more": self.again, "left": self.left, "right": self.right}, condition="way")

    @step
    def left(self):
        self.next(self.end)

    @step
    def right(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class Split(FlowSpec):
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
        self.next(self.end)

    @step
    def end(self):
        pass


class Arms(FlowSpec):
    @step
    def start(self):
        self.next(self.pick, foreach="rates")

    @step
    def pick(self):
        self.next({"x": self.x, "y": self.y}, condition="way")

    @step
    def x(self):
        self.next(self.meet)

    @step
    def y(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.choose)

    @step
    def choose(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Gang(FlowSpec):
    @step
    def start(self):
        self.next(self.work, num_parallel=3)

    @step
    def work(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
