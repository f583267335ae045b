"""A step that starts a run of another flow."""

import os

from metaflow import FlowSpec, Runner, step


class OuterFlow(FlowSpec):
    @step
    def start(self):
        self.missing = [0, 6]
        self.next(self.inner, foreach="missing")

    @step
    def inner(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with Runner(os.path.join(here, "quality.py"), show_output=False).run(missing=self.input) as running:
            self.status = running.status
            self.told = list(running.run.data.told)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [(each.status, each.told) for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OuterFlow()
