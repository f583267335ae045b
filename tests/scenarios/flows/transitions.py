"""Transitions that cannot be followed, and limits."""

from __future__ import annotations

import time

from rayflow import FlowSpec, Parameter, resources, step


class Wrong(FlowSpec):
    how = Parameter("how", default="early return")

    @step
    def start(self):
        self.items = [1, 2]
        if self.how == "early return":
            return
        if self.how == "elsewhere":
            self.next(self.other)
            return
        if self.how == "twice":
            self.next(self.middle)
        if self.how == "not a step":
            self.next(self.helper)
        if self.how == "no artifact":
            self.next(self.middle, foreach="nowhere")
        if self.how == "not iterable":
            self.number = 5
            self.next(self.middle, foreach="number")
        self.next(self.middle)

    def helper(self):
        pass

    @step
    def middle(self):
        self.next(self.other)

    @step
    def other(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class WrongSplit(FlowSpec):
    """Only one split goes astray: its neighbours are done all the same."""

    @step
    def start(self):
        self.items = list(range(3))
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.got = self.input
        if self.input == 2:
            return
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Clocked(FlowSpec):
    """Notes when each task ran."""

    count = Parameter("count", default=6)

    @step
    def start(self):
        self.items = range(self.count)
        self.next(self.body, foreach="items")

    @step
    def body(self):
        begun = time.time()
        time.sleep(0.1)
        self.span = (begun, time.time())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.spans = [each.span for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Greedy(FlowSpec):
    """Each split takes both CPUs."""

    @step
    def start(self):
        self.items = range(4)
        self.next(self.body, foreach="items")

    @resources(cpu=2)
    @step
    def body(self):
        begun = time.time()
        time.sleep(0.1)
        self.span = (begun, time.time())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.spans = [each.span for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class TooMuch(FlowSpec):
    """Needs what no laptop has."""

    @resources(cpu=1000, gpu=8)
    @step
    def start(self):
        self.done = True
        self.next(self.end)

    @step
    def end(self):
        pass
