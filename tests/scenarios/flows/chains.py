"""Steps of a foreach body that follow each other: of many splits a worker performs them in one go."""

from __future__ import annotations

import os
import time

from rayflow import FlowSpec, Parameter, current, retry, step

SPLITS = 60


class Chain(FlowSpec):
    """Three steps in a row; each changes what it inherits, and prints."""

    @step
    def start(self):
        self.base = [100]
        self.items = list(range(SPLITS))
        self.next(self.first, foreach="items")

    @step
    def first(self):
        self.number = self.input
        self.seen = ["first"]
        self.same = {"never": "changed"}
        self.where = current.pathspec
        print(f"first of {self.input}")
        self.next(self.second)

    @step
    def second(self):
        self.seen.append(f"second {self.number + self.base[0]}")
        self.is_same = self.same["never"] == "changed"
        print(f"second of {self.index}")
        self.next(self.third)

    @step
    def third(self):
        self.seen.append("third")
        self.base.append(self.input)
        self.then = current.pathspec
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = [each.seen for each in inputs]
        self.base_seen = [each.base for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class ChainOfChoices(FlowSpec):
    """A switch, arms of different lengths, and a loop, all within a foreach of many splits."""

    @step
    def start(self):
        self.items = list(range(SPLITS))
        self.next(self.choose, foreach="items")

    @step
    def choose(self):
        self.path = ["choose"]
        self.kind = ("short", "long", "none")[self.input % 3]
        self.next({"short": self.short, "long": self.long, "none": self.meet}, condition="kind")

    @step
    def short(self):
        self.path.append("short")
        self.next(self.meet)

    @step
    def long(self):
        self.path.append("long")
        self.next(self.longer)

    @step
    def longer(self):
        self.path.append("longer")
        self.next(self.meet)

    @step
    def meet(self):
        self.path.append("meet")
        self.count = 0
        self.next(self.turn)

    @step
    def turn(self):
        self.count += 1
        self.laps = [*getattr(self, "laps", []), self.count]
        self.more = self.count < 1 + self.input % 4
        self.next({True: self.turn, False: self.after}, condition="more")

    @step
    def after(self):
        self.got = (*self.path, self.laps)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class ChainThatFails(FlowSpec):
    """The second step of some splits fails at first: by an exception, or with its process."""

    marks = Parameter("marks")
    how = Parameter("how", default="raise")

    @step
    def start(self):
        self.items = list(range(SPLITS))
        self.next(self.first, foreach="items")

    @step
    def first(self):
        self._note("first")
        self.number = self.input
        self.next(self.second)

    @retry(times=1, minutes_between_retries=0)
    @step
    def second(self):
        self._note("second")
        if self.input == 47 and current.retry_count == 0 and not os.path.exists(f"{self.marks}/died"):
            if self.how == "die":
                time.sleep(0.3)  # what a worker says in its last milliseconds is lost with it
                with open(f"{self.marks}/died", "w"):
                    pass
                os._exit(3)
            raise ValueError("broken on purpose")
        self.attempt = current.retry_count
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [(each.number, each.attempt) for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass

    def _note(self, name):
        with open(f"{self.marks}/{name}-{self.input}", "a") as file:
            file.write("x")
