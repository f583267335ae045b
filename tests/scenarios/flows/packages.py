"""Steps with packages of their own."""

from __future__ import annotations

import os
import sys

from rayflow import FlowSpec, Parameter, current, environment, parallel, pypi, pypi_base, step

OLD, NEW = "8.14.0", "10.1.0"
OTHER = os.environ.get("OTHER_PYTHON", "3.10")


class TwoVersions(FlowSpec):
    """Each step tells which version it has, hands on what that version made, and does with it what only that version can."""

    @step
    def start(self):
        self.seen = {}
        self.own = sys.prefix
        self.next(self.old)

    @environment(vars={"LEVEL": "debug"})
    @pypi(packages={"more-itertools": OLD})
    @step
    def old(self):
        import more_itertools

        self.seen = {**self.seen, "old": (more_itertools.__version__, hasattr(more_itertools, "batched"), os.environ["LEVEL"])}
        self.pairs = more_itertools.windowed([1, 2, 3], 2)
        self.pairs = list(self.pairs)
        self.spread = more_itertools.SequenceView([1, 2])
        self.path = os.environ["PATH"].startswith(os.path.join(sys.prefix, "bin")) and os.environ["VIRTUAL_ENV"] == sys.prefix
        self.items = [10, 20, 30]
        self.next(self.body, foreach="items")

    @pypi(packages={"more-itertools": NEW})
    @step
    def body(self):
        import more_itertools

        self.version = more_itertools.__version__
        self.viewed = list(self.spread)  # made by the other version, loaded by this one
        self.next(self.follow)

    @step
    def follow(self):
        self.has_it = "more_itertools" in sys.modules
        self.prefix = sys.prefix
        self.next(self.join)

    @step
    def join(self, inputs):
        self.versions = [each.version for each in inputs]
        self.viewed = [each.viewed for each in inputs]
        self.are_outside = [(each.has_it, each.prefix == each.own) for each in inputs]
        self.merge_artifacts(inputs, include=["seen", "pairs", "path"])
        self.next(self.end)

    @pypi(packages={"more-itertools": NEW})
    @step
    def end(self):
        import more_itertools

        self.batches = list(more_itertools.batched(self.pairs, 2))


@pypi_base(packages={"more-itertools": NEW})
class Gang(FlowSpec):
    """The nodes of a gang have an environment, and nobody else."""

    @pypi(disabled=True)
    @step
    def start(self):
        self.next(self.work, num_parallel=2)

    @parallel
    @step
    def work(self):
        import more_itertools

        self.told = (more_itertools.__version__, current.parallel.node_index)
        self.next(self.join)

    @pypi(disabled=True)
    @step
    def join(self, inputs):
        self.told = [each.told for each in inputs]
        self.next(self.end)

    @pypi(disabled=True)
    @step
    def end(self):
        pass


class Lacking(FlowSpec):
    """A step imports what its environment lacks."""

    name = Parameter("name", default="pytest")

    @pypi(packages={"more-itertools": NEW})
    @step
    def start(self):
        __import__(self.name)
        self.next(self.end)

    @step
    def end(self):
        pass


class Ranged(FlowSpec):
    """A step has any version of a range, and tells which, and where its Python is."""

    @pypi(packages={"more-itertools": ">=8.14,<10.1.1"})
    @step
    def start(self):
        import more_itertools

        self.version, self.prefix = more_itertools.__version__, sys.prefix
        self.next(self.end)

    @step
    def end(self):
        pass


class OtherPython(FlowSpec):
    """A step runs in another Python."""

    @step
    def start(self):
        self.ours = {"values": [1, (2, "three")]}
        self.next(self.other)

    @pypi(python=OTHER)
    @step
    def other(self):
        self.theirs = {**self.ours, "version": list(sys.version_info[:2])}
        self.next(self.end)

    @step
    def end(self):
        pass


class Older(FlowSpec):
    """A step asks for another Python."""

    @pypi(python="3.9")
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
