"""How long a split works, and on what: CPU time of its own thread, so that what else runs on the machine is not counted as work."""

import math
import random
import time

MEAN_S = 0.001
SIGMA = 1.0


def seconds_of(kind, index, count):
    """What split `index` of `count` works: the same for every program that is compared."""
    if kind == "lognormal":
        return random.Random(index).lognormvariate(math.log(MEAN_S) - SIGMA**2 / 2, SIGMA)
    if kind == "straggler":
        return MEAN_S * 100 if index == count * 9 // 10 else MEAN_S
    return int(kind.removesuffix("ms")) / 1000


def ideal_s(kind, count, slots):
    """The least time that so many slots need."""
    durations = [seconds_of(kind, index, count) for index in range(count)]
    return max(sum(durations) / slots, *durations)


def work(kind, index, count):
    end = time.thread_time() + seconds_of(kind, index, count)
    while time.thread_time() < end:
        pass
