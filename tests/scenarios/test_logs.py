"""What steps print is kept per attempt, and can be read while they run."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from rayflow.client import open_pathspec
from rayflow.runtime.notices import RunStarted, TaskSaid
from scenarios.flows import logs
from scenarios.playing import cannot, not_on_buckets

TRUNCATED = "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]"


def test_what_a_step_prints_is_kept_as_it_was(play):
    played = play(logs.Prints)
    start, end = played.run["start"].task, played.run["end"].task

    assert start.stdout == "zażółć 🚀 gęślą\nno newline at the end\n"
    assert start.stderr == "to stderr\n"
    assert (end.stdout, end.stdout_size) == ("".join(f"line {n}\n" for n in range(5000)), sum(len(f"line {n}\n") for n in range(5000)))
    assert (played.run["silent"].task.stdout, played.run["silent"].task.stderr) == ("", "")
    lines = list(end.loglines("stdout"))
    assert [text for _, text in lines] == [f"line {n}" for n in range(5000)]
    assert all(abs((datetime.now(timezone.utc).replace(tzinfo=None) - moment).total_seconds()) < 60 for moment, _ in lines)


@cannot("inline", "descriptors stay the terminal's, so that a debugger can be used")
def test_what_subprocesses_and_c_code_print_is_kept_too(play):
    task = play(logs.Prints).run["tools"].task

    assert (task.stdout, task.stderr) == ("before,from a subprocess\nfrom C\n�� not UTF-8\n", "to its stderr\n")


def test_each_split_of_a_batch_has_its_own_span(play):
    played = play(logs.Splits)

    tasks = played.tasks("body")
    assert [task.stdout for task in tasks] == [f"split {i}\nsays {i}\n" if i % 3 else "" for i in range(300)]
    assert [task.stderr for task in tasks] == ["" if i % 5 else f"error {i}\n" for i in range(300)]


def test_a_flood_is_cut_and_says_so_and_what_follows_is_not_lost(play):
    played = play(logs.Floods, max_log_mb=1)

    for task in (played.run["start"].task, played.run["slowly"].task, played.tasks("split")[0]):
        assert (task.stdout.endswith(TRUNCATED + "\n"), task.stdout_size <= (1 << 20) + 100) == (True, True), task
    assert [played.tasks("split")[1].stdout, played.run["join"].task.stdout] == ["modest\n", "after the flood\n"]


def test_a_line_of_twenty_megabytes_is_kept_under_a_cap_that_allows_it(play):
    played = play(logs.Floods, max_log_mb=50)

    assert (played.run["start"].task.stdout_size, played.run["start"].task.stdout[-3:]) == ((20 << 20) + 1, "xx\n")
    assert played.run["slowly"].task.stdout.endswith("still running\n")


@not_on_buckets("of a bucket, readers see a task when it is done")
@cannot("inline", "steps run within the driver's loop, which tells nothing meanwhile")
def test_a_log_is_told_and_readable_while_its_task_runs(play, tmp_path):
    signal_file = tmp_path / "heard"
    read: list[str] = []
    run_id: list[str] = []

    def listen(notice):
        if isinstance(notice, RunStarted):
            run_id.append(notice.record.run_id)
        if isinstance(notice, TaskSaid) and "hear" in notice.text:
            read.append(open_pathspec(play.root, f"Talks/{run_id[0]}")["start"].task.stdout)
            Path(signal_file).touch()

    played = play(logs.Talks, on_tell=listen, signal_file=str(signal_file))

    assert (read, played.run["start"].task.data.was_heard) == (["can you hear me?\n"], True)
