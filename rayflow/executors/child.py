"""The program of a child process of `ProcessExecutor`: performs batches until its parent is gone.

    python -m rayflow.executors.child <entry> <descriptor to read> <descriptor to write>

A thread reads what the parent says, so that a soft cancel arrives while user code runs, and so that the parent's death ends this process
at once, and whatever user code started (nothing of a run survives its driver). User code runs on the main thread: signals and timers work.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence

from rayflow.executors import pipes
from rayflow.executors.entry import load_entry
from rayflow.executors.guard import kill_bearers
from rayflow.model.ports import Work
from rayflow.model.reports import Report

_TOKEN = "RAYFLOW_WORKER"
"""In the environment of a child and of all that user code starts there: one value for each child."""


def main(argv: list[str]) -> None:
    del sys.path[0]  # -m put the current directory there; the flow's own directory comes with the work
    entry_name, reading, writing = argv[0], int(argv[1]), int(argv[2])
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    os.environ[_TOKEN] = f"{os.getpid()}-{os.urandom(8).hex()}"
    faulthandler.enable()  # a crash says where, in the log of the task
    works: queue.SimpleQueue[Work] = queue.SimpleQueue()
    cancelled: set[int] = set()
    threading.Thread(target=_listen, args=(reading, works, cancelled), name="rayflow-listen", daemon=True).start()
    entry = load_entry(entry_name)
    while True:
        work = works.get()
        for reports in entry(work, lambda batch_id=work.batch.id: batch_id in cancelled):
            _say(writing, reports)


def _say(writing: int, reports: Sequence[Report]) -> None:
    try:
        pipes.send(writing, reports)
    except BrokenPipeError:
        os._exit(1)


def _listen(reading: int, works: queue.SimpleQueue[Work], cancelled: set[int]) -> None:
    token, is_over = os.environ[_TOKEN], False
    try:
        while True:
            kind, content = pipes.receive(reading)
            if kind == "work":
                works.put(content)
            elif kind == "cancel":
                cancelled.add(content)
            elif kind == "end":
                is_over = True
    except (EOFError, OSError):
        if not is_over:
            kill_bearers(token)  # what was detached into groups of its own
        os.killpg(0, signal.SIGKILL)  # this process, and what user code started in its group


if __name__ == "__main__":
    main(sys.argv[1:])
