"""`logs --follow` beside a run in progress, and `logs scrub`."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import click
import pytest

from rayflow.cli.commands.call import Call
from rayflow.cli.commands.logs import logs_command
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client import Task, metadata, namespace
from rayflow.model.records import LogSpan, Status
from rayflow.store import open_root
from rayflow.upkeep import verify_run
from tests.client.building import T0, RunBuilder
from tests.client.flows import Hello

NAME = f"Hello/{T0}"


class Followed:
    """`rayflow logs ARGUMENTS` in a thread of its own."""

    def __init__(self, url, *arguments):
        self.call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": url}, "/"), io.StringIO(), io.StringIO())
        self.code = None
        self._thread = threading.Thread(target=self._perform, args=[arguments], daemon=True)
        self._thread.start()

    def _perform(self, arguments):
        self.code = run_program(self.call, ["logs", *arguments])

    @property
    def out(self):
        return self.call.out.getvalue()

    def says(self, text, deadline_s=10.0):
        deadline = time.monotonic() + deadline_s
        while self.out != text and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.out == text
        return True

    def ends(self, deadline_s=10.0):
        self._thread.join(deadline_s)
        return self.code

    @property
    def is_going_on(self):
        return self._thread.is_alive()


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / ".rayflow"), create=True)


@pytest.fixture
def run(store):
    """A run that this process drives, until `run.over.close()`; its first task is under way."""
    metadata(os.path.dirname(store.url))
    namespace(None)
    run = RunBuilder(store, Hello)
    with ExitStack() as run.over:
        run.over.enter_context(run.driven())
        run.launched("start", log="start/w1", out=0, err=0)
        yield run


def printed(run, name, out=b"", err=b""):
    run.log(name, out, err)


def typed(store, *arguments):
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": store.url}, "/"), io.StringIO(), io.StringIO())
    code = run_program(call, ["logs", *arguments])
    return code, call.out.getvalue(), call.err.getvalue()


def test_lines_are_told_as_they_arrive_and_the_end_of_the_run_is_the_end(store, run):
    followed = Followed(store.url, "-f", "latest")
    printed(run, "start/w1", b"one\ntw")

    assert followed.says("one\n") and followed.is_going_on
    printed(run, "start/w1", b"o\nthree", b"oh\n")
    assert followed.says("one\ntwo\noh\n")
    run.lone("start", logs=LogSpan("start/w1", 0, 13, 0, 3))
    assert followed.says("one\ntwo\noh\nthree\n")
    run.launched("end", log="end/w2", out=0, err=0)
    printed(run, "end/w2", b"bye\n")
    assert followed.says("one\ntwo\noh\nthree\nbye\n") and followed.is_going_on
    run.lone("end", "start", logs=LogSpan("end/w2", 0, 4, 0, 0))
    run.end()

    assert followed.ends() == 0
    assert followed.out == "one\ntwo\noh\nthree\nbye\n"
    assert followed.call.err.getvalue().splitlines()[0] == f"Dumping stdout of {T0}/start/1"


def test_a_task_is_followed_to_its_own_end(store, run):
    followed = Followed(store.url, "--follow", "--quiet", f"{NAME}/start/1")
    printed(run, "start/w1", b"one\n")
    assert followed.says("one\n")

    run.lone("start", logs=LogSpan("start/w1", 0, 4, 0, 0))

    assert (followed.ends(), followed.out, followed.call.err.getvalue()) == (0, "one\n", "")


@pytest.mark.parametrize("first", [b"", b"one\n"])
def test_what_a_worker_prints_for_its_next_batch_is_not_told_as_the_last_ones(store, run, first):
    printed(run, "start/w1", first)
    run.launched("end", log="start/w1", out=len(first), err=0)
    printed(run, "start/w1", b":task_name:end\ntwo\n")

    assert typed(store, "latest/start", "--quiet")[1] == first.decode()
    assert typed(store, "latest/end", "--quiet")[1] == "two\n"


def test_further_attempts_are_followed_too(store, run):
    followed = Followed(store.url, "-f", "latest/start")
    printed(run, "start/w1", b"first\n")
    assert followed.says("first\n")

    printed(run, "start/w1", b"last words")
    run.failed("start", is_final=False, logs=LogSpan("start/w1", 0, 16, 0, 0))
    run.launched("start", log="start/w1", out=16, err=0)
    assert followed.says("first\nlast words\n")
    printed(run, "start/w1", b"second\n")

    assert followed.says("first\nlast words\nsecond\n")
    run.failed("start", attempt=1, logs=LogSpan("start/w1", 16, 23, 0, 0))
    run.over.close()
    assert followed.ends() == 0


def test_a_step_that_was_not_reached_is_waited_for(store, run):
    followed = Followed(store.url, "-f", "latest/end")
    time.sleep(0.5)
    assert followed.is_going_on and followed.out == ""

    run.lone("start")
    run.launched("end", log="end/w2", out=0, err=0)
    printed(run, "end/w2", b"there\n")

    assert followed.says("there\n")
    run.lone("end", "start", logs=LogSpan("end/w2", 0, 6, 0, 0))
    run.end()
    assert followed.ends() == 0
    assert Followed(store.url, "-f", "latest/ende").ends() == 1


def test_the_death_of_the_driver_ends_it_with_all_that_was_printed(store, run):
    followed = Followed(store.url, "-f", "latest")
    printed(run, "start/w1", b"one\nhalf a li")
    assert followed.says("one\n")

    run.over.close()

    assert followed.ends() == 0
    assert followed.out == "one\nhalf a li\n"
    assert followed.call.err.getvalue().endswith(f"Nobody drives run {NAME} any more. Continue it: rayflow resume {T0}\n")


SCRIPT = """
import time
from rayflow import FlowSpec, step

class Talks(FlowSpec):
    @step
    def start(self):
        for number in range(1000):
            print("line", number, flush=True)
            time.sleep(0.05)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Talks()
"""


def test_following_outlives_a_driver_that_is_killed(tmp_path):
    (tmp_path / "talks.py").write_text(SCRIPT)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAYFLOW_ROOT": str(tmp_path / ".rayflow"), "RAYFLOW_USER": "ada"}
    begin = {"cwd": tmp_path, "env": environ, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen([sys.executable, "talks.py", "run", "--executor", "process", "--run-id-file", "id"], **begin)
    try:
        while not (tmp_path / "id").exists():
            time.sleep(0.05)
        program = [sys.executable, "-c", "from rayflow.cli.main import main; main()", "logs", "-f", "latest"]
        follower = subprocess.Popen(program, **begin)
        assert [follower.stdout.readline() for _ in range(3)] == ["line 0\n", "line 1\n", "line 2\n"]

        driver.send_signal(signal.SIGKILL)
        out, err = follower.stdout.read(), follower.stderr.read()  # not `communicate`, which passes over what `readline` read ahead
        follower.wait(30)
    finally:
        driver.kill()
        driver.communicate()

    numbers = [int(line.split()[1]) for line in out.splitlines()]
    assert (follower.returncode, numbers) == (0, list(range(3, 3 + len(numbers))))
    assert "Nobody drives run Talks/" in err


# -- scrub -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def retried(store):
    """A run whose first task printed in two attempts, into one file with what is another's."""
    metadata(os.path.dirname(store.url))
    namespace(None)
    run = RunBuilder(store, Hello)
    run.log("start/w1", b"somebody's\n" + b"first attempt\n" + b"the secret is 42\n" + b"others'\n", b"warning: the secret\n")
    run.failed("start", is_final=False, logs=LogSpan("start/w1", 11, 25, 0, 0))
    run.lone("start", attempt=1, logs=LogSpan("start/w1", 25, 42, 0, 20))
    run.launched("end", log="end/w2", out=0, err=0)
    run.log("end/w2", b"in progress\n")
    return run


def content(run, name="start/w1.out"):
    return run.store.read(f"{run.layout.logs}/{name}")


def outputs():
    task = f"{NAME}/start/1"
    return [Task(task, attempt=0).stdout, Task(task).stdout, Task(task).stderr]


def test_the_latest_attempt_is_overwritten_where_it_lies(store, retried):
    code, out, err = typed(store, "scrub", "latest/start")

    assert (code, out, err) == (0, "", "Logs have been scrubbed: 1 task, 37 bytes.\n")
    assert outputs() == ["first attempt\n", "[REDACTED]\n", "[REDACTED]\n"]
    assert content(retried) == b"somebody's\nfirst attempt\n[REDACTED]\n" + b"\0" * 6 + b"others'\n"
    assert [text for _, text in Task(f"{NAME}/start/1").loglines("stdout")] == ["[REDACTED]"]
    assert verify_run(store, "Hello", str(T0)).damages == []


def test_all_attempts_and_one_stream(store, retried):
    assert typed(store, "scrub", "--all", "--stdout", "--quiet", "latest/start/1") == (0, "", "")

    assert outputs() == ["[REDACTED]\n", "[REDACTED]\n", "warning: the secret\n"]
    assert b"secret" not in content(retried)


def test_what_is_shorter_than_the_note_is_overwritten_wholly(store, retried):
    retried.log("end/w3", b"42\n")
    retried.lone("end", "start", logs=LogSpan("end/w3", 0, 3, 0, 0))

    typed(store, "scrub", "latest/end")

    assert content(retried, "end/w3.out") == b"[RE"


def test_what_is_not_done_stays_unless_it_is_asked_for(store, retried):
    code, _, err = typed(store, "scrub", "latest/end")
    assert code == 2 and "--include-not-done" in err

    with retried.driven():
        assert "1 task, 37 bytes" in typed(store, "scrub", "latest")[2]
        assert content(retried, "end/w2.out") == b"in progress\n"
        assert typed(store, "scrub", "--include-not-done", "latest")[0] == 0
        retried.log("end/w2", b"more\n")
        assert content(retried, "end/w2.out") == b"[REDACTED]\n\0more\n"


def test_output_on_a_bucket_is_overwritten_too(bucket):
    url = bucket()
    store = open_root(url, create=True)
    run = RunBuilder(store, Hello)
    store.write(run.layout.log("start/w1", "out"), [b"keep\nthe secret is 42\n"])
    run.lone("start", logs=LogSpan("start/w1", 5, 22, 0, 0), status=Status.CAUGHT)
    run.end()
    metadata(url)
    namespace(None)

    assert typed(store, "scrub", "latest/start")[0] == 0

    assert Task(f"{NAME}/start/1").stdout == "[REDACTED]\n"
    assert content(run).startswith(b"keep\n[REDACTED]\n")


def test_the_help_of_logs_names_its_commands(store):
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": store.url}, "/"), io.StringIO(), io.StringIO())
    text = logs_command(call).get_help(click.Context(logs_command(call)))

    assert "scrub" in text and "show" in text
    assert typed(store, "show", "1")[0] == 1 and typed(store)[0] == 2
