"""Two branches of two CPU seconds each. The benchmark runs it by rayflow and, with the other import, by Metaflow."""

from burning import burn

from rayflow import FlowSpec, step


class BranchesFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.rounds = burn(2.0)
        self.next(self.join)

    @step
    def right(self):
        self.rounds = burn(2.0)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = inputs.left.rounds + inputs.right.rounds
        self.next(self.end)

    @step
    def end(self):
        assert self.total > 0
        print("done")


if __name__ == "__main__":
    BranchesFlow()
