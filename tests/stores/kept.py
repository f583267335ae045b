"""The flow whose runs lie in the stores: all that a format has a place for."""

from __future__ import annotations

import os

from rayflow import FlowSpec, Parameter, catch, retry, step


class Kept(FlowSpec):
    name = Parameter("name", default="Ada")

    @step
    def start(self):
        print("hello", self.name)
        self.text, self.number, self.nothing = "żółć", 7, None
        self.big = b"b" * 40_000
        self.letters = ["a", "b", "c"]
        self.next(self.work, foreach="letters")

    @catch(var="problem")
    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        self.letter = self.input
        self.parts = {"letter": self.input * 2}
        if self.input == "b":
            raise ValueError("never b")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs, include=["big", "number"])
        self.all = [each.letter for each in inputs]
        self.next(self.choose)

    @step
    def choose(self):
        self.kind = "long"
        self.next({"long": self.long, "short": self.end}, condition="kind")

    @step
    def long(self):
        self.length = len(self.big)
        if not os.environ.get("MENDED"):
            raise ValueError("not yet")
        self.next(self.end)

    @step
    def end(self):
        self.answer = (self.length, self.number)
