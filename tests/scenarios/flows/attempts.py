"""Attempts: retry, catch, timeout; exceptions, exits and deaths."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from rayflow import FlowSpec, Parameter, catch, current, retry, step, timeout


def segfault():
    ctypes.string_at(0)


def die(how: str) -> None:
    """Ends the step, or its process, in the way asked for."""
    if how in ("os._exit(0)", "os._exit(3)", "SIGKILL", "segfault"):
        time.sleep(0.3)  # what a Ray worker says in its last milliseconds, that it began included, is lost with it
    match how:
        case "raise":
            raise ValueError("broken on purpose")
        case "sys.exit(0)":
            sys.exit(0)
        case "sys.exit(3)":
            sys.exit(3)
        case "sys.exit(text)":
            sys.exit("bye")
        case "os._exit(0)":
            os._exit(0)
        case "os._exit(3)":
            os._exit(3)
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            segfault()
        case "hang":
            ctypes.CDLL(None).sleep(60)


class Flaky(FlowSpec):
    """Fails twice, then works; each attempt starts from the inputs."""

    @step
    def start(self):
        self.numbers = [1]
        self.next(self.work)

    @retry(times=3)
    @step
    def work(self):
        self.seen = list(self.numbers)
        self.numbers.append(current.retry_count)
        os.environ["LEFT_BY_AN_ATTEMPT"] = str(current.retry_count)
        os.chdir("/")
        print(f"attempt {current.retry_count}")
        if current.retry_count < 2:
            self.only_of_failed = current.retry_count
            raise ValueError(f"flaky {current.retry_count}")
        self.attempt = current.retry_count
        self.sees_failed = hasattr(self, "only_of_failed")
        self.next(self.end)

    @step
    def end(self):
        self.left = os.environ.get("LEFT_BY_AN_ATTEMPT")


class FlakySplits(FlowSpec):
    @step
    def start(self):
        self.items = list(range(12))
        self.next(self.work, foreach="items")

    @retry(times=2)
    @step
    def work(self):
        self.input_seen = self.input
        self.env = os.environ.get("LEFT_BY_AN_ATTEMPT")
        os.environ["LEFT_BY_AN_ATTEMPT"] = "x"
        if current.retry_count < self.input % 3:
            raise ValueError(f"flaky {self.input}")
        self.attempt = current.retry_count
        self.next(self.join)

    @step
    def join(self, inputs):
        self.attempts = [each.attempt for each in inputs]
        self.envs = {each.env for each in inputs}
        self.next(self.end)

    @step
    def end(self):
        pass


class AlwaysFails(FlowSpec):
    how = Parameter("how", default="raise")

    @step
    def start(self):
        self.kept = "before"
        print("last words", flush=True)
        die(self.how)
        self.next(self.end)

    @step
    def end(self):
        pass


class Caught(FlowSpec):
    how = Parameter("how", default="raise")

    @step
    def start(self):
        self.next(self.fine, self.broken)

    @catch(var="failure")
    @step
    def fine(self):
        self.next(self.join)

    @catch(var="failure")
    @retry(times=1)
    @step
    def broken(self):
        self.so_far = current.retry_count
        die(self.how)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.fine = inputs.fine.failure
        caught = inputs.broken.failure
        self.caught = (caught.type, caught.exception, bool(caught.stacktrace), bool(caught))
        self.so_far = getattr(inputs.broken, "so_far", None)
        self.next(self.end)

    @step
    def end(self):
        pass


class CaughtQuietly(FlowSpec):
    @catch(print_exception=False)
    @step
    def start(self):
        raise KeyError("nobody prints me")
        self.next(self.end)

    @step
    def end(self):
        pass


class TimesOut(FlowSpec):
    @step
    def start(self):
        self.next(self.slow)

    @catch(var="failure")
    @timeout(seconds=1)
    @step
    def slow(self):
        time.sleep(30)
        self.next(self.end)

    @step
    def end(self):
        self.caught = (self.failure.type, self.failure.exception)


class NeverReturns(FlowSpec):
    """C code that holds the GIL and gives no Python code a chance."""

    @step
    def start(self):
        self.next(self.stuck)

    @timeout(seconds=1)
    @step
    def stuck(self):
        print("still printed", flush=True)
        sum(range(10**12))  # the line at fault
        self.next(self.end)

    @step
    def end(self):
        pass


class OneOfEach(FlowSpec):
    """A hundred splits, of which some raise, die, hang: the others are done once."""

    marks = Parameter("marks")
    deaths = Parameter("deaths", default="raise", separator=",")

    @step
    def start(self):
        self.items = list(range(100))
        self.next(self.work, foreach="items")

    @catch(var="failure")
    @timeout(seconds=2)
    @step
    def work(self):
        with open(f"{self.marks}/{self.input}", "a") as file:
            file.write("x")
        print(f"split {self.input}", flush=True)
        place, is_ours = divmod(self.input, 10)
        if is_ours == 5 and place < len(self.deaths):
            die(self.deaths[place])
        self.got = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.failures = {each.index: (each.failure.type, each.failure.exception) for each in inputs if each.failure}
        self.got = [each.got for each in inputs if not each.failure]
        self.next(self.end)

    @step
    def end(self):
        pass


class LeavesOthersBehind(FlowSpec):
    """Its first step is over while a process of its own holds its output open, and a thread goes on that a program would wait for."""

    @step
    def start(self):
        subprocess.Popen(["sleep", "60"])
        threading.Thread(target=time.sleep, args=(60,)).start()
        print("over")
        self.next(self.end)

    @step
    def end(self):
        self.value = 1
