import io

from rayflow.cli.reporting.plain import PlainReporter
from rayflow.model.records import Failure, FailureKind, Outcome
from rayflow.runtime.notices import (
    Draining,
    FanoutOpened,
    Progressed,
    RunEnded,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskSaid,
    TaskStarted,
    Waiting,
    Warned,
)

from .telling import FAILURE, GRAPH, PROMPT, Clock, Terminal, label, standing, started


def told(*notices, out=None, clock=None):
    """(stdout, stderr) after the notices; a number among them lets so many seconds pass."""
    clock, out, err = clock or Clock(), out or io.StringIO(), io.StringIO()
    reporter = PlainReporter(out, err, PROMPT, now=clock.now, clock=clock)
    for notice in notices:
        if isinstance(notice, (int, float)):
            clock.seconds += notice
        else:
            reporter.tell(notice)
    return out.getvalue(), err.getvalue()


def test_a_run_is_told_in_the_lines_that_metaflow_users_know():
    out, err = told(
        started(),
        TaskStarted(label("start", "1")),
        TaskSaid(label("start", "1"), "loading"),
        FanoutOpened(label("start", "1"), "train", 3),
        0.02,
        TaskDone(label("start", "1"), 0.4),
        RunEnded("77", Outcome.SUCCEEDED, 1.0, ()),
    )

    assert (out, err) == (
        "2026-11-23 05:09:45.181 Workflow starting (run-id 77):\n"
        "2026-11-23 05:09:45.181 [77/start/1 (pid 12)] Task is starting.\n"
        "2026-11-23 05:09:45.181 [77/start/1 (pid 12)] loading\n"
        "2026-11-23 05:09:45.181 [77/start/1 (pid 12)] Foreach yields 3 child steps.\n"
        "2026-11-23 05:09:45.201 [77/start/1 (pid 12)] Task finished successfully.\n"
        "2026-11-23 05:09:45.201 Done!\n",
        "",
    )


def test_a_failed_run_shows_the_users_frames_and_ends_with_the_command_that_continues():
    out, err = told(
        TaskAttemptFailed(label(where="[1]"), 0, 2, FAILURE, is_retried=True, seconds=0.5),
        TaskStarted(label(), attempt=1),
        TaskAttemptFailed(label(where="[1]"), 1, 2, FAILURE, is_retried=False, seconds=41.2, peak_nbytes=2_100_000_000, node="node-3"),
        RunEnded("77", Outcome.FAILED, 60.0, (), failure=FAILURE, label=label()),
    )

    assert (out, err) == (
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] train[1] failed (attempt 1 of 2) after 0.5s: "
        "LinAlgError: Last 2 dimensions must be square (/src/model.py:21)\n"
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] Task failed.\n"
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] Task is starting (retry).\n"
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] train[1] failed (attempt 2 of 2) after 41s on node-3 · peak 2.1 GB: "
        "LinAlgError: Last 2 dimensions must be square (/src/model.py:21)\n"
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] Task failed.\n"
        "2026-11-23 05:09:45.181 Workflow failed.\n",
        "    Step failure:\n"
        "    Step train (task-id 3) failed.\n"
        "        /src/train.py:58 in train    self.model = fit(X, y)\n"
        "        /src/model.py:21 in fit      w = solve(A, b)\n"
        "      LinAlgError: Last 2 dimensions must be square\n"
        "      1 framework frame hidden (-v shows them)\n"
        "    Output: python train.py logs 77/train/3\n"
        "    Continue with: python train.py resume\n",
    )


def test_a_segmentation_fault_is_named():
    out, _ = told(TaskAttemptFailed(label(), 0, 1, Failure(FailureKind.DIED, "It died.", exit_code=-11), is_retried=False))

    assert out == (
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] train was killed by signal 11: It died.\n"
        "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] Task failed with a segmentation fault.\n"
    )


def test_a_failure_that_never_is_retried_says_so():
    out, _ = told(TaskAttemptFailed(label(), 0, 3, Failure(FailureKind.EXIT, "exit 202", exit_code=202), is_retried=False))

    assert out.splitlines()[-1] == "2026-11-23 05:09:45.181 [77/train/3 (pid 12)] This failed task will not be retried."


def test_caught_failures_fallbacks_and_empty_foreaches_have_words_of_their_own():
    out, _ = told(
        TaskStarted(label(), attempt=1, is_fallback=True),
        TaskDone(label(), 0.1, is_caught=True),
        FanoutOpened(label("start", "1"), "train", 0),
    )

    assert [line.partition(")] ")[2] for line in out.splitlines()] == [
        "Task fallback is starting to handle the failure.",
        "Task finished, its failure was caught.",
        "Foreach yields no child steps: train is skipped.",
    ]


def test_a_resume_says_what_it_takes_over():
    out, _ = told(started(origin="41"), StepsReused({"start": 1, "train": 1200}, "41"))

    assert [line[24:] for line in out.splitlines()] == [
        "Workflow starting (run-id 77):",
        "Resuming run 41.",
        "1,201 tasks of run 41 reused: start (1), train (1,200).",
    ]


def test_a_large_fan_out_is_told_in_totals_with_progress_every_thirty_seconds():
    before = standing("start", 1, 1)

    out, _ = told(
        Progressed(GRAPH, (before, standing("train", 10_000, 0, running=8))),
        10,
        Progressed(GRAPH, (before, standing("train", 10_000, 2_500, running=8, failed=1))),
        20,
        Progressed(GRAPH, (before, standing("train", 10_000, 5_000, running=8, failed=1))),
        10,
        Progressed(GRAPH, (before, standing("train", 10_000, 10_000, failed=1))),
        Progressed(GRAPH, (before, standing("train", 10_000, 10_000, failed=1), standing("join", 1, 0, running=1))),
    )

    assert [line[24:] for line in out.splitlines()] == [
        "Progress: train 5,000 of 10,000 tasks done, 8 running, 1 failed, about 40s left.",
        "train: 10,000 tasks finished in 40s.",
    ]


def test_a_fan_out_is_not_told_as_finished_while_an_outer_split_may_open_more():
    out, _ = told(Progressed(GRAPH, (standing("start", 2, 1, running=1), standing("train", 100, 100))))

    assert out == ""


def test_failures_of_one_kind_are_told_three_times_and_then_counted():
    failed = TaskAttemptFailed(label(where="[1]"), 0, 1, FAILURE, is_retried=False)

    out, _ = told(*[failed] * 500, RunEnded("77", Outcome.FAILED, 60.0, ()))

    assert out.count("Task failed.") == 3
    assert out.splitlines()[-2][24:] == (
        "train: 500 attempts failed like this: LinAlgError: Last 2 dimensions must be square (/src/model.py:21)"
    )


def test_an_interrupted_run_ends_with_the_command_that_continues():
    out, err = told(Draining("Interrupted by Ctrl-C.", 3, 5.0), RunEnded("77", Outcome.INTERRUPTED, 9.0, ()))

    assert ([line[24:] for line in out.splitlines()], err) == (
        ["Interrupted by Ctrl-C.", "Terminating 3 active tasks, within 5.0s...", "Workflow interrupted."],
        "    Continue with: python train.py resume\n",
    )


def test_a_wait_is_told_once_and_warnings_are_marked():
    out, _ = told(Waiting("Ray is starting"), Waiting("Ray is starting"), Warned("train asks for 64 CPU"))

    assert [line[24:] for line in out.splitlines()] == ["Waiting: Ray is starting", "Warning: train asks for 64 CPU"]


def test_output_is_passed_on_as_it_is_to_a_file_and_made_harmless_on_a_terminal():
    said = TaskSaid(label(), "\x1b]0;owned\x07\x1b[2Jhi\x07")

    to_file, to_terminal = told(said)[0], told(said, out=Terminal())[0]

    assert (to_file[24:], to_terminal[24:]) == (
        "[77/train/3 (pid 12)] \x1b]0;owned\x07\x1b[2Jhi\x07\n",
        "[77/train/3 (pid 12)] hi\\x07\n",
    )


def test_a_reader_that_is_gone_does_not_disturb_the_run():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    told(started(), RunEnded("77", Outcome.SUCCEEDED, 1.0, ()), out=Gone())
