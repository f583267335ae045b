"""What the end of a batch's stream means, without a cluster: the stream is a script."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from rayflow.executors.ray import RayExecutor, _Flight
from rayflow.model.commands import Batch
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Work
from rayflow.model.reports import BatchOver, BatchStarted, WorkerDied


class NodeDied(Exception):
    """As Ray says it of a task that ran there."""


def told(*script):
    """The reports of one batch, for a stream that gives these: lists of reports, or an error."""

    def stream():
        for item in script:
            if isinstance(item, Exception):
                raise item
            yield pickle.dumps(item)

    executor = object.__new__(RayExecutor)
    executor.progress_dir = ""
    executor._ray = SimpleNamespace(get=lambda reference: reference)
    flight = _Flight(Work(Batch(7, "work", IndexSet.span(0, 3)), b"", b"", "", "work"), stream())
    executor._flights = {flight.generator: flight}
    reports = []
    while executor._flights:
        reports += executor._next(flight)
    return [type(report) for report in reports]


STARTED, OVER = BatchStarted(7, 1, "host"), BatchOver(7)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([[STARTED], [OVER]], [BatchStarted, BatchOver]),
        ([[STARTED], [OVER], NodeDied("its node died")], [BatchStarted, BatchOver]),
        ([[STARTED], NodeDied("its node died")], [BatchStarted, WorkerDied]),
        ([[STARTED]], [BatchStarted, WorkerDied]),
        ([NodeDied("its node died")], [WorkerDied]),
    ],
)
def test_a_batch_ends_once(script, expected):
    assert told(*script) == expected
