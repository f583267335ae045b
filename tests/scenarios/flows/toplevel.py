"""A flow whose file imports, at its top, what the environment of a step lacks."""

from __future__ import annotations

import hypothesis

from rayflow import FlowSpec, pypi, step


class Imports(FlowSpec):
    @step
    def start(self):
        self.version = hypothesis.__version__
        self.next(self.packed)

    @pypi(packages={"more-itertools": "10.1.0"})
    @step
    def packed(self):
        self.next(self.end)

    @step
    def end(self):
        pass
