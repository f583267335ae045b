"""A foreach whose body is a chain of three steps."""

from records import tell_fanout

from rayflow import FlowSpec, Parameter, current, step


class ChainFlow(FlowSpec):
    splits = Parameter("splits", default=100_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.take, foreach="numbers")

    @step
    def take(self):
        self.number = self.input
        self.next(self.double)

    @step
    def double(self):
        self.doubled = self.number * 2
        self.next(self.square)

    @step
    def square(self):
        self.squared = self.doubled * self.doubled
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = inputs.table("squared")["squared"]
        assert len(squares) == self.splits
        assert squares[-1].as_py() == ((self.splits - 1) * 2) ** 2
        self.next(self.end)

    @step
    def end(self):
        tell_fanout(current, self.splits, "take", "join")


if __name__ == "__main__":
    ChainFlow()
