"""What is an artifact, when it is loaded, and what a change of it means."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from rayflow import FlowSpec, Parameter, current, step


@dataclass
class Model:
    """A class of the flow's own file."""

    weights: list

    def predict(self, x):
        return sum(weight * x for weight in self.weights)


class Loud:
    """Says when it is loaded."""

    def __reduce__(self):
        return _loud, ()


def _loud():
    print("LOADED")
    return Loud()


def _helper():
    return 1


class Artifacts(FlowSpec):
    constant = {"k": [1]}
    number = 7
    _hidden_constant = 1
    alpha = Parameter("alpha", default=1.5)

    @step
    def start(self):
        self.loud = Loud()
        self.numbers = [1, 2]
        self.untouched = {"deep": [1]}
        self._private = "mine"
        self.ünïcode = "żółć 🚀"
        self.model = Model([1, 2])
        self.function = _helper
        self.lambda_ = lambda: 1
        self.method = self.start
        self.dropped = 1
        del self.dropped
        self.constant["k"].append(2)
        self.next(self.middle)

    @step
    def middle(self):
        self.constant_here = self.constant
        self.numbers.append(3)
        self.has = {name: hasattr(self, name) for name in ("numbers", "function", "lambda_", "method", "dropped", "later")}
        self.later = getattr(self, "later", "default")
        self.is_model = isinstance(self.model, Model)
        self.prediction = self.model.predict(2)
        self.model.weights.append(3)
        assert self.untouched
        del self.untouched
        try:
            self.alpha = 3
        except AttributeError as error:
            self.refusal = str(error)
        try:
            self.number = 8
        except AttributeError as error:
            self.second_refusal = str(error)
        self.next(self.end)

    @step
    def end(self):
        self.seen = (self.numbers, self._private, self.ünïcode, self.model.weights, self.untouched, self.constant, self.number)
        self.missing = None
        try:
            self.nowhere
        except AttributeError as error:
            self.missing = str(error)


class Holder:
    def __init__(self):
        self.name = "ok"
        self.lock = threading.Lock()


class Unserialisable(FlowSpec):
    kind = Parameter("kind", default="holder")

    @step
    def start(self):
        self.fine = 1
        if self.kind == "self":
            self.bad = [self]
        else:
            self.bad = {"inner": Holder()}
        self.next(self.end)

    @step
    def end(self):
        pass


class SharedElement(FlowSpec):
    """All splits are handed equal elements; what one does to its own is nobody else's business."""

    @step
    def start(self):
        shared = []
        self.items = [shared] * 60
        self.common = []
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.input.append(self.index)
        self.common.append(self.index)
        self.constant_list.append(self.index)
        self.got = (list(self.input), self.common, list(self.constant_list))
        self.next(self.join)

    constant_list = ["c"]

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Base(FlowSpec):
    base_constant = 1
    shared = Parameter("shared", default="base")

    @step
    def start(self):
        self.trail = ["base start"]
        self.next(self.middle)

    @step
    def middle(self):
        self.trail.append("base middle")
        self.next(self.end)

    @step
    def end(self):
        self.trail.append(self.helper())

    def helper(self):
        return "base helper"


class Mixin:
    def helper(self):
        return "mixin helper"


class Derived(Mixin, Base):
    own = Parameter("own", default=3)

    @step
    def middle(self):
        self.trail.append(f"derived middle {self.shared} {self.own} {self.base_constant}")
        self.next(self.extra)

    @step
    def extra(self):
        self.trail.append("extra")
        self.next(self.end)


class Family(FlowSpec):
    """The root of a diamond."""

    root = Parameter("root", default="r")
    depth = 0

    @step
    def start(self):
        self.trail = ["family start", self.depth]
        self.next(self.middle)

    @step
    def middle(self):
        self.trail.append("family middle")
        self.next(self.end)

    @step
    def end(self):
        self.trail.append((self.root, self.word(), sorted(current.parameter_names)))

    def word(self):
        return "family"


class Elder(Family):
    elder = Parameter("elder", default=1)
    depth = 1

    @step
    def middle(self):
        self.trail.append("elder middle")
        self.next(self.end)

    def word(self):
        return f"elder of {super().word()}"


class Younger(Family):
    younger = Parameter("younger", default=2)

    def word(self):
        return f"younger of {super().word()}"


class Stranger(FlowSpec):
    """A hierarchy of its own, which brings a step."""

    strange = Parameter("strange", default=3)

    @step
    def extra(self):
        self.trail.append("stranger extra")
        self.next(self.end)


class Diamond(Elder, Younger):
    pass


class Several(Elder, Younger, Stranger):
    @step
    def middle(self):
        self.trail.append("several middle")
        self.next(self.extra)


class Big(FlowSpec):
    """100 MB from step to step."""

    @step
    def start(self):
        import numpy as np

        self.big = np.arange(100 * 2**20 // 8)
        self.raw = bytes(20 * 2**20)
        self.next(self.middle)

    @step
    def middle(self):
        self.next(self.end)

    @step
    def end(self):
        self.sum = int(self.big.sum())
        self.raw_size = len(self.raw)
        self.big[0] = 5
        self.is_writable = int(self.big[0])


class Huge(FlowSpec):
    """More bytes than 32 bits can count, from step to step."""

    @step
    def start(self):
        self.huge = bytes(2**32 + 1)
        self.next(self.end)

    @step
    def end(self):
        self.nbytes = len(self.huge)
