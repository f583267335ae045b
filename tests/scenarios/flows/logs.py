"""What steps print."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from rayflow import FlowSpec, Parameter, step


class Prints(FlowSpec):
    @step
    def start(self):
        print("zażółć 🚀 gęślą")
        print("to stderr", file=sys.stderr)
        sys.stdout.write("no newline at the end")
        self.next(self.tools)

    @step
    def tools(self):
        sys.stdout.write("before,")
        sys.stdout.flush()
        subprocess.run("echo from a subprocess; echo to its stderr >&2", shell=True, check=True)
        os.write(1, b"from C\n")
        os.write(1, b"\xff\xfe not UTF-8\n")
        self.next(self.silent)

    @step
    def silent(self):
        self.next(self.end)

    @step
    def end(self):
        for number in range(5000):
            print(f"line {number}")


class Splits(FlowSpec):
    count = Parameter("count", default=300)

    @step
    def start(self):
        self.items = range(self.count)
        self.next(self.body, foreach="items")

    @step
    def body(self):
        if self.index % 3:
            print(f"split {self.index}\nsays {self.input}")
        if self.index % 5 == 0:
            print(f"error {self.index}", file=sys.stderr)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class Floods(FlowSpec):
    """20 MB in one line, twice as much in small ones, and a modest step after them."""

    @step
    def start(self):
        print("x" * (20 << 20))
        self.next(self.slowly)

    @step
    def slowly(self):
        deadline = time.monotonic() + 5
        for _ in range(40):
            print("y" * 99_999)
            time.sleep(0.01 if time.monotonic() < deadline else 0)
        print("still running")
        self.items = [0, 1]
        self.next(self.split, foreach="items")

    @step
    def split(self):
        if self.input == 0:
            print("z" * (3 << 20))
        else:
            print("modest")
        self.next(self.join)

    @step
    def join(self, inputs):
        print("after the flood")
        self.next(self.end)

    @step
    def end(self):
        pass


class Talks(FlowSpec):
    """Says something, and goes on only when somebody has read it."""

    signal_file = Parameter("signal-file")

    @step
    def start(self):
        print("can you hear me?", flush=True)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.signal_file) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.was_heard = os.path.exists(self.signal_file)
        self.next(self.end)

    @step
    def end(self):
        pass
