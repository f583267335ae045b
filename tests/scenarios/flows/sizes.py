"""Many tasks, many lines, much data."""

from __future__ import annotations

import atexit
import resource
import sys

import numpy as np

from rayflow import FlowSpec, Parameter, step


class Wide(FlowSpec):
    width = Parameter("width", default=1200)

    @step
    def start(self):
        self.items = list(range(self.width))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.square = self.input**2
        print(f"task {self.index}")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.squares = [each.square for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Lines(FlowSpec):
    tasks = Parameter("tasks", default=32)
    lines = Parameter("lines", default=5000)

    @step
    def start(self):
        self.items = list(range(self.tasks))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        for number in range(self.lines):
            print(f"{self.index}: line {number} żółć")
            if number % 10 == 0:
                print(f"{self.index}: error {number}", file=sys.stderr)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.count = len(inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


class Large(FlowSpec):
    """`nbytes` go from step to step, are read in one, and changed in the next."""

    nbytes = Parameter("nbytes", default=4_100_000_000)

    @step
    def start(self):
        self.large = np.ones(self.nbytes // 8)
        self.next(self.read)

    @step
    def read(self):
        self.sum = float(self.large.sum())
        self.next(self.change)

    @step
    def change(self):
        self.large[-1] = 7.0
        self.next(self.end)

    @step
    def end(self):
        self.ends = [float(self.large[0]), float(self.large[-1])]


if __name__ == "__main__":
    atexit.register(lambda: print("peak KiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
    Large()
