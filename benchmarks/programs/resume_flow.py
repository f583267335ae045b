"""A foreach whose last split fails, until a file `mended` is there. What is run again says when it began."""

import os
import time

from rayflow import FlowSpec, Parameter, step


class ResumeFlow(FlowSpec):
    splits = Parameter("splits", default=100_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        if self.input == self.splits - 1:
            begun = time.time()
            if not os.path.exists("mended"):
                time.sleep(1.0)  # the others are done by then
                raise RuntimeError("not mended yet")
            with open("begun", "w") as file:
                file.write(repr(begun))
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        assert len(inputs.table("squared")) == self.splits
        self.next(self.end)

    @step
    def end(self):
        print("done")


if __name__ == "__main__":
    ResumeFlow()
