"""A step that starts a run of another flow."""

import os

from metaflow import FlowSpec, Runner, step


class OuterFlow(FlowSpec):
    @step
    def start(self):
        self.sizes = [2, 5]
        self.next(self.inner, foreach="sizes")

    @step
    def inner(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with Runner(os.path.join(here, "inherited.py"), show_output=False).run(size=self.input) as running:
            self.status = running.status
            self.rows = running.run.data.rows
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [(each.status, each.rows) for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OuterFlow()
