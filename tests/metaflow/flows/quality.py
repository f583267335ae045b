"""What becomes of data depends on its quality."""

from metaflow import FlowSpec, Parameter, step


class QualityFlow(FlowSpec):
    missing = Parameter("missing", default=3)

    @step
    def start(self):
        self.rows = [None] * self.missing + [1] * 7
        self.quality = "good" if self.missing < 2 else "poor" if self.missing < 5 else "bad"
        self.next({"good": self.train, "poor": self.clean, "bad": self.reject}, condition="quality")

    @step
    def clean(self):
        self.rows = [row for row in self.rows if row is not None]
        self.cleaned = True
        self.next(self.train)

    @step
    def train(self):
        self.size = len(self.rows)
        self.next(self.report)

    @step
    def reject(self):
        self.size = 0
        self.next(self.report)

    @step
    def report(self):
        self.told = (self.quality, self.size, getattr(self, "cleaned", False))
        self.next(self.end)

    @step
    def end(self):
        print(self.told)


if __name__ == "__main__":
    QualityFlow()
