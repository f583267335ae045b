"""Switches and loops."""

from __future__ import annotations

from rayflow import Config, FlowSpec, JSONType, Parameter, step


class Switch(FlowSpec):
    value = Parameter("value", type=JSONType, default='"a"')

    @step
    def start(self):
        self.choice = self.value
        self.next({"a": self.text, 1: self.number, False: self.no}, condition="choice")

    @step
    def text(self):
        self.went = "text"
        self.next(self.end)

    @step
    def number(self):
        self.went = "number"
        self.next(self.end)

    @step
    def no(self):
        self.went = "no"
        self.next(self.end)

    @step
    def end(self):
        pass


class AlternatingArms(FlowSpec):
    @step
    def start(self):
        self.items = list(range(30))
        self.next(self.choose, foreach="items")

    @step
    def choose(self):
        self.kind = ("even", "odd", "third")[0 if self.input % 3 == 0 else 1 + self.input % 2]
        self.next({"even": self.even, "odd": self.odd, "third": self.meet}, condition="kind")

    @step
    def even(self):
        self.got = ("even", self.input)
        self.next(self.meet)

    @step
    def odd(self):
        self.got = ("odd", self.input)
        self.next(self.meet)

    @step
    def meet(self):
        self.got = (*getattr(self, "got", ("third", self.input)), self.index)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class ArmsIntoJoin(FlowSpec):
    """The arms of a switch enter the join of the foreach themselves: inputs come in index order, not by arm."""

    @step
    def start(self):
        self.items = list(range(9))
        self.next(self.choose, foreach="items")

    @step
    def choose(self):
        self.is_odd = bool(self.input % 2)
        self.next({True: self.odd, False: self.even}, condition="is_odd")

    @step
    def odd(self):
        self.got = -self.input
        self.next(self.join)

    @step
    def even(self):
        self.got = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Loop(FlowSpec):
    @step
    def start(self):
        self.count = 0
        self.history = []
        self.next(self.turn)

    @step
    def turn(self):
        self.count += 1
        self.history.append(self.count)
        if self.count == 2:
            self.only_in_lap_two = "kept"
        self.more = self.count < 5
        self.next({True: self.turn, False: self.end}, condition="more")

    @step
    def end(self):
        self.seen = (self.count, self.history, self.only_in_lap_two)


class LoopsInForeach(FlowSpec):
    """Every element turns as often as it says."""

    @step
    def start(self):
        self.laps = [3, 1, 4, 1, 5]
        self.next(self.turn, foreach="laps")

    @step
    def turn(self):
        self.count = getattr(self, "count", 0) + 1
        self.trail = [*getattr(self, "trail", []), (self.index, self.count)]
        self.again = "yes" if self.count < self.input else "no"
        self.next({"yes": self.turn, "no": self.after}, condition="again")

    @step
    def after(self):
        self.got = (self.input, self.count, self.trail)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Configured(FlowSpec):
    """The cases are what the Config says."""

    names = Config("names", default_value={"fast": "hare", "slow": "tortoise"})
    animal = Parameter("animal", default="hare")

    @step
    def start(self):
        self.next({self.names.fast: self.runs, self.names.slow: self.walks}, condition="animal")

    @step
    def runs(self):
        self.went = "runs"
        self.next(self.end)

    @step
    def walks(self):
        self.went = "walks"
        self.next(self.end)

    @step
    def end(self):
        pass


class Nesting(FlowSpec):
    """Per element a choice: of a static split with a choice in one branch, of a choice with a fan-out in one arm, or of nothing at all."""

    @step
    def start(self):
        self.kinds = ["split", "few", "many", "none"]
        self.next(self.choose, foreach="kinds")

    @step
    def choose(self):
        self.kind = self.input
        self.next({"split": self.split, "few": self.size, "many": self.size, "none": self.meet}, condition="kind")

    @step
    def split(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.is_even = self.index % 2 == 0
        self.next({True: self.even, False: self.odd}, condition="is_even")

    @step
    def even(self):
        self.got = "even"
        self.next(self.landed)

    @step
    def odd(self):
        self.got = "odd"
        self.next(self.landed)

    @step
    def landed(self):
        self.next(self.unsplit)

    @step
    def right(self):
        self.got = "right"
        self.next(self.unsplit)

    @step
    def unsplit(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.meet)

    @step
    def size(self):
        self.next({"few": self.one, "many": self.fan}, condition="kind")

    @step
    def one(self):
        self.got = "one"
        self.next(self.meet)

    @step
    def fan(self):
        self.numbers = [1, 2, 3]
        self.next(self.part, foreach="numbers")

    @step
    def part(self):
        self.got = (self.input, self.foreach_stack()[0][0])
        self.next(self.unfan)

    @step
    def unfan(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.meet)

    @step
    def meet(self):
        self.got = (self.index, getattr(self, "got", None))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class LoopInBranch(FlowSpec):
    """One branch of a static split turns a few times, the other does not."""

    @step
    def start(self):
        self.laps = 0
        self.next(self.turn, self.straight)

    @step
    def turn(self):
        self.laps += 1
        self.again = self.laps < 4
        self.next({True: self.turn, False: self.turned}, condition="again")

    @step
    def turned(self):
        self.next(self.join)

    @step
    def straight(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = (len(inputs), inputs.turned.laps, inputs.straight.laps)
        self.next(self.end)

    @step
    def end(self):
        pass
