"""Flows whose tasks write a line to a ledger when they start, so that it can be counted what ran how often."""

from __future__ import annotations

import os
import time

from rayflow import FlowSpec, Parameter, catch, current, retry, step

OUTER, INNER = 6, 40


def ran(*names: object) -> None:
    """One line in the ledger, whole or not at all: this task was started now."""
    descriptor = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, ("-".join(map(str, names)) + "\n").encode())
    finally:
        os.close(descriptor)


def breaks(name: str) -> bool:
    """Whether the test asked for this task to fail: BREAK names tasks as the ledger does."""
    return name in os.environ.get("BREAK", "").split()


class Nested(FlowSpec):
    """A foreach in a foreach, with a step before the inner one: 6 x 40 leaves of a few milliseconds."""

    pause_ms = Parameter("pause_ms", default=8)

    @step
    def start(self):
        ran("start")
        self.blob = os.urandom(16) * 8192  # 128 KiB: a file of its own
        self.rows = list(range(OUTER))
        self.next(self.prepare, foreach="rows")

    @step
    def prepare(self):
        ran("prepare", self.input)
        self.row = self.input
        self.columns = list(range(INNER))
        self.next(self.leaf, foreach="columns")

    @step
    def leaf(self):
        ran("leaf", self.row, self.input)
        time.sleep(self.pause_ms / 1000)
        self.value = self.row * 1000 + self.input
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.row = inputs[0].row
        ran("gather", self.row)
        self.total = sum(each.value for each in inputs)
        self.next(self.collect)

    @step
    def collect(self, inputs):
        ran("collect")
        self.totals = [each.total for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        ran("end")
        self.answer = sum(self.totals)


NESTED_ANSWER = sum(row * 1000 + column for row in range(OUTER) for column in range(INNER))
NESTED_TASKS = {
    "start",
    "collect",
    "end",
    *(f"prepare-{row}" for row in range(OUTER)),
    *(f"gather-{row}" for row in range(OUTER)),
    *(f"leaf-{row}-{column}" for row in range(OUTER) for column in range(INNER)),
}


class Slow(FlowSpec):
    """One task that sleeps for as long as it may, and a child of its own that would outlive it (`detached`: in a session of its own)."""

    seconds = Parameter("seconds", default=60.0)
    detached = Parameter("detached", default=False)

    @step
    def start(self):
        import subprocess

        ran("start")
        child = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=self.detached)
        print(f"sleeping beside {child.pid}", flush=True)
        self.next(self.nap)

    @step
    def nap(self):
        ran("nap")
        if not os.path.exists(os.environ["LEDGER"] + ".hurry"):
            time.sleep(self.seconds)
        self.next(self.end)

    @step
    def end(self):
        ran("end")


class Wide(FlowSpec):
    """A foreach whose splits may be told to fail, to sleep, or to kill their worker once."""

    count = Parameter("count", default=6)
    pause_s = Parameter("pause_s", default=0.0)

    @step
    def start(self):
        ran("start")
        self.items = list(range(self.count))
        self.next(self.work, foreach="items")

    @retry(times=0)
    @step
    def work(self):
        ran("work", self.input)
        print("split", self.input)
        if breaks(f"work-{self.input}"):
            raise RuntimeError(f"work-{self.input} was told to fail")
        time.sleep(self.pause_s)
        self.value = self.input**2
        self.origin = current.origin_run_id
        self.next(self.join)

    @step
    def join(self, inputs):
        ran("join")
        if breaks("join"):
            raise RuntimeError("join was told to fail")
        self.values = [each.value for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        ran("end")
        if breaks("end"):
            raise RuntimeError("end was told to fail")


class Mortal(FlowSpec):
    """A foreach, one of whose splits kills its worker at its first attempt."""

    @step
    def start(self):
        ran("start")
        self.items = list(range(40))
        self.next(self.work, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        ran("work", self.input)
        if self.input == 17 and current.retry_count == 0:
            os.kill(os.getpid(), 9)
        time.sleep(0.02)
        self.value = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [each.value for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Winding(FlowSpec):
    """A switch, a loop and a caught exception, each in a foreach."""

    @step
    def start(self):
        ran("start")
        self.items = [0, 1, 2, 3]
        self.next(self.choose, foreach="items")

    @step
    def choose(self):
        ran("choose", self.input)
        self.number = self.input
        self.laps = 0
        self.arm = "odd" if self.number % 2 else "even"
        self.next({"odd": self.odd, "even": self.even}, condition="arm")

    @step
    def odd(self):
        ran("odd", self.number, self.laps)
        if breaks(f"odd-{self.number}-{self.laps}"):
            raise RuntimeError("odd was told to fail")
        self.laps += 1
        self.again = "yes" if self.laps < 4 else "no"
        self.next({"yes": self.odd, "no": self.meet}, condition="again")

    @catch(var="trouble")
    @step
    def even(self):
        ran("even", self.number)
        if self.number == 2:
            raise ValueError("two is caught")
        self.next(self.meet)

    @step
    def meet(self):
        ran("meet", self.number)
        if breaks(f"meet-{self.number}"):
            raise RuntimeError("meet was told to fail")
        self.next(self.join)

    @step
    def join(self, inputs):
        ran("join")
        self.laps = [each.laps for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        ran("end")


class Hungry(FlowSpec):
    """Its first attempt takes memory until it is stopped, 4 GB at the most; the next one asks for none."""

    @step
    def start(self):
        self.next(self.eat)

    @retry(times=1)
    @step
    def eat(self):
        eaten = []
        while current.retry_count == 0 and len(eaten) < 80:
            eaten.append(b"x" * 50_000_000)
            time.sleep(0.02)
        self.next(self.end)

    @step
    def end(self):
        pass
