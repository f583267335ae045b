"""A foreach whose body has a switch, and a step in which its arms meet again before the join."""

from records import tell_fanout

from rayflow import FlowSpec, Parameter, current, step


class MeetingFlow(FlowSpec):
    splits = Parameter("splits", default=100_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.pick, foreach="numbers")

    @step
    def pick(self):
        self.number = self.input
        self.parity = "odd" if self.input % 2 else "even"
        self.next({"even": self.even, "odd": self.odd}, condition="parity")

    @step
    def even(self):
        self.found = self.number // 2
        self.next(self.meet)

    @step
    def odd(self):
        self.found = self.number * 3
        self.next(self.meet)

    @step
    def meet(self):
        self.squared = self.found * self.found
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = inputs.table("squared")["squared"]
        last = self.splits - 1
        assert len(squares) == self.splits
        assert squares[-1].as_py() == (last * 3 if last % 2 else last // 2) ** 2
        self.next(self.end)

    @step
    def end(self):
        tell_fanout(current, self.splits, "pick", "join")


if __name__ == "__main__":
    MeetingFlow()
