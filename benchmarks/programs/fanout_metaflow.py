"""A foreach of trivial splits, by Metaflow."""

import json
import time

from metaflow import FlowSpec, Parameter, step


class FanoutFlow(FlowSpec):
    splits = Parameter("splits", default=100)

    @step
    def start(self):
        self.numbers = list(range(self.splits))
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        self.begin = time.time()
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = [each.squared for each in inputs]
        assert squares[-1] == (self.splits - 1) ** 2
        self.seconds = time.time() - min(each.begin for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("fanout", json.dumps({"per_s": self.splits / self.seconds, "seconds": self.seconds}))


if __name__ == "__main__":
    FanoutFlow()
