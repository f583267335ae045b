"""A flow that has its steps and parameters from base classes."""

from metaflow import FlowSpec, Parameter, retry, step


class Loading(FlowSpec):
    size = Parameter("size", default=4)
    unit = "rows"

    @step
    def start(self):
        self.rows = list(range(self.size))
        self.next(self.work)


class Checking:
    def checked(self, rows):
        return [row for row in rows if row % 2]


class InheritedFlow(Checking, Loading):
    unit = "odd rows"

    @retry(times=0)
    @step
    def work(self):
        self.rows = self.checked(self.rows)
        self.next(self.end)

    @step
    def end(self):
        print(len(self.rows), self.unit)


if __name__ == "__main__":
    InheritedFlow()
