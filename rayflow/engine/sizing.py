"""How many splits a batch gets: adaptive per step, pure.

Batches start at one split and grow eightfold towards `TARGET_S` seconds of work: a worker that meets slower splits than was known hands
the rest back, so that a wrong guess costs two seconds. Splits of `SLOW_S` and more are launched one by one, so that slow work has the
semantics and the parallelism of one task per split. (That was 0.1 s: from one Ray task to the next a worker idles 3 to 5 ms and rayflow
adds as much, so that 200 splits of 0.1 s took 10 % more than the work. A step with few tasks has them apart anyway.)

Near the end batches shrink (guided self-scheduling) to `LEAST_S` of work, so that all slots finish together: smaller ones would cost more
than they even out. Seen in one run of 100,000 trivial splits on two busy slots: doubling took the first 0.3 s and shrinking to single
splits the last 0.3 s of 2.5 s. More is in `spec/ray-facts.md`, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_S = 1.0
"""Twice what it was: 0.5 s cost 200 splits of 0.1 s two hundredths more, 10,000 of 1 ms one."""
UNEVEN_TARGET_S = 0.5
"""Where the slowest split takes `UNEVEN` times the mean: a slow one delays fewer neighbours."""
UNEVEN = 10.0
SLOW_S = 0.25
LEAST_S = 0.04
"""A batch costs its driver and its worker 5 to 10 ms."""
GROWTH = 8
MAX_SPLITS = 50_000
"""More gains nothing (rows are reported several times a second anyway) and delays the answer to a lost worker."""
FEW_TASKS = 32
"""Of a step with no more tasks than these each gets a batch of its own: its output is shown line by line under its own name."""
WEIGHT = 0.4
"""Of the newest report in the moving average, at least: more where it tells of more splits than all before."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known about the speed of a step. `seconds` is the moving average per split, None before the first report; `count` how many
    splits it is of, `largest` the largest batch."""

    seconds: float | None = None
    is_uneven: bool = False
    largest: int = 0
    count: int = 0

    def after(self, count: int, spent_s: float, slowest_s: float, batch_size: int) -> Pace:
        """The pace after a report of `count` splits (>= 1) that took their worker `spent_s` in all, of a batch of `batch_size`."""
        mean = spent_s / count
        weight = max(WEIGHT, count / (count + self.count))
        seconds = mean if self.seconds is None else weight * mean + (1 - weight) * self.seconds
        return Pace(seconds, slowest_s > UNEVEN * seconds, max(self.largest, batch_size), self.count + count)

    def batch_size(self, remaining: int, slots: int) -> int:
        """How many of the `remaining` splits (>= 1) the next batch gets, `slots` being performed at once: 1 or more."""
        if self.seconds is None or self.seconds >= SLOW_S:
            return 1
        seconds = max(self.seconds, 1e-9)
        wanted = int((UNEVEN_TARGET_S if self.is_uneven else TARGET_S) / seconds)
        guided = max(remaining // (2 * max(slots, 1)), int(LEAST_S / seconds))
        return max(1, min(wanted, GROWTH * self.largest, guided, MAX_SPLITS))
