"""A loop that ends once a value has settled."""

from metaflow import FlowSpec, step


class ConvergeFlow(FlowSpec):
    @step
    def start(self):
        self.value, self.history, self.state = 8.0, [], "on"
        self.next(self.improve)

    @step
    def improve(self):
        self.history.append(self.value)
        self.value = self.value / 2
        self.state = "done" if self.value < 1 else "on"
        self.next({"on": self.improve, "done": self.finish}, condition="state")

    @step
    def finish(self):
        self.laps = len(self.history)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConvergeFlow()
