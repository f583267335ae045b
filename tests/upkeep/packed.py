"""A flow whose step has packages of its own. Nothing is imported here that its environment lacks."""

from __future__ import annotations

from rayflow import FlowSpec, pypi, step


class Packed(FlowSpec):
    @pypi(packages={"more-itertools": "10.1.0"})
    @step
    def start(self):
        import more_itertools

        self.version = more_itertools.__version__
        self.next(self.end)

    @step
    def end(self):
        pass
