"""What a dead worker left in its log says more than its exit status."""

from __future__ import annotations

import linecache
import math
import re
from dataclasses import replace

from rayflow.model.records import Failure, FailureKind, UserFrame
from rayflow.model.reports import BatchStarted, WorkerDied
from rayflow.model.spec import Resources, StepSpec
from rayflow.runtime.deadline import spelled
from rayflow.runtime.failures import is_users
from rayflow.runtime.logfiles import LogFiles

_TAIL_NBYTES = 16 * 1024
_THREAD = re.compile(r"^(Current thread|Stack|Thread)[^\n]*\(most recent call first\):\n((?:  [^\n]*\n?)*)", re.MULTILINE)
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')
_FATAL = re.compile(r"Fatal Python error: ([^\n]+)")


def refined(report: WorkerDied, files: LogFiles, started: BatchStarted | None, step: str, spec: StepSpec) -> WorkerDied:
    """The report of a death in a task of `step`, its cause named where `faulthandler` wrote it (a hard timeout, a
    segmentation fault), and what to do where memory ran out."""
    if report.failure.kind is FailureKind.OUT_OF_MEMORY:
        return replace(
            report, failure=replace(report.failure, message=report.failure.message + _advice(report.peak_nbytes, spec.resources))
        )
    text = _last_words(files, started)
    if text.rfind("Timeout (") >= 0 and spec.timeout_s:
        frames = _user_frames(text[text.rfind("Timeout (") :])
        message = f"Step {step} timed out after {spelled(spec.timeout_s)} and did not stop{_at(frames)}; its process was ended."
        return replace(report, failure=Failure(FailureKind.TIMEOUT, message, frames=frames))
    fatal = _FATAL.search(text)
    if fatal is not None and report.failure.kind is FailureKind.DIED:
        cause = "a segmentation fault (SIGSEGV)" if "Segmentation" in fatal[1] else f"a fatal error ({fatal[1].strip()})"
        frames = _user_frames(text[fatal.start() :])
        message = f"Its process ended by {cause}{_at(frames)}."
        return replace(report, failure=replace(report.failure, message=message, frames=frames))
    return report


def _advice(peak_nbytes: int, asked: Resources) -> str:
    """What to ask for instead: half as much again as it held, or was promised."""
    least_nbytes = max(peak_nbytes, asked.memory_nbytes or 0)
    if not least_nbytes:
        return ""
    megabytes = math.ceil(1.5 * least_nbytes / 2**20 / 100) * 100
    return f" Ask for what it needs, so that less runs beside it: @resources(memory={megabytes})."


def _last_words(files: LogFiles, started: BatchStarted | None) -> str:
    path = files.path(started.log_name, "err") if started and started.log_name else None
    if path is None or started is None:
        return ""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(started.err_begin, size - _TAIL_NBYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _user_frames(text: str) -> tuple[UserFrame, ...]:
    """The frames of the user's own code in a faulthandler dump, outermost first: of the thread at fault, else of the main one, which a
    dump lists last."""
    threads = _THREAD.findall(text)
    at_fault = [dump for kind, dump in threads if kind != "Thread"]
    for dump in (*at_fault, *(dump for _, dump in threads[-1:])):
        frames = [(file, int(line), function) for file, line, function in _FRAME.findall(dump) if is_users(file)]
        if frames:
            return tuple(UserFrame(*frame, linecache.getline(*frame[:2]).strip()) for frame in reversed(frames))
    return ()


def _at(frames: tuple[UserFrame, ...]) -> str:
    """at flow.py:12 in train, from the innermost frame."""
    return f" at {frames[-1].file.rpartition('/')[2]}:{frames[-1].line} in {frames[-1].function}" if frames else ""
