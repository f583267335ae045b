"""No flow outlives the program that runs it, however that ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from rayflow import Runner

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked for by their environment")


@pytest.fixture
def mark():
    """The value of a variable of all processes of a test."""
    return uuid.uuid4().hex


def alive(mark):
    """The processes that have the mark in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    found += [int(name)] if mark.encode() in file.read() else []
            except OSError:
                continue
    return found


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_whose_time_is_up_is_ended_and_recorded_as_interrupted(flow_file, mark, capsys):
    async def program():
        async with Runner(flow_file, env={"MARK": mark}, executor="process") as runner:
            running = await runner.async_run(count=1, seconds=60.0)
            begun = time.monotonic()
            await running.wait(timeout=0.3)
            return running, time.monotonic() - begun, alive(mark)

    running, took_s, left = asyncio.run(program())

    assert (running.status, running.run.state, left) == ("timeout", "interrupted", [])
    assert running.returncode == 143 and took_s < 6
    assert "did not complete within 0.3 seconds." in capsys.readouterr().out


def test_leaving_the_block_by_an_exception_ends_what_still_runs(flow_file, mark):
    async def program():
        async with Runner(flow_file, env={"MARK": mark}, executor="process") as runner:
            running = [await runner.async_run(count=1, seconds=60.0) for _ in range(3)]
            assert alive(mark) != []
            raise LookupError(*[each.command_obj.directory for each in running], time.monotonic())

    with pytest.raises(LookupError) as caught:
        asyncio.run(program())

    *directories, raised_at = caught.value.args
    assert (alive(mark), [os.path.exists(path) for path in directories]) == ([], [False] * 3)
    assert time.monotonic() - raised_at < 6, "they are ended one after another"


def test_a_run_without_an_id_in_time_is_ended(flow_file, mark):
    Path(flow_file).write_text("import sys, time\nif 'run' in sys.argv: time.sleep(60)\n" + Path(flow_file).read_text())

    with pytest.raises(TimeoutError, match=r"no run after 1\.5 s"):
        Runner(flow_file, env={"MARK": mark}, file_read_timeout=1.5).run(count=1)

    assert alive(mark) == []


def test_a_flow_that_does_not_even_say_its_options_is_ended(flow_file, mark):
    Path(flow_file).write_text("import time\ntime.sleep(60)\n")
    begun = time.monotonic()

    with Runner(flow_file, env={"MARK": mark}, file_read_timeout=0.3) as runner, pytest.raises(TimeoutError, match="did not say within"):
        runner.run()

    assert alive(mark) == [] and time.monotonic() - begun < 10


BLOCKING = """
from rayflow import Runner
with Runner("train.py") as runner:
    runner.run(count=1, seconds=60.0)
"""
LEFT_ALONE = """
import asyncio
from rayflow import Runner
running = asyncio.run(Runner("train.py").async_run(count=1, seconds=60.0))
print(running.command_obj.directory, flush=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_to_the_program_ends_its_flow_first(flow_file, mark, number, code):
    environ = {**os.environ, "MARK": mark, "RAYFLOW_EXECUTOR": "process"}
    program = subprocess.Popen(
        [sys.executable, "-c", BLOCKING], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    next(line for line in program.stdout if "alpha is" in line)

    program.send_signal(number)

    assert program.wait(20) == code
    wait_for(lambda: alive(mark) == [])
    program.stdout.close()


def test_a_program_that_ends_takes_along_what_it_left_alone(flow_file, mark):
    environ = {**os.environ, "MARK": mark, "RAYFLOW_EXECUTOR": "process"}

    ended = subprocess.run([sys.executable, "-c", LEFT_ALONE], env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert (ended.returncode, alive(mark), os.path.exists(ended.stdout.strip())) == (0, [], False), ended.stderr
