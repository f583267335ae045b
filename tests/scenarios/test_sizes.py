"""Many tasks, many lines, much data: complete, in order, and in bounded memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rayflow.client import Flow, metadata, namespace
from scenarios.flows import sizes

LARGE_NBYTES = 4_100_000_000


def test_a_foreach_of_twelve_hundred_tasks_is_complete_and_in_order(play):
    played = play(sizes.Wide)
    tasks = played.tasks("work")

    assert played.data.squares == [number**2 for number in range(1200)]
    assert [task.index for task in tasks] == list(range(1200))
    assert [task.data.square for task in tasks] == played.data.squares
    assert [task.stdout for task in tasks] == [f"task {number}\n" for number in range(1200)]


def test_thirty_two_tasks_of_five_thousand_lines_lose_none_and_keep_their_order(play):
    played = play(sizes.Lines)
    tasks = played.tasks("work")

    assert [task.stdout for task in tasks] == ["".join(f"{t}: line {n} żółć\n" for n in range(5000)) for t in range(32)]
    assert [task.stderr for task in tasks] == ["".join(f"{t}: error {n}\n" for n in range(0, 5000, 10)) for t in range(32)]
    assert [sum(1 for _ in task.loglines("stdout")) for task in tasks] == [5000] * 32


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("client_session")
def test_four_gigabytes_go_from_step_to_step_in_bounded_memory(tmp_path):
    command = [sys.executable, sizes.__file__, "run", "--executor", "process"]

    driver = subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)

    metadata(str(tmp_path))
    namespace(None)
    run = Flow("Large").latest_run
    peaks = {step.id: step.task.record.row.peak_nbytes for step in run}
    driver_nbytes = int(driver.stderr.rpartition("peak KiB ")[2]) * 1024
    print(f"driver {driver_nbytes / 1e6:.0f} MB; workers { ({name: f'{peak / 1e9:.2f} GB' for name, peak in peaks.items()}) }")
    assert (driver.returncode, run.data.ends, run["read"].task.data.sum) == (0, [1.0, 7.0], LARGE_NBYTES / 8)
    assert run["start"].task["large"].size >= LARGE_NBYTES
    assert (driver_nbytes < 300_000_000, max(peaks.values()) < 1.3 * LARGE_NBYTES) == (True, True)
