"""`merge_artifacts`, and a foreach read as a table."""

from __future__ import annotations

from rayflow import FlowSpec, Parameter, step


class Untouchable:
    """A value that says so when it is loaded."""

    def __reduce__(self):
        return _load, ()


def _load():
    print("LOADED")
    return Untouchable()


class Merge(FlowSpec):
    constant = [1, 2]
    alpha = Parameter("alpha", default=0.5)

    @step
    def start(self):
        self.common = {"a": 1}
        self.heavy = Untouchable()
        self.changed = "before"
        self.next(self.left, self.right)

    @step
    def left(self):
        self.changed = "left"
        self.only_left = 1
        self.equal = [1, 2]
        self.next(self.join)

    @step
    def right(self):
        self.changed = "right"
        self.equal = [1, 2]
        self.next(self.join)

    @step
    def join(self, inputs):
        from rayflow.exception import MissingInMergeArtifactsException, UnhandledInMergeArtifactsException

        try:
            self.merge_artifacts(inputs)
        except UnhandledInMergeArtifactsException as conflict:
            self.conflicts = sorted(conflict.artifact_names)
            self.nothing_was_set = not hasattr(self, "common")
        try:
            self.merge_artifacts(inputs, include=["nowhere"])
        except MissingInMergeArtifactsException as missing:
            self.missing = missing.artifact_names
        try:
            self.merge_artifacts(inputs, include=["a"], exclude=["b"])
        except Exception as error:
            self.refusal = str(error)
        self.changed = inputs.left.changed
        self.merge_artifacts(inputs)
        self.after = (self.common, self.only_left, self.equal, self.alpha, self.constant)
        self.next(self.fork)

    @step
    def fork(self):
        self.next(self.up, self.down)

    @step
    def up(self):
        self.common["up"] = 2
        self.next(self.meet)

    @step
    def down(self):
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.merge_artifacts(inputs, exclude=["common", "equal"])
        self.has = [name for name in ("common", "equal", "only_left", "heavy") if name in dir(self) or hasattr(type(self), name)]
        self.seen = (hasattr(self, "common"), hasattr(self, "equal"), self.only_left)
        self.next(self.end)

    @step
    def end(self):
        try:
            self.merge_artifacts([])
        except Exception as error:
            self.refused_outside = str(error)


class Conflict(FlowSpec):
    @step
    def start(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.x = 1
        self.next(self.join)

    @step
    def right(self):
        self.x = 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


class Table(FlowSpec):
    @step
    def start(self):
        self.grid = [0.1, 0.2, 0.4]
        self.next(self.train, foreach="grid")

    @step
    def train(self):
        self.lr = self.input
        self.score = round(1 - self.lr, 3)
        self.label = f"lr={self.lr}"
        self.next(self.check)

    @step
    def check(self):
        self.passed = self.score > 0.7
        self.next(self.join)

    @step
    def join(self, inputs):
        table = inputs.table("lr", "score", "passed", "label", "grid")
        self.columns = table.to_pydict()
        self.best = max(table.to_pylist(), key=lambda row: row["score"])["lr"]
        try:
            inputs.table("nope")
        except Exception as error:
            self.refusal = f"{type(error).__name__}: {error}"
        self.next(self.end)

    @step
    def end(self):
        pass
