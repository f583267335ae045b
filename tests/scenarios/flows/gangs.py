"""Gangs: steps whose tasks run together."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rayflow import FlowSpec, Parameter, catch, current, parallel, retry, step, timeout


def meet(place: str) -> None:
    """Returns once every node of this attempt has come here; TimeoutError after a minute."""
    gang = current.parallel
    here = Path(place) / f"{current.run_id}-{gang.control_task_id}-{current.retry_count}"
    here.mkdir(parents=True, exist_ok=True)
    (here / str(gang.node_index)).touch()
    deadline = time.monotonic() + 60
    while len(list(here.iterdir())) < gang.num_nodes:
        if time.monotonic() > deadline:
            raise TimeoutError("not all nodes run at the same time")
        time.sleep(0.01)


def stumble(how: str) -> None:
    """Node 1 fails in the way asked for, the others wait for it."""
    if not how:
        return
    if current.parallel.node_index != 1:
        time.sleep(60)
    time.sleep(0.3)  # what a Ray worker says in its last milliseconds is lost with it
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hangs":
        time.sleep(60)
    raise ValueError("node 1 stumbles")


class Gang(FlowSpec):
    nodes = Parameter("nodes", default=3)
    place = Parameter("place", default="")
    how = Parameter("how", default="")
    until = Parameter("until", default=1)

    @step
    def start(self):
        self.numbers = list(range(10))
        self.next(self.train, num_parallel=self.nodes)

    @retry(times=1, minutes_between_retries=0)
    @parallel
    @step
    def train(self):
        gang = current.parallel
        self.told = (gang.main_ip, gang.num_nodes, gang.node_index, self.index, self.input, self.foreach_stack())
        self.is_control = gang.control_task_id == current.task_id
        self.attempt = current.retry_count
        print("node", gang.node_index)
        if self.place:
            with open(f"{self.place}-begun", "a", encoding="utf-8") as file:
                file.write(f"{gang.node_index}.{current.retry_count}\n")
            meet(self.place)
        if current.retry_count < self.until:
            stumble(self.how)
        self.shard = self.numbers[gang.node_index :: gang.num_nodes]
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.shards = [each.shard for each in inputs]
        self.told = [each.told for each in inputs]
        self.controls = [each.is_control for each in inputs]
        self.attempts = [each.attempt for each in inputs]
        self.is_parallel_after = current.get("is_parallel", False)
        self.next(self.end)

    @step
    def end(self):
        pass


class CaughtGang(FlowSpec):
    how = Parameter("how", default="raises")

    @step
    def start(self):
        self.before = "kept"
        self.next(self.train, num_parallel=2)

    @catch(var="problem", print_exception=False)
    @parallel
    @step
    def train(self):
        stumble(self.how)
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.problems = [each.problem and each.problem.type.rpartition(".")[2] for each in inputs]
        self.before = [each.before for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class SlowGang(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @timeout(seconds=1)
    @parallel
    @step
    def train(self):
        stumble("hangs")
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class GangsInForeach(FlowSpec):
    """Gangs of different sizes, as many as there are elements."""

    place = Parameter("place", default="")

    @step
    def start(self):
        self.sizes = [1, 3, 2]
        self.next(self.call, foreach="sizes")

    @step
    def call(self):
        self.size = self.input
        self.next(self.train, num_parallel=self.size)

    @parallel
    @step
    def train(self):
        if self.place:
            meet(self.place)
        self.node = (current.parallel.num_nodes, current.parallel.node_index, self.foreach_stack())
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.nodes = [each.node for each in inputs]
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.nodes = [each.nodes for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class BrokenGang(FlowSpec):
    """Breaks in node 2 while the file `breaks` is there."""

    breaks = Parameter("breaks", default="")
    counted = Parameter("counted", default="")

    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @parallel
    @step
    def train(self):
        with open(self.counted, "a", encoding="utf-8") as file:
            file.write(f"{self.index}\n")
        self.large = bytes([self.index]) * 100_000
        if self.index == 2 and os.path.exists(self.breaks):
            raise ValueError("broken")
        self.next(self.gather)

    @step
    def gather(self, inputs):
        with open(self.counted, "a", encoding="utf-8") as file:
            file.write("join\n")
        self.got = [each.index for each in inputs]
        if os.path.exists(f"{self.breaks}-join"):
            raise ValueError("the join is broken")
        self.next(self.end)

    @step
    def end(self):
        pass


class Uncalled(FlowSpec):
    """`num_parallel` says nothing, so that the step runs by itself."""

    @step
    def start(self):
        self.next(self.train, num_parallel=0)

    @parallel
    @step
    def train(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
