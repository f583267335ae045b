"""A flow with objects of every kind: blobs, packs, code, output, a failed attempt."""

from __future__ import annotations

import os

from rayflow import FlowSpec, Parameter, current, retry, step


class Grown(FlowSpec):
    salt = Parameter("salt", default="")
    breaks = Parameter("breaks", default="")

    @step
    def start(self):
        self.big = self.salt.encode() + b"x" * 100_000 + os.environ.get("OTHER", "").encode()
        self.numbers = list(range(4))
        self.next(self.work, foreach="numbers")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        print("working on", self.input)
        self.part = f"{self.salt}{self.input}".encode() + b"." * 40_000 + os.environ.get("OTHER", "").encode()
        self.small = self.input * 2
        if self.input == 1 and current.retry_count == 0:
            self.junk = b"junk" * 10_000
            raise ValueError("once")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.big = inputs[0].big
        self.total = sum(each.small for each in inputs)
        self.lengths = [len(each.part) for each in inputs]
        if self.breaks == "join" and not os.environ.get("MENDED"):
            raise ValueError("broken")
        self.next(self.end)

    @step
    def end(self):
        self.answer = self.total + len(self.big)
