"""`@timeout`: first an exception inside the step, then the end of its process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from rayflow.model.errors import TimeoutException
from rayflow.runtime.deadline import Deadline, spelled


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "0 hours, 0 minutes, 1 seconds"),
        (0.5, "0 hours, 0 minutes, 0.5 seconds"),
        (3725, "1 hours, 2 minutes, 5 seconds"),
        (7200, "2 hours, 0 minutes, 0 seconds"),
    ],
)
def test_a_duration_is_spelled_as_users_know_it(seconds, text):
    assert spelled(seconds) == text


def test_time_that_is_up_raises_in_the_step():
    begun = time.monotonic()

    with pytest.raises(TimeoutException, match=r"Step train timed out after 0 hours, 0 minutes, 0\.1 seconds\."):
        with Deadline("train", 0.1, can_end_process=False):
            time.sleep(30)

    assert time.monotonic() - begun < 5


def test_what_is_done_in_time_is_not_disturbed_and_nothing_stays_armed():
    before = signal.getsignal(signal.SIGALRM)

    with Deadline("train", 0.2, can_end_process=False):
        done = True
    time.sleep(0.3)

    assert (done, signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (True, before, (0.0, 0.0))


def test_an_exception_of_the_step_disarms_it_too():
    with pytest.raises(ValueError), Deadline("train", 0.1, can_end_process=False):
        raise ValueError
    time.sleep(0.2)

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_beside_the_main_thread_only_the_hard_timeout_can_act():
    faults: list[BaseException] = []

    def work():
        try:
            with Deadline("train", 0.05, can_end_process=False):
                time.sleep(0.2)
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert faults == []


def test_code_that_does_not_listen_ends_its_process_and_leaves_its_line():
    program = (
        "from rayflow.runtime import deadline\n"
        "deadline.HARD_AFTER_S = 0.2\n"
        "with deadline.Deadline('train', 0.1, can_end_process=True):\n"
        "    sum(range(10**12))\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=30)

    assert (ended.returncode, "Timeout (" in ended.stderr, 'File "<string>", line 4' in ended.stderr) == (1, True, True)
