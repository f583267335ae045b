"""Attempts: what is tried again, what is caught, what ends a run, and how it is said."""

from __future__ import annotations

import os
import time

import pytest

from rayflow.client import Task, metadata, namespace
from rayflow.runtime.notices import TaskAttemptFailed
from scenarios.flows import attempts
from scenarios.playing import cannot, line_of

survives_nothing = cannot("inline", "the step's process is the test's: its death would be the test's")


def test_a_retry_starts_from_the_inputs_and_only_its_own_artifacts_are_seen(play):
    played = play(attempts.Flaky)
    task = played.run["work"].task

    assert (task.data.attempt, task.data.seen, task.data.numbers, task.data.sees_failed) == (2, [1], [1, 2], False)
    assert ("only_of_failed" in task, task.stdout, played.data.left) == (False, "attempt 2\n", None)
    assert [notice.attempt for notice in played.notices if isinstance(notice, TaskAttemptFailed)] == [0, 1]


def test_each_attempt_can_be_looked_at_by_its_number(play, client_session):
    played = play(attempts.Flaky)
    last = played.run["work"].task
    metadata(play.root)
    namespace(None)
    tries = [Task(last.pathspec, attempt=number) for number in range(3)]

    assert [each.stdout for each in tries] == ["attempt 0\n", "attempt 1\n", "attempt 2\n"]
    assert [each.finished for each in tries] == [False, False, True]
    assert [each["only_of_failed"].data for each in tries[:2]] == [0, 1]
    assert ["flaky 0" in tries[0].stderr, "flaky 1" in tries[1].stderr, tries[2].stderr] == [True, True, ""]
    assert tries[0].exception.type == "builtins.ValueError"
    assert [fact.value for fact in last.metadata if fact.name == "attempt"] == ["0", "1", "2"]


def test_splits_are_retried_each_by_itself(play):
    data = play(attempts.FlakySplits).data

    assert (data.attempts, data.envs) == ([i % 3 for i in range(12)], {None})


def test_retries_that_are_used_up_fail_the_run(play):
    played = play(attempts.AlwaysFails, decospecs=("retry:times=2",), fails=True)

    tried = [
        (notice.attempt, notice.attempts_allowed, notice.is_retried) for notice in played.notices if isinstance(notice, TaskAttemptFailed)
    ]
    assert tried == [(0, 3, True), (1, 3, True), (2, 3, False)]
    assert (played.result.exit_code, played.run.finished, played.run.state) == (1, False, "failed")


def test_what_the_flow_says_wins_over_with(play):
    played = play(attempts.Flaky, decospecs=("retry:times=0",))

    assert played.run["work"].task.data.attempt == 2


@pytest.mark.parametrize(
    ("how", "words", "code"),
    [
        ("raise", "broken on purpose", None),
        ("sys.exit(0)", "self.next() was never called", None),
        ("sys.exit(3)", "sys.exit(3)", 3),
        ("sys.exit(text)", "sys.exit('bye')", 1),
    ],
)
def test_a_step_that_ends_early_fails_saying_how(play, how, words, code):
    _check_last_words(play(attempts.AlwaysFails, how=how, fails=True), words, code)


@survives_nothing
@pytest.mark.parametrize(
    ("how", "words", "code"),
    [
        ("os._exit(0)", "before the step was over", 0),
        ("os._exit(3)", "before the step was over", 3),
        ("SIGKILL", "SIGKILL", -9),
        ("segfault", "segmentation fault", -11),
    ],
)
def test_a_step_whose_process_ends_fails_saying_how(play, executor, how, words, code):
    played = play(attempts.AlwaysFails, how=how, fails=True)

    if executor == "ray":
        code = None  # Ray does not tell the status of a worker
        words = "before the step was over" if how == "SIGKILL" else words
    _check_last_words(played, words, code)
    if how == "segfault":
        line = line_of(attempts, "ctypes.string_at(0)")
        assert (f"attempts.py:{line} in segfault" in played.failure.message, played.failure.frames[-1].line) == (True, line)


def _check_last_words(played, words, code):
    task = played.run["start"].task

    assert words in played.failure.message
    assert (played.failure.exit_code, played.result.exit_code, played.run.successful) == (code, 1, False)
    assert (task.finished, task.successful, task.stdout, "end" in played.run) == (False, False, "last words\n", False)


def test_a_caught_exception_is_an_artifact_and_none_after_a_success(play):
    played = play(attempts.Caught)
    task = played.run["broken"].task

    assert (played.data.fine, played.data.caught) == (None, ("builtins.ValueError", "broken on purpose", True, True))
    assert (played.data.so_far, task.finished, task.successful, task.exception) == (1, True, False, None)
    assert "@catch caught an exception from <flow Caught step broken>\n>  Traceback" in task.stdout


def test_an_exit_is_caught_too(play):
    assert play(attempts.Caught, how="sys.exit(3)").data.caught[:2] == (
        "rayflow.exception.FailureHandledByCatch",
        "It called sys.exit(3).",
    )


@survives_nothing
@pytest.mark.parametrize("how", ["os._exit(3)", "segfault"])
def test_a_death_is_caught_by_a_fallback_that_runs_no_user_code(play, how):
    played = play(attempts.Caught, how=how)
    task = played.run["broken"].task

    assert (played.data.caught[0], played.data.so_far, task.current_attempt) == ("rayflow.exception.FailureHandledByCatch", None, 2)
    assert (task.finished, task.successful) == (True, False)


def test_catch_can_be_quiet(play):
    played = play(attempts.CaughtQuietly)

    assert "@catch" not in played.run["start"].task.stdout


def test_a_timeout_is_raised_in_the_step(play):
    begun = time.monotonic()
    played = play(attempts.TimesOut)

    assert played.data.caught == ("rayflow.model.errors.TimeoutException", "Step slow timed out after 0 hours, 0 minutes, 1 seconds.")
    assert time.monotonic() - begun < 20


@cannot("inline", "nothing may end the process, which is the test's")
def test_c_code_that_never_returns_is_ended_with_the_users_line(play):
    played = play(attempts.NeverReturns, fails=True)
    task = played.run["stuck"].task

    assert f"attempts.py:{line_of(attempts, 'the line at fault')} in stuck" in played.failure.message
    assert ("timed out" in played.failure.message, task.stdout) == (True, "still printed\n")


def test_a_raising_split_takes_no_neighbour_down(play, tmp_path):
    _check_neighbours(play, tmp_path, ["raise", "sys.exit(3)", "raise"])


@survives_nothing
def test_dying_and_hanging_splits_take_no_neighbour_down(play, tmp_path):
    _check_neighbours(play, tmp_path, ["raise", "os._exit(0)", "SIGKILL", "segfault", "sys.exit(3)", "os._exit(3)", "hang"])


def _check_neighbours(play, tmp_path, deaths):
    marks = tmp_path / "marks"
    marks.mkdir()

    played = play(attempts.OneOfEach, marks=str(marks), deaths=",".join(deaths))

    at_fault = [place * 10 + 5 for place in range(len(deaths))]
    starts = {int(name): len((marks / name).read_text()) for name in os.listdir(marks)}
    assert sorted(played.data.failures) == at_fault
    assert played.data.got == [i for i in range(100) if i not in at_fault]
    assert [task.index for task in played.tasks("work")] == list(range(100))  # done, and visible, exactly once
    deadly = [i for i, how in zip(at_fault, deaths, strict=True) if how in ("os._exit(0)", "SIGKILL", "segfault", "os._exit(3)")]
    assert [i for i in deadly if starts[i] != 1] == []  # whoever ended a process is charged once, and is not tried again
    assert deadly or set(starts.values()) == {1}  # what a dead worker had not reported yet is performed again, nothing else is
    assert {task.index for task in played.run["work"] if task.successful and task.stdout != f"split {task.index}\n"} == set()


@cannot("inline", "the thread would go on in the test's own process")
def test_a_step_is_over_though_a_child_of_it_and_a_thread_go_on(play):
    begun = time.monotonic()

    played = play(attempts.LeavesOthersBehind)

    assert (played.data.value, played.run["start"].task.stdout, time.monotonic() - begun < 20) == (1, "over\n", True)
