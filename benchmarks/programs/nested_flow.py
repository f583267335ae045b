"""A foreach in a foreach."""

from records import tell_fanout

from rayflow import FlowSpec, Parameter, current, step


class NestedFlow(FlowSpec):
    outer = Parameter("outer", default=1_000)
    inner = Parameter("inner", default=100)

    @step
    def start(self):
        self.rows = range(self.outer)
        self.next(self.row, foreach="rows")

    @step
    def row(self):
        self.base = self.input * self.inner
        self.cells = range(self.inner)
        self.next(self.cell, foreach="cells")

    @step
    def cell(self):
        self.number = self.base + self.input
        self.squared = self.number * self.number
        self.next(self.merge)

    @step
    def merge(self, inputs):
        squares = inputs.table("squared")["squared"]
        assert len(squares) == self.inner
        self.last = squares[-1].as_py()
        self.next(self.join)

    @step
    def join(self, inputs):
        lasts = inputs.table("last")["last"]
        assert len(lasts) == self.outer
        assert lasts[-1].as_py() == (self.outer * self.inner - 1) ** 2
        self.next(self.end)

    @step
    def end(self):
        tell_fanout(current, self.outer * self.inner, "row", "join")


if __name__ == "__main__":
    NestedFlow()
