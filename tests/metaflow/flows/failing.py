"""A flow that fails in a branch."""

from metaflow import FlowSpec, step


class FailingFlow(FlowSpec):
    @step
    def start(self):
        self.kept = "before"
        self.next(self.fine, self.broken)

    @step
    def fine(self):
        self.next(self.join)

    @step
    def broken(self):
        self.reached = True
        raise ValueError("on purpose")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FailingFlow()
