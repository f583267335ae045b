"""Configs in decorators, in Parameters, and in steps."""

from __future__ import annotations

import os

from rayflow import Config, FlowSpec, Parameter, config_expr, environment, step


class Configured(FlowSpec):
    cfg = Config("cfg", default_value={"model": {"depth": 3, "names": ["a", {"b": 1}]}})
    label = Config("label", default_value="plain text", plain=True)
    nothing = Config("nothing")
    depth = Parameter("depth", default=cfg.model.depth)
    breaks = Parameter("breaks", default="", help="The join fails while there is this file.")

    @step
    def start(self):
        self.numbers = range(self.cfg.model.depth)
        try:
            self.cfg["model"].update(depth=4)
        except TypeError as error:
            self.refusal = str(error)
        self.next(self.body, foreach="numbers")

    @environment(vars={"DEPTH": config_expr("str(cfg.model.depth)")})
    @step
    def body(self):
        self.seen = (os.environ["DEPTH"], self.cfg.model.names[1].b, self.label, self.nothing, self.depth)
        self.model = self.cfg.model
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = {each.seen for each in inputs}
        self.models = [each.model for each in inputs]
        if os.path.exists(self.breaks):
            raise ValueError("asked for")
        self.next(self.end)

    @step
    def end(self):
        self.last = self.cfg.model.depth
