"""Linear flows, static splits, foreach in all its forms, and nesting of them."""

from __future__ import annotations

import random
import time

from rayflow import FlowSpec, JSONType, Parameter, current, step


class Linear(FlowSpec):
    @step
    def start(self):
        self.trail = ["start"]
        self.next(self.middle)

    @step
    def middle(self):
        self.trail.append("middle")
        self.next(self.end)

    @step
    def end(self):
        self.trail.append("end")


class OneStep(FlowSpec):
    @step
    def start(self):
        self.answer = 42


class NamedEnds(FlowSpec):
    """Its first and its last step are said to be these; each step notes where it is."""

    @step(start=True, node_info={"colour": "red"})
    def fetch(self):
        self.where = [(str(self), self._current_step)]
        self.items = "ab"
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.where = [(str(self), self._current_step)]
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.where = [each.where[0] for each in inputs]
        self.next(self.publish)

    @step(end=True)
    def publish(self):
        self.where = [*self.where, (str(self), self._current_step)]
        self.steps = list(current.graph["steps"])


class Split(FlowSpec):
    @step
    def start(self):
        self.origin = "s"
        self.next(self.zebra, self.apple, self.mango)

    @step
    def zebra(self):
        time.sleep(0.05)
        self.fruit = "z"
        self.next(self.join)

    @step
    def apple(self):
        self.fruit = "a"
        self.next(self.peeled)

    @step
    def peeled(self):
        self.fruit += "p"
        self.next(self.join)

    @step
    def mango(self):
        self.fruit = "m"
        self.next(self.join)

    @step
    def join(self, inputs):
        self.order = [each.fruit for each in inputs]
        self.by_name = (inputs.zebra.fruit, inputs.peeled.fruit, inputs.mango.fruit)
        self.by_index = (inputs[0].fruit, inputs[-1].fruit, [each.fruit for each in inputs[1:]])
        self.count = len(inputs)
        self.origins = {each.origin for each in inputs}
        self.is_empty_before_merge = not hasattr(self, "origin") and not hasattr(self, "fruit")
        self.has_apple = hasattr(inputs, "apple")
        self.index_in_split = (self.index, self.input, self.foreach_stack())
        self.next(self.end)

    @step
    def end(self):
        pass


class NestedSplit(FlowSpec):
    @step
    def start(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.left_a, self.left_b)

    @step
    def left_a(self):
        self.word = "la"
        self.next(self.left_join)

    @step
    def left_b(self):
        self.word = "lb"
        self.next(self.left_join)

    @step
    def left_join(self, inputs):
        self.words = [each.word for each in inputs]
        self.next(self.join)

    @step
    def right(self):
        self.words = ["r"]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.words = [word for each in inputs for word in each.words]
        self.next(self.end)

    @step
    def end(self):
        pass


def _make(kind: str):
    import numpy as np

    return {
        "list": lambda: ["b", "a", "c"],
        "tuple": lambda: ((1, 2), (3, 4)),
        "range": lambda: range(3, 9, 2),
        "str": lambda: "héy",
        "set": lambda: {10, 20, 30},
        "empty": list,
        "array": lambda: np.array([[1, 2], [3, 4], [5, 6]]),
        "iterator": lambda: map(str.upper, ["x", "y"]),
        "views": {"k": 1, "l": 2}.items,
        "none": lambda: [None, 0, False],
    }[kind]()


class Foreach(FlowSpec):
    @step
    def start(self):
        self.items = ["b", "a", "c"]
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.got = self.input
        self.place = self.index
        self.next(self.tail)

    @step
    def tail(self):
        self.still = (self.index, self.input, self.foreach_stack())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.places = [each.place for each in inputs]
        self.still = [each.still for each in inputs]
        self.inputs_of = [(each.index, each.input, each.foreach_stack()) for each in inputs]
        self.outside = (self.index, self.input, self.foreach_stack())
        self.next(self.end)

    @step
    def end(self):
        pass


class Kinds(FlowSpec):
    """Fans out over values of many kinds, one kind a split of the outer foreach."""

    @step
    def start(self):
        self.kinds = ["list", "tuple", "range", "str", "set", "empty", "array", "iterator", "views", "none"]
        self.next(self.fan, foreach="kinds")

    @step
    def fan(self):
        self.items = _make(self.input)
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.got = self.input.tolist() if hasattr(self.input, "tolist") else self.input
        self.next(self.inner)

    @step
    def inner(self, inputs):
        self.got = [each.got for each in inputs]
        self.kind = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = {each.kind: each.got for each in inputs}
        self.next(self.end)

    @step
    def end(self):
        pass


class RebindsItems(FlowSpec):
    """The body may do with the artifact what it likes: the order was fixed when `next` was called."""

    @step
    def start(self):
        self.items = ["a", "b"]
        self.next(self.body, foreach="items")

    @step
    def body(self):
        before = self.input
        self.items = None
        self.got = (before, self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Inheriting(FlowSpec):
    """Splits of several outer rows read what their own row, and the start, stored; what one changes no other sees."""

    @step
    def start(self):
        self.word = "w"
        self.rows = [3, 1, 0, 2]
        self.next(self.row, foreach="rows")

    @step
    def row(self):
        self.base = 10 * self.index
        self.marks = [self.index]
        self.cells = range(self.input)
        self.next(self.cell, foreach="cells")

    @step
    def cell(self):
        self.marks.append(self.input)
        self.got = (self.word, self.base, self.marks, hasattr(self, "nothing"))
        self.base += 1
        self.next(self.merge)

    @step
    def merge(self, inputs):
        self.got = [(each.base, *each.got) for each in inputs]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [got for each in inputs for got in each.got]
        self.next(self.end)

    @step
    def end(self):
        pass


class Nested(FlowSpec):
    """Two foreaches, a join inside the outer one, and what `self.input` and the stack are on the way."""

    shape = Parameter("shape", type=JSONType, default="[2, 0, 3]")

    @step
    def start(self):
        self.outer = list(enumerate(self.shape))
        self.next(self.fan, foreach="outer")

    @step
    def fan(self):
        self.inner = [f"{self.index}{letter}" for letter in "xyz"[: self.input[1]]]
        self.next(self.leaf, foreach="inner")

    @step
    def leaf(self):
        self.stack = self.foreach_stack()
        self.value = self.input
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.values = [each.value for each in inputs]
        self.stacks = [each.stack for each in inputs]
        self.at = (self.index, self.input)
        self.next(self.after)

    @step
    def after(self):
        self.still_at = (self.index, self.foreach_stack())
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        self.values = [each.values for each in inputs]
        self.stacks = [stack for each in inputs for stack in each.stacks]
        self.ats = [each.at for each in inputs]
        self.still_ats = [each.still_at for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class SplitInForeach(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2, 3]
        self.next(self.fork, foreach="items")

    @step
    def fork(self):
        self.base = self.input * 10
        self.next(self.plus, self.minus)

    @step
    def plus(self):
        self.got = self.base + self.input
        self.next(self.meet)

    @step
    def minus(self):
        self.got = self.base - self.input
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.got = (inputs.plus.got, inputs.minus.got, self.index)
        self.merge_artifacts(inputs, include=["base"])
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.bases = [each.base for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class ForeachInSplit(FlowSpec):
    @step
    def start(self):
        self.next(self.many, self.one)

    @step
    def many(self):
        self.items = list("ab")
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.got = self.input
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.join)

    @step
    def one(self):
        self.got = ["one"]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class RandomSleeps(FlowSpec):
    @step
    def start(self):
        self.items = list(range(16))
        self.next(self.body, foreach="items")

    @step
    def body(self):
        time.sleep(random.random() * 0.05)
        self.got = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.indexes = [each.index for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Wide(FlowSpec):
    width = Parameter("width", default=2000)

    @step
    def start(self):
        self.items = range(self.width)
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.square = self.input**2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.square for each in inputs)
        self.ends = (inputs[0].square, inputs[-1].square, len(inputs))
        self.next(self.end)

    @step
    def end(self):
        pass
