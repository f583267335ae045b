"""Values that go from task to task while they are stored: on a bucket, by an executor that can hand them over.

The executor here performs inline, and whatever starts on an offer runs to its end before the one that offered goes on: the worst case, in
which everything about the successor is known before its input is stored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rayflow import FlowSpec, Parameter, retry, step
from rayflow.client import Run, namespace
from rayflow.executors.inline import InlineExecutor
from rayflow.flow.definition import define
from rayflow.model.errors import StoreFault
from rayflow.model.ports import Capabilities
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import RowOffered, WorkerDied
from rayflow.runtime import assembly
from rayflow.runtime.launch import Settings, run_flow
from rayflow.store.blobs import Blobs

NUMBERS = 300_000


class Chain(FlowSpec):
    fails = Parameter("fails", default=False)

    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self):
        self.big = np.arange(NUMBERS)
        self.next(self.use)

    @step
    def use(self):
        self.big[0] = 7  # its own
        self.total = int(self.big.sum())
        if self.fails:
            raise ValueError("on purpose")
        self.next(self.end)

    @step
    def end(self):
        self.first = int(self.big[0])


class Lending(InlineExecutor):
    """Hands offered values over. `said` are the reports in the order in which the driver gets them."""

    capabilities = Capabilities(can_kill=False, can_isolate=False, can_fan_out=False, can_lend=True)
    is_lossy = False

    def __init__(self, entry):
        super().__init__(entry)
        self.said, self.fetched = [], 0
        self._offering = deque()

    def submit(self, work):
        lent = {blob: partial(self._fetch, encoded) for blob, encoded in work.lent.items()}
        self._waiting.append(replace(work, lend_nbytes=1 << 30, lent=lent))

    def _fetch(self, encoded):
        self.fetched += 1
        return None if self.is_lossy else bytearray(b"".join(encoded.chunks))

    def poll(self, timeout_s):
        if self._running is None and not self._waiting and self._offering:
            self._running_id, self._running = self._offering.pop()
        try:
            reports = super().poll(timeout_s)
        except StoreFault as fault:
            self._running = None
            reports = [WorkerDied(self._running_id, Failure(FailureKind.DIED, str(fault)))]
        if reports and isinstance(reports[0], RowOffered):
            self._offering.append((self._running_id, self._running))
            self._running = None
        news = [(type(report).__name__, report.batch_id) for report in reports]
        self.said += [each for each in news if each not in self.said]  # polling again, it comes by here twice
        return reports


class Silent:
    def tell(self, notice):
        pass


@pytest.fixture
def executor(monkeypatch):
    made = []

    def make(entry):
        made.append(Lending(entry))
        return made[-1]

    monkeypatch.setattr(assembly, "InlineExecutor", make)
    return made


@pytest.fixture
def play(executor, tmp_path, monkeypatch):
    """Runs the flow on a bucket of its own; returns how it ended, the run, and the executor."""
    root = f"memory://{tmp_path.name}/root"
    monkeypatch.setenv("RAYFLOW_ROOT", root)

    def run(**parameters):
        result = run_flow(define(Chain), parameters, Settings(root=root, executor="inline", user="a"), Silent())
        namespace(None)
        return result, Run(f"Chain/{result.run_id}"), executor[-1]

    return run


def test_what_follows_begins_on_what_is_offered_and_is_committed_after_its_input(play):
    result, run, executor = play()

    done = [batch for kind, batch in executor.said if kind == "RowsDone"]
    assert done.index(2) < done.index(1), "the successor was done before its input was stored"
    assert (run.data.first, run["use"].task.data.total) == (7, sum(range(NUMBERS)) + 7)
    assert executor.fetched > 0
    assert str(result.outcome.value) == "succeeded"


def test_an_offer_that_is_never_stored_takes_along_what_began_on_it(play, monkeypatch):
    write, faults = Blobs.write, iter([None, StoreFault("on purpose", "blobs/x")])

    def failing(self, blobs):  # the successor stores what it changed, and is done; then its input cannot be stored
        fault = next(faults, None)
        if fault is not None:
            raise fault
        write(self, blobs)

    monkeypatch.setattr(Blobs, "write", failing)

    _, run, executor = play()

    assert [batch for kind, batch in executor.said if kind == "RowsDone"] == [2, 4, 3, 5], "of the second nothing was kept"
    assert run.data.first == 7
    assert [run[name].task.metadata_dict["attempt"] for name in ("start", "use")] == ["1", "0"]


def test_a_failure_ahead_is_told_once_the_input_is_stored(play):
    result, run, _ = play(fails=True)

    assert str(result.outcome.value) == "failed"
    assert run["start"].task.successful and not run["use"].task.successful
    assert "on purpose" in str(run["use"].task.exception)


def test_what_the_object_store_lost_is_read_from_the_bucket_as_soon_as_it_is_there(play, executor, monkeypatch):
    monkeypatch.setattr(Lending, "is_lossy", True)
    monkeypatch.setattr("rayflow.store.blobs._LENT_WAIT_S", 0.0)  # inline, its input cannot be stored meanwhile

    result, run, executor = play()

    assert executor.fetched > 0
    assert str(result.outcome.value) == "failed"
    assert run["start"].task.successful
    assert "StoreMissing" in str(run["use"].task.exception)
