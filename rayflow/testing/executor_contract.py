"""The contract of the `Executor` port as a test class: an executor passes by subclassing it with an `executor` fixture.

    class TestMyExecutor(ExecutorContract):
        @pytest.fixture
        def executor(self):
            executor = MyExecutor(executor_acts.ENTRY)
            yield executor
            executor.close()

The fixture gives an executor that performs `executor_acts.ENTRY`. What an executor's `capabilities` deny is not asked of it.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from rayflow.model.commands import Batch
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Executor, Seat, Work
from rayflow.model.records import Row
from rayflow.model.reports import BatchOver, BatchStarted, Report, RowsDone, WorkerDied
from rayflow.model.spec import Resources
from rayflow.testing.executor_acts import DEATHS, Script

PATIENCE_S = 60.0


class ExecutorContract:
    """What every executor promises (see `rayflow.model.ports.Executor`)."""

    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError

    @pytest.fixture
    def stage(self, executor: Executor, tmp_path: object) -> Stage:
        """The executor with helpers around it."""
        return Stage(executor, str(tmp_path))

    def test_a_batch_is_reported_in_order(self, stage: Stage) -> None:
        stage.submit(1, range(3, 6))

        reports = stage.until_over(1)

        assert [type(report) for report in reports] == [BatchStarted, RowsDone, RowsDone, RowsDone, BatchOver]
        assert indices_of(reports) == [3, 4, 5]

    def test_each_of_many_batches_is_reported_in_its_order(self, stage: Stage) -> None:
        for batch_id in range(1, 13):
            stage.submit(batch_id, range(batch_id))

        heard = {batch_id: stage.until_over(batch_id) for batch_id in range(1, 13)}

        assert {batch_id: indices_of(reports) for batch_id, reports in heard.items()} == {n: list(range(n)) for n in range(1, 13)}
        assert {type(reports[0]) for reports in heard.values()} == {BatchStarted}

    def test_the_attempts_of_a_batch_arrive(self, stage: Stage) -> None:
        stage.submit(1, range(2), attempts={1: 4})

        assert [row.attempt for row in rows_of(stage.until_over(1))] == [0, 4]

    def test_the_shared_part_arrives_whichever_batch_brought_it(self, stage: Stage) -> None:
        for batch_id in range(1, 9):
            stage.submit(batch_id, range(1), {0: "shared"}, shared=f"part {batch_id % 2}".encode())

        assert [rows_of(stage.until_over(n))[0].node for n in range(1, 9)] == [f"part {n % 2}" for n in range(1, 9)]

    def test_a_poll_without_work_waits_no_longer_than_told(self, stage: Stage) -> None:
        stage.submit(1, range(1))
        stage.until_over(1)

        begun = time.monotonic()
        reports = stage.executor.poll(0.05)

        assert (list(reports), time.monotonic() - begun < 1.0) == ([], True)

    def test_the_nodes_of_a_gang_run_at_the_same_time_beside_others(self, stage: Stage) -> None:
        stage.needs_a_crowd()
        stage.submit(1, range(1), {0: "sleep 0.1"})
        meet = f"meet 5 {stage.directory}"

        stage.submit_gang(7, 5, meet)
        stage.submit(2, range(1))
        met = [rows_of(stage.until_over(-node))[0].node for node in range(1, 6)]

        assert (met, indices_of(stage.until_over(1)), indices_of(stage.until_over(2))) == (["5"] * 5, [0], [0])

    def test_gangs_that_wait_for_each_other_all_run(self, stage: Stage) -> None:
        stage.needs_a_crowd()
        for gang in range(3):
            stage.submit_gang(10 + gang, 3, "sleep 0.05", first=10 * gang + 1)

        heard = [stage.until_over(-(10 * gang + node)) for gang in range(3) for node in range(1, 4)]

        assert [indices_of(reports) for reports in heard] == [[0], [1], [2]] * 3

    def test_a_gang_that_is_cancelled_ends_whether_it_began_or_not(self, stage: Stage) -> None:
        stage.needs_a_crowd()
        for gang in range(3):
            stage.submit_gang(10 + gang, 3, "sleep 30", first=10 * gang + 1)
        nodes = [-(10 * gang + node) for gang in range(3) for node in range(1, 4)]

        for node in nodes:
            stage.executor.cancel(node, is_hard=True)
        ends = {type(stage.until_over(node)[-1]) for node in nodes}
        stage.submit(2, range(1))

        assert ends <= {BatchOver, WorkerDied} and indices_of(stage.until_over(2)) == [0]

    def test_a_soft_cancel_ends_the_batch_after_the_task_in_progress(self, stage: Stage) -> None:
        stage.submit(1, range(200), dict.fromkeys(range(200), "sleep 0.05"))
        stage.until(lambda: bool(rows_of(stage.heard[1])), 1)

        stage.executor.cancel(1, is_hard=False)
        reports = stage.until_over(1)

        assert (isinstance(reports[-1], BatchOver), len(rows_of(reports)) < 200) == (True, True)

    def test_a_batch_that_is_cancelled_before_it_began_ends_too(self, stage: Stage) -> None:
        for batch_id in range(1, 9):
            stage.submit(batch_id, range(20), dict.fromkeys(range(20), "sleep 0.05"))

        for batch_id in range(1, 9):
            stage.executor.cancel(batch_id, is_hard=False)
        heard = [stage.until_over(batch_id) for batch_id in range(1, 9)]

        assert [type(reports[-1]) for reports in heard] == [BatchOver] * 8
        assert [reports for reports in heard if len(rows_of(reports)) >= 20] == []

    def test_a_cancel_of_what_is_over_or_unknown_is_harmless(self, stage: Stage) -> None:
        stage.submit(1, range(1))
        stage.until_over(1)

        for is_hard in (False, True):
            stage.executor.cancel(1, is_hard=is_hard)
            stage.executor.cancel(77, is_hard=is_hard)
        stage.submit(2, range(2))

        assert indices_of(stage.until_over(2)) == [0, 1]

    def test_a_hard_cancel_ends_code_that_never_returns(self, stage: Stage) -> None:
        stage.needs_killing()
        stage.submit(1, range(4), {2: "stuck"})
        stage.until(lambda: len(rows_of(stage.heard[1])) == 2, 1)

        stage.executor.cancel(1, is_hard=True)
        reports = stage.until_over(1)
        stage.submit(2, range(1))

        assert (indices_of(reports), type(reports[-1])) == ([0, 1], WorkerDied)
        assert isinstance(stage.until_over(2)[-1], BatchOver)

    def test_a_hard_cancel_of_a_batch_that_waits_ends_it(self, stage: Stage) -> None:
        stage.needs_killing()
        for batch_id in range(1, 7):
            stage.submit(batch_id, range(1), {0: "sleep 2"})

        for batch_id in range(1, 7):
            stage.executor.cancel(batch_id, is_hard=True)
        begun = time.monotonic()
        heard = [stage.until_over(batch_id) for batch_id in range(1, 7)]

        assert {type(reports[-1]) for reports in heard} <= {BatchOver, WorkerDied}
        assert time.monotonic() - begun < 6

    @pytest.mark.parametrize("death", DEATHS)
    def test_a_death_names_the_task_that_caused_it(self, stage: Stage, death: str) -> None:
        stage.needs_killing()
        stage.submit(1, range(10, 20), {13: death}, attempts={13: 2})
        stage.submit(2, range(5), dict.fromkeys(range(5), "sleep 0.02"))

        reports, others = stage.until_over(1), stage.until_over(2)

        died = reports[-1]
        assert isinstance(died, WorkerDied)
        assert (died.suspect, died.suspect_attempt, died.is_exact) == (13, 2, True)
        assert indices_of(reports) == [10, 11, 12][: len(rows_of(reports))]  # the last reports may die with the process, on their way
        assert (died.failure.is_charged, died.failure.left_no_process, died.failure.message != "") == (True, True, True)
        assert (indices_of(others), type(others[-1])) == ([0, 1, 2, 3, 4], BatchOver)

    def test_a_lone_task_that_dies_is_named_too(self, stage: Stage) -> None:
        stage.needs_killing()
        stage.submit(1, [7], {7: "SIGKILL"}, attempts={7: 1})

        died = stage.until_over(1)[-1]

        assert isinstance(died, WorkerDied)
        assert (died.suspect, died.suspect_attempt, died.is_exact) == (7, 1, True)

    def test_deaths_leave_the_executor_as_able_as_before(self, stage: Stage) -> None:
        stage.needs_killing()
        for batch_id in range(1, 7):
            stage.submit(batch_id, range(1), {0: "os._exit(3)"})
        for batch_id in range(7, 13):
            stage.submit(batch_id, range(3))

        assert {type(stage.until_over(n)[-1]) for n in range(1, 7)} == {WorkerDied}
        assert [indices_of(stage.until_over(n)) for n in range(7, 13)] == [[0, 1, 2]] * 6

    def test_an_entry_that_fails_by_itself_is_a_death(self, stage: Stage) -> None:
        stage.needs_killing()
        stage.executor.submit(Work(Batch(1, "train", IndexSet.span(0, 2)), b"no script", b"", "s", "train"))

        assert isinstance(stage.until_over(1)[-1], WorkerDied)

    def test_an_environment_is_that_of_its_step_alone(self, stage: Stage) -> None:
        read = {0: "getenv CONTRACT_LEVEL"}
        for batch_id, environment in enumerate([{}, {"CONTRACT_LEVEL": "high"}, {"CONTRACT_LEVEL": "low"}, {}, {"CONTRACT_LEVEL": "high"}]):
            stage.submit(batch_id, range(1), read, environment=environment)

        assert [rows_of(stage.until_over(n))[0].node for n in range(5)] == ["", "high", "low", "", "high"]

    def test_an_isolated_batch_has_a_process_of_its_own(self, stage: Stage) -> None:
        if not stage.executor.capabilities.can_isolate:
            pytest.skip("it cannot isolate")
        for batch_id in range(8):
            stage.submit(batch_id, range(1), is_isolated=batch_id % 2 == 1)
            stage.until_over(batch_id)

        pids = [rows_of(stage.heard[n])[0].pid for n in range(8)]

        isolated, shared = pids[1::2], pids[::2]
        assert (len(set(isolated)), set(isolated) & set(shared)) == (4, set())

    def test_never_more_tasks_run_at_once_than_there_are_slots(self, stage: Stage) -> None:
        slots = stage.executor.slots(Resources())
        for batch_id in range(6):
            stage.submit(batch_id, range(2), dict.fromkeys(range(2), "sleep 0.1"))
        rows = [row for n in range(6) for row in rows_of(stage.until_over(n))]

        assert (slots >= 1, most_at_once(rows) <= slots) == (True, True)

    def test_after_a_gang_that_was_larger_no_more_tasks_run_at_once_than_before(self, stage: Stage) -> None:
        stage.needs_a_crowd()
        slots = stage.executor.slots(Resources())
        stage.submit_gang(7, slots + 2, "")
        for node in range(1, slots + 3):
            stage.until_over(-node)

        for batch_id in range(6):
            stage.submit(batch_id, range(2), dict.fromkeys(range(2), "sleep 0.1"))
        rows = [row for n in range(6) for row in rows_of(stage.until_over(n))]

        assert most_at_once(rows) <= slots

    def test_nothing_goes_on_after_close(self, stage: Stage, tmp_path: object) -> None:
        if not stage.executor.capabilities.can_kill:
            pytest.skip("it performs nothing unless it is polled")
        path = f"{tmp_path}/alive"
        stage.submit(1, range(1), {0: f"append {path}"})
        stage.until(lambda: os.path.exists(path), 1)

        stage.executor.close()
        size, deadline = -1, time.monotonic() + 10
        while os.path.getsize(path) != size and time.monotonic() < deadline:
            size = os.path.getsize(path)
            time.sleep(0.5)

        assert os.path.getsize(path) == size


class Stage:
    """Submits scripts and listens. `heard` are the reports of each batch so far."""

    def __init__(self, executor: Executor, directory: str) -> None:
        self.executor = executor
        self.heard: dict[int, list[Report]] = {}
        self.directory = directory

    def needs_killing(self) -> None:
        """Skips what an executor cannot survive."""
        if not self.executor.capabilities.can_kill:
            pytest.skip("the death of a task is its own")

    def needs_a_crowd(self) -> None:
        """Skips what an executor cannot do that performs one batch after another."""
        if not self.executor.capabilities.can_fan_out:
            pytest.skip("it performs one batch after another")

    def submit(
        self,
        batch_id: int,
        indices: Sequence[int],
        acts: Mapping[int, str] | None = None,
        *,
        attempts: Mapping[int, int] | None = None,
        shared: bytes = b"shared",
        environment: Mapping[str, str] | None = None,
        is_isolated: bool = False,
    ) -> None:
        batch = Batch(batch_id, "train", IndexSet.of(indices), attempts=attempts or {})
        payload = pickle.dumps(Script(self.directory, acts or {}))
        self.heard[batch_id] = []
        self.executor.submit(Work(batch, payload, shared, shared.decode(), "train", environment=environment or {}, is_isolated=is_isolated))

    def submit_gang(self, gang: int, size: int, act: str, first: int = 1) -> None:
        """Submits a gang of so many nodes, which do this; their batches have the ids -`first` and below."""
        for node in range(size):
            batch = Batch(-(first + node), "train", IndexSet.single(node), is_gang=True)
            payload = pickle.dumps(Script(self.directory, {node: act}))
            self.heard[batch.id] = []
            needs, seat = Resources(cpus=0.1), Seat(gang, size)
            self.executor.submit(Work(batch, payload, b"shared", "shared", "train", needs, seat=seat))

    def until_over(self, batch_id: int) -> list[Report]:
        """All reports of the batch, which must come to an end."""
        return self.until(lambda: bool(self.heard[batch_id]) and isinstance(self.heard[batch_id][-1], (BatchOver, WorkerDied)), batch_id)

    def until(self, is_reached: Callable[[], bool], batch_id: int) -> list[Report]:
        """The reports of the batch when `is_reached()` is true. Fails after a minute."""
        deadline = time.monotonic() + PATIENCE_S
        self.heard.setdefault(batch_id, [])
        while not is_reached():
            for report in self.executor.poll(0.05):
                self.heard.setdefault(report.batch_id, []).append(report)
            if time.monotonic() > deadline:
                pytest.fail(f"batch {batch_id} is stuck; heard so far: {self.heard[batch_id]}")
        return self.heard[batch_id]


def most_at_once(rows: Sequence[Row]) -> int:
    """How many of the tasks ran at the same moment, at most."""
    moments = sorted([(row.started_us / 1e6, 1) for row in rows] + [(row.started_us / 1e6 + row.seconds, -1) for row in rows])
    running = highest = 0
    for _, change in moments:
        running += change
        highest = max(highest, running)
    return highest


def rows_of(reports: Sequence[Report]) -> list[Row]:
    """The rows of all `RowsDone`, in their order."""
    return [row for report in reports if isinstance(report, RowsDone) for row in report.rows]


def indices_of(reports: Sequence[Report]) -> list[int]:
    """The tasks that were reported as done, in their order."""
    return [index for report in reports if isinstance(report, RowsDone) for index in report.indices]
