"""A foreach of trivial splits: each stores two small artifacts."""

import json

from rayflow import FlowSpec, Parameter, current, step


class FanoutFlow(FlowSpec):
    splits = Parameter("splits", default=100_000)

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        self.number = self.input
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = inputs.table("squared")["squared"]
        assert len(squares) == self.splits
        self.last = squares[-1].as_py()
        self.next(self.end)

    @step
    def end(self):
        """Says the rate, from the first split's start to the join's end, by the records."""
        from rayflow import Run, namespace

        namespace(None)
        run = Run(f"{current.flow_name}/{current.run_id}")
        assert self.last == (self.splits - 1) ** 2
        seconds = (run["join"].finished_at - run["square"].created_at).total_seconds()
        print("fanout", json.dumps({"per_s": self.splits / seconds, "seconds": seconds}))


if __name__ == "__main__":
    FanoutFlow()
