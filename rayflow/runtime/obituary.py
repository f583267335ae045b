"""What a dead worker left in its log says more than its exit status."""

from __future__ import annotations

import re
from dataclasses import replace

from rayflow.model.commands import Batch
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import BatchStarted, WorkerDied
from rayflow.model.spec import StepSpec
from rayflow.runtime.deadline import spelled

_TAIL_NBYTES = 16 * 1024
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')
_FATAL = re.compile(r"Fatal Python error: ([^\n]+)")


def refined(report: WorkerDied, store: Store, layout: RunLayout, started: BatchStarted | None, batch: Batch, spec: StepSpec) -> WorkerDied:
    """The report of a death, with its cause named where `faulthandler` wrote it: a hard timeout, a segmentation fault."""
    text = _last_words(store, layout, started)
    if text.rfind("Timeout (") >= 0 and spec.timeout_s:
        where = _user_line(text[text.rfind("Timeout (") :])
        message = f"Step {batch.step} timed out after {spelled(spec.timeout_s)} and did not stop{where}; its process was ended."
        return replace(report, failure=Failure(FailureKind.TIMEOUT, message))
    fatal = _FATAL.search(text)
    if fatal is not None and report.failure.kind is FailureKind.DIED:
        cause = "a segmentation fault (SIGSEGV)" if "Segmentation" in fatal[1] else f"a fatal error ({fatal[1].strip()})"
        where = _user_line(text[fatal.start() :])
        return replace(report, failure=replace(report.failure, message=f"Its process ended by {cause}{where}."))
    return report


def _last_words(store: Store, layout: RunLayout, started: BatchStarted | None) -> str:
    path = store.local_path(layout.log(started.log_name, "err")) if started and started.log_name else None
    if path is None or started is None:
        return ""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(started.err_begin, size - _TAIL_NBYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _user_line(text: str) -> str:
    """at flow.py:12 in train, from the innermost frame that a faulthandler dump shows of the main thread."""
    frames = [frame for frame in _FRAME.findall(text.rpartition("Current thread")[2] or text) if "/rayflow/" not in frame[0]]
    if not frames:
        frames = [frame for frame in _FRAME.findall(text) if "/rayflow/" not in frame[0]]
    if not frames:
        return ""
    file, line, function = frames[0]
    return f" at {file.rpartition('/')[2]}:{line} in {function}"
