from __future__ import annotations

import pytest

from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import WorkerDied
from rayflow.model.spec import Resources, StepSpec
from rayflow.runtime.obituary import refined

GIB = 2**30


@pytest.mark.parametrize(
    ("peak", "asked", "advice"),
    [
        (GIB, None, " Ask for what it needs, so that less runs beside it: @resources(memory=1600)."),
        (GIB, 4 * GIB, " Ask for what it needs, so that less runs beside it: @resources(memory=6200)."),
        (0, None, ""),
    ],
    ids=["half as much again as it held", "more than it was promised", "nothing known"],
)
def test_who_ran_out_of_memory_is_told_what_to_ask_for(peak, asked, advice):
    report = WorkerDied(1, Failure(FailureKind.OUT_OF_MEMORY, "It ran out of memory."), peak_nbytes=peak)

    told = refined(report, None, None, "train", StepSpec(resources=Resources(memory_nbytes=asked)))

    assert told.failure.message == "It ran out of memory." + advice
