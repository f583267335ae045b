"""A foreach one of whose splits kills its process, the first time. Which splits were started is noted by each."""

import ctypes
import os
import struct

from records import tell_fanout

from rayflow import FlowSpec, Parameter, current, retry, step

_starts = None


def note_start(index):
    """Four bytes behind what all processes have noted so far."""
    global _starts  # noqa: PLW0603 - one file per process
    if _starts is None:
        _starts = os.open("starts.bin", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(_starts, struct.pack("<I", index))


class SegfaultFlow(FlowSpec):
    splits = Parameter("splits", default=100_000)
    culprit = Parameter("culprit", default=-1, help="Which split dies; none where negative.")

    @step
    def start(self):
        self.numbers = range(self.splits)
        self.next(self.square, foreach="numbers")

    @retry(times=1, minutes_between_retries=0)
    @step
    def square(self):
        note_start(self.input)
        if self.input == self.culprit and current.retry_count == 0:
            ctypes.string_at(0)
        self.squared = self.input * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        squares = inputs.table("squared")["squared"]
        assert len(squares) == self.splits
        assert squares[-1].as_py() == (self.splits - 1) ** 2
        self.next(self.end)

    @step
    def end(self):
        tell_fanout(current, self.splits, "square", "join")


if __name__ == "__main__":
    SegfaultFlow()
