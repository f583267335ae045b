"""A large value on a bucket, from one lone task to the next, and to the splits of a foreach."""

from __future__ import annotations

import numpy as np

from rayflow import FlowSpec, Parameter, step


class Handed(FlowSpec):
    numbers = Parameter("numbers", default=1_000)

    @step
    def start(self):
        self.big = np.arange(self.numbers)
        self.next(self.use)

    @step
    def use(self):
        self.sum = int(self.big.sum())
        self.big[0] = 1  # its own
        self.parts = range(3)
        self.next(self.part, foreach="parts")

    @step
    def part(self):
        self.first = int(self.big[self.input])
        self.next(self.join)

    @step
    def join(self, inputs):
        self.firsts = [each.first for each in inputs]
        self.sums = {each.sum for each in inputs}
        self.next(self.end)

    @step
    def end(self):
        pass


class Many(FlowSpec):
    """Small splits."""

    splits = Parameter("splits", default=10_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(inputs.table("squared")["squared"].to_pylist())
        self.next(self.end)

    @step
    def end(self):
        print("the end")
