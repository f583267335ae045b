"""Every executor keeps the contract of the port."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
import time
from itertools import pairwise
from multiprocessing.connection import wait
from types import SimpleNamespace

import pytest

from rayflow.executors.inline import InlineExecutor
from rayflow.executors.process import ProcessExecutor
from rayflow.executors.progress import ProgressWord
from rayflow.executors.ray import RayExecutor
from rayflow.model.records import FailureKind
from rayflow.model.reports import BatchOver, BatchStarted, WorkerDied
from rayflow.model.spec import Resources
from rayflow.testing import executor_acts
from rayflow.testing.executor_contract import ExecutorContract, Stage, indices_of, rows_of


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self):
        executor = InlineExecutor(executor_acts.perform)
        yield executor
        executor.close()


class TestProcess(ExecutorContract):
    @pytest.fixture
    def executor(self):
        executor = ProcessExecutor(executor_acts.ENTRY, max_children=2)
        yield executor
        executor.close()

    @pytest.mark.parametrize(
        ("death", "code", "words"),
        [("os._exit(0)", 0, "exit code 0"), ("os._exit(3)", 3, "exit code 3"), ("SIGKILL", -9, "SIGKILL"), ("segfault", -11, "SIGSEGV")],
    )
    def test_a_death_is_said_in_words(self, stage: Stage, death, code, words):
        stage.submit(1, range(1), {0: death})

        failure = stage.until_over(1)[-1].failure

        assert (failure.kind, failure.exit_code, words in failure.message) == (FailureKind.DIED, code, True)

    def test_a_gang_waits_for_the_children_that_it_lacks_and_has_them_all_at_once(self, stage: Stage, tmp_path):
        stage.submit(1, range(1), {0: f"meet 2 {tmp_path}"})
        stage.until(lambda: bool(stage.heard[1]), 1)
        stage.submit_gang(7, 3, "")
        busy_before = [child.work.batch.id for child in stage.executor._children if child.work is not None]

        (tmp_path / "here-release").touch()
        heard = [indices_of(stage.until_over(-node)) for node in range(1, 4)]

        assert (busy_before, heard) == ([1], [[0], [1], [2]])

    def test_a_child_that_was_killed_gets_no_other_work_though_it_had_said_that_it_was_done(self, stage: Stage, tmp_path):
        stage.submit(1, range(1), {0: f"meet 2 {tmp_path}"})
        stage.until(lambda: bool(stage.heard[1]), 1)
        (child,) = [child for child in stage.executor._children if child.work is not None]
        (tmp_path / "here-release").touch()
        wait([child.reading])  # its rows are there, and not read

        stage.executor.cancel(1, is_hard=True)
        stage.submit(2, range(1))  # by the other child, which is only starting
        stage.submit(3, range(1))

        assert [indices_of(stage.until_over(batch_id)) for batch_id in (1, 2, 3)] == [[0], [0], [0]]

    def test_a_kill_while_the_system_ran_out_of_memory_is_said_to_be_one_of_its(self, stage: Stage, monkeypatch):
        stage.submit(1, range(1), {0: "sleep 0.05"})
        stage.until_over(1)
        monkeypatch.setattr("rayflow.executors.process.oom_kills", lambda: 10**9)
        stage.submit(2, range(1), {0: "SIGKILL"})

        died = stage.until_over(2)[-1]

        assert (died.failure.kind, died.failure.exit_code) == (FailureKind.OUT_OF_MEMORY, -9)
        assert 5e6 < died.peak_nbytes < 1e10

    def test_no_child_is_left_after_close(self, stage: Stage):
        for batch_id in range(4):
            stage.submit(batch_id, range(1), {0: "fork" if batch_id == 0 else "sleep 0.05"})
        rows = [row for n in range(4) for row in rows_of(stage.until_over(n))]
        pids = {row.pid for row in rows} | {int(rows[0].node)}

        stage.executor.close()

        assert wait_until_gone(pids) == set()

    def test_a_death_is_noticed_though_a_forked_child_holds_the_pipe(self, stage: Stage):
        stage.submit(1, range(3), {0: "fork", 1: "os._exit(3)"})

        reports = stage.until_over(1)

        assert (reports[-1].suspect, reports[-1].failure.exit_code) == (1, 3)
        assert wait_until_gone({int(rows_of(reports)[0].node)}) == set()

    def test_a_child_that_dies_idle_costs_no_task_an_attempt(self, stage: Stage):
        stage.submit(1, range(1))
        pid = rows_of(stage.until_over(1))[0].pid
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)

        stage.submit(2, range(2))
        reports = stage.until_over(2)

        if isinstance(reports[-1], WorkerDied):
            assert (reports[-1].failure.is_charged, reports[-1].suspect, rows_of(reports)) == (False, None, [])
        else:
            assert indices_of(reports) == [0, 1]

    def test_children_that_wait_are_reused(self, stage: Stage):
        for batch_id in range(10):
            stage.submit(batch_id, range(1))
            stage.until_over(batch_id)

        assert len({row.pid for n in range(10) for row in rows_of(stage.heard[n])}) == 1

    def test_a_need_of_several_cpus_leaves_fewer_slots(self, executor):
        assert [executor.slots(Resources(cpus=cpus)) for cpus in (0.5, 1, 2, 64)] == [2, 2, 1, 1]


@pytest.mark.ray
class TestRay(ExecutorContract):
    @pytest.fixture
    def executor(self, cluster, tmp_path):
        executor = RayExecutor(executor_acts.ENTRY, progress_dir=str(tmp_path))
        executor.start()
        executor.wait_until_ready()
        yield executor
        executor.close()

    def test_slots_are_what_the_cluster_holds(self, executor):
        needs = [Resources(), Resources(cpus=0.5), Resources(cpus=2), Resources(cpus=3), Resources(gpus=1), Resources(custom={"tpu": 1})]

        assert [executor.slots(need) for need in needs] == [2, 4, 1, 0, 0, 0]

    def test_a_batch_that_takes_all_cpus_runs_alone(self, stage: Stage):
        from dataclasses import replace

        submit = stage.executor.submit
        stage.executor.submit = lambda work: submit(replace(work, resources=Resources(cpus=2)))  # type: ignore[method-assign]
        for batch_id in range(3):
            stage.submit(batch_id, range(1), {0: "sleep 0.1"})
        rows = sorted((row for n in range(3) for row in rows_of(stage.until_over(n))), key=lambda row: row.started_us)

        assert [now.started_us / 1e6 + now.seconds <= then.started_us / 1e6 for now, then in pairwise(rows)] == [True] * 2
        assert {type(stage.heard[n][-1]) for n in range(3)} == {BatchOver}


class EndsAtOnce:
    """Ray, as far as the executor asks: the stream of every task ends before its first item, without an error."""

    def put(self, value):
        return value

    def get(self, item):
        raise AssertionError("there is no item")

    def wait(self, generators, **_):
        return generators, []

    def options(self, **_):
        return self

    def remote(self, *_):
        return iter(())


def test_a_stream_that_ray_ends_without_a_word_is_a_death(tmp_path):
    ray, is_there = EndsAtOnce(), threading.Event()
    is_there.set()
    executor = RayExecutor(
        executor_acts.ENTRY, progress_dir=str(tmp_path), _ray=ray, _perform=ray, _ready=is_there, _boot=threading.Thread()
    )
    stage = Stage(executor, str(tmp_path))

    stage.submit(1, range(3))

    assert [(type(report), report.suspect) for report in stage.until_over(1)] == [(WorkerDied, None)]


class Stream:
    """Ray, as far as the executor asks: one task, which says what `items` hold. `cancelled` are the streams it was told to cancel."""

    def __init__(self):
        self.items, self.cancelled, self.words = [], [], []

    def put(self, value):
        return value

    get = staticmethod(pickle.dumps)

    def wait(self, generators, **_):
        return (generators, []) if self.items else ([], generators)

    def options(self, **_):
        return self

    def remote(self, *_):
        return self

    def __next__(self):
        return self.items.pop(0)

    def cancel(self, stream, *, force):
        self.cancelled.append(force)

    def _internal_kv_put(self, key, value):
        self.words.append(key)


def test_what_has_not_begun_is_never_cancelled_by_ray_and_killed_once_it_has(tmp_path, monkeypatch):
    """Ray would abort this process where the task is just being sent: see `RayExecutor._kill`."""
    ray, is_there = Stream(), threading.Event()
    is_there.set()
    words = SimpleNamespace(_internal_kv_put=ray._internal_kv_put)
    monkeypatch.setattr("rayflow.executors.ray._cluster_words", lambda: words)
    executor = RayExecutor(
        executor_acts.ENTRY, progress_dir=str(tmp_path), _ray=ray, _perform=ray, _ready=is_there, _boot=threading.Thread()
    )
    stage = Stage(executor, str(tmp_path))
    stage.submit(1, range(3))

    executor.cancel(1, is_hard=True)
    assert (len(ray.words), ray.cancelled) == (1, [])

    ray.items.append([BatchStarted(1, 0, "elsewhere")])
    executor.poll(0)
    assert (len(ray.words), ray.cancelled) == (1, [True])


def test_a_worker_of_this_machine_is_killed_without_ray_when_its_word_says_that_it_is_at_the_batch(tmp_path, monkeypatch):
    """Ray would abort this process where the batch is just ending: see `RayExecutor._kill`."""
    ray, is_there, killed = Stream(), threading.Event(), []
    is_there.set()
    monkeypatch.setattr("rayflow.executors.ray._cluster_words", lambda: SimpleNamespace(_internal_kv_put=ray._internal_kv_put))
    monkeypatch.setattr("rayflow.executors.ray.os.kill", lambda pid, number: killed.append((pid, number)))
    executor = RayExecutor(
        executor_acts.ENTRY, progress_dir=str(tmp_path), _ray=ray, _perform=ray, _ready=is_there, _boot=threading.Thread()
    )
    stage = Stage(executor, str(tmp_path))
    stage.submit(1, range(3))
    word = ProgressWord(str(tmp_path / "77"))
    ray.items.append([BatchStarted(1, 77, socket.gethostname(), progress=word.path)])
    executor.poll(0)

    executor.cancel(1, is_hard=True)
    ray.items.append([])
    executor.poll(0)
    between = (list(killed), ray.cancelled)
    word.set(1, 0, 0)
    ray.items.append([])
    executor.poll(0)

    assert (between, killed, ray.cancelled) == (([], []), [(77, signal.SIGKILL)], [])


def test_a_worker_that_is_at_no_task_for_long_is_cancelled_by_ray(tmp_path, monkeypatch):
    ray, is_there = Stream(), threading.Event()
    is_there.set()
    monkeypatch.setattr("rayflow.executors.ray._cluster_words", lambda: SimpleNamespace(_internal_kv_put=ray._internal_kv_put))
    monkeypatch.setattr("rayflow.executors.ray._ENDING_S", 0.05)
    executor = RayExecutor(
        executor_acts.ENTRY, progress_dir=str(tmp_path), _ray=ray, _perform=ray, _ready=is_there, _boot=threading.Thread()
    )
    stage = Stage(executor, str(tmp_path))
    stage.submit(1, range(3))
    ray.items.append([BatchStarted(1, 77, socket.gethostname(), progress=ProgressWord(str(tmp_path / "77")).path)])
    executor.poll(0)

    executor.cancel(1, is_hard=True)
    time.sleep(0.1)
    ray.items.append([])
    executor.poll(0)

    assert (len(ray.words), ray.cancelled) == (1, [True])


def wait_until_gone(pids: set[int]) -> set[int]:
    """Those of the processes that still run after 5 s."""
    deadline = time.monotonic() + 5
    while (alive := {pid for pid in pids if _is_running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
