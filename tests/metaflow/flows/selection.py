"""The best of some models, by nested foreach."""

from metaflow import FlowSpec, current, step


class SelectionFlow(FlowSpec):
    folds = 3

    @step
    def start(self):
        self.models = ["ridge", "forest"]
        self.next(self.tune, foreach="models")

    @step
    def tune(self):
        self.model = self.input
        self.depths = range(1, self.folds + 1)
        self.next(self.fit, foreach="depths")

    @step
    def fit(self):
        self.depth = self.input
        self.stack = [(index, size, str(value)) for index, size, value in self.foreach_stack()]
        self.score = len(self.model) * 10 - abs(self.depth - 2)
        self.where = (current.step_name, self.index)
        self.next(self.best_depth)

    @step
    def best_depth(self, inputs):
        best = max(inputs, key=lambda each: (each.score, each.depth))
        self.model, self.depth, self.score = best.model, best.depth, best.score
        self.stacks = [each.stack for each in inputs]
        self.next(self.best_model)

    @step
    def best_model(self, inputs):
        self.ranking = sorted(((each.score, each.model, each.depth) for each in inputs), reverse=True)
        self.stacks = [each.stacks for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        self.winner = self.ranking[0]


if __name__ == "__main__":
    SelectionFlow()
