"""A foreach whose splits work for a while."""

from durations import work
from records import tell_fanout

from rayflow import FlowSpec, Parameter, current, step


class TimedFlow(FlowSpec):
    kind = Parameter("kind", default="1ms")
    splits = Parameter("splits", default=1_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        work(self.kind, self.input, self.splits)
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = inputs.table("squared")["squared"]
        assert len(squares) == self.splits
        assert squares[-1].as_py() == (self.splits - 1) ** 2
        self.next(self.end)

    @step
    def end(self):
        tell_fanout(current, self.splits, "square", "join")


if __name__ == "__main__":
    TimedFlow()
