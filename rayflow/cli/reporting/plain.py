"""Lines on stdout, in the form that Metaflow users know: for files, pipes, CI, and whoever asked for `--quiet`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from rayflow.cli.reporting.failure import Repeats, circumstances, described, headline, hidden, place
from rayflow.cli.reporting.pace import Pace
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.reporting.text import counted, duration, harmless, writer
from rayflow.model.graph import Graph
from rayflow.model.records import FailureKind, Outcome
from rayflow.runtime.notices import (
    Draining,
    FanoutOpened,
    Included,
    Notice,
    Preparing,
    Progressed,
    RunEnded,
    RunStarted,
    StepProgress,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskLabel,
    TaskSaid,
    TaskStarted,
    Waiting,
    Warned,
)

MOST_TOLD = 32
"""Fan-outs of more splits are told in totals."""
REPORT_EVERY_S = 30.0


class PlainReporter:
    """Run log on `out`, each line with its local time; what stopped a run, and how to go on, on `err`.

    `is_verbose`: tracebacks in full. `now` and `clock` are the local time and a monotonic clock.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        prompt: Prompt,
        *,
        is_verbose: bool = False,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._complain = writer(out), writer(err)
        self._is_terminal = out.isatty()
        self._prompt, self._is_verbose = prompt, is_verbose
        self._now, self._clock = now, clock
        self._repeats = Repeats()
        self._reported_at = clock()
        self._pace = Pace()
        self._finished: dict[str, int] = {}
        self._last_wait = ""

    def tell(self, notice: Notice) -> None:
        match notice:
            case TaskStarted() | TaskSaid() | TaskDone() | TaskAttemptFailed() | FanoutOpened():
                self._tell_of_task(notice)
            case Progressed():
                self._tell_progress(notice)
            case _:
                self._tell_of_run(notice)

    def _line(self, text: str, label: TaskLabel | None = None) -> None:
        stamp = self._now().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        process = f" (pid {label.pid})" if label is not None and label.pid else ""
        self._write(f"{stamp} [{label}{process}] {text}" if label is not None else f"{stamp} {text}")

    def _tell_of_task(self, notice: TaskStarted | TaskSaid | TaskDone | TaskAttemptFailed | FanoutOpened) -> None:
        match notice:
            case TaskStarted(is_fallback=True):
                self._line("Task fallback is starting to handle the failure.", notice.label)
            case TaskStarted():
                self._line("Task is starting (retry)." if notice.attempt else "Task is starting.", notice.label)
            case TaskSaid():
                self._line(harmless(notice.text) if self._is_terminal else notice.text, notice.label)
            case FanoutOpened(splits=0):
                self._line(f"Foreach yields no child steps: {notice.target} is skipped.", notice.label)
            case FanoutOpened():
                self._line(f"Foreach yields {notice.splits} child steps.", notice.label)
            case TaskDone():
                self._line("Task finished, its failure was caught." if notice.is_caught else "Task finished successfully.", notice.label)
            case TaskAttemptFailed():
                self._tell_failed_attempt(notice)

    def _tell_failed_attempt(self, notice: TaskAttemptFailed) -> None:
        if not self._repeats.is_news(notice):
            return
        failure = notice.failure
        where = f" ({place(failure)})" if place(failure) else ""
        self._line(f"{circumstances(notice)}: {headline(failure)}{where}", notice.label)
        if failure.kind is FailureKind.DIED and failure.exit_code == -11:
            self._line("Task failed with a segmentation fault.", notice.label)
        else:
            self._line("Task failed.", notice.label)
        if not notice.is_retried and not failure.is_retryable:
            self._line("This failed task will not be retried.", notice.label)

    def _tell_of_run(self, notice: Notice) -> None:
        match notice:
            case RunStarted():
                self._tell_start(notice)
            case StepsReused():
                tasks = ", ".join(f"{step} ({count:,})" for step, count in notice.tasks.items())
                self._line(f"{counted(sum(notice.tasks.values()), 'task')} of run {notice.origin} reused: {tasks or 'none'}.")
            case Waiting(why=why):
                if why != self._last_wait:
                    self._line(f"Waiting: {why}")
                self._last_wait = why
            case Included():
                self._line(f"Including file {notice.path} of size {notice.nbytes / 1024:.0f}KB")
            case Preparing():
                self._line(f"Making {notice.what}")
            case Warned():
                self._line(f"Warning: {notice.text}")
            case Draining():
                self._line(notice.why)
                self._line(f"Terminating {counted(notice.running, 'active task')}, within {duration(notice.grace_s)}...")
            case RunEnded():
                self._tell_end(notice)
            case _:
                pass

    def _tell_start(self, notice: RunStarted) -> None:
        run_id = notice.record.run_id
        if notice.is_reattached:
            self._line(f"Workflow continuing (run-id {run_id}):")
            return
        self._line(f"Workflow starting (run-id {run_id}):")
        if notice.origin:
            self._line(f"Resuming run {notice.origin}.")

    def _tell_progress(self, notice: Progressed) -> None:
        steps, clock = {step.step: step for step in notice.steps}, self._clock()
        self._pace.note(notice.steps, clock)
        for step in notice.steps:
            if step.known > MOST_TOLD and _is_settled(step.step, steps, notice.graph) and self._finished.get(step.step) != step.done:
                self._finished[step.step] = step.done
                self._line(f"{step.step}: {counted(step.done, 'task')} finished in {duration(self._pace.seconds(step.step, clock))}.")
        if clock - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = clock
            active = [
                _standing(step, self._pace.left_s(step, clock))
                for step in notice.steps
                if step.running or (step.done < step.known and step.done)
            ]
            if active:
                self._line("Progress: " + "; ".join(active) + ".")

    def _tell_end(self, notice: RunEnded) -> None:
        for text in self._repeats.summary():
            self._line(text)
        if notice.outcome is Outcome.SUCCEEDED:
            self._line("Done!")
            return
        self._line("Workflow interrupted." if notice.outcome is Outcome.INTERRUPTED else "Workflow failed.")
        if notice.failure is not None and notice.outcome is Outcome.FAILED:
            self._complain("    Step failure:" if notice.label else "    Flow failed:")
            if notice.label is not None:
                self._complain(f"    Step {notice.label.step} (task-id {notice.label.task_id}) failed.")
            for text in described(notice.failure, is_full=self._is_verbose):
                self._complain(f"    {text}")
            if hidden(notice.failure) and not self._is_verbose:
                self._complain(f"      {hidden(notice.failure)}")
            if notice.label is not None:
                self._complain(f"    Output: {self._prompt.logs(str(notice.label))}")
        self._complain(f"    Continue with: {self._prompt.resume(notice.run_id)}")


def _is_settled(step: str, steps: dict[str, StepProgress], graph: Graph) -> bool:
    """Whether the step and all that lead to it have nothing left to do, so that its count is final."""
    found, queue = {step}, [step]
    while queue:
        name = queue.pop()
        standing = steps.get(name)
        if standing is not None and (standing.running or standing.done < standing.known):
            return False
        fresh = [source for source in graph[name].sources if source not in found]
        found.update(fresh)
        queue.extend(fresh)
    return True


def _standing(step: StepProgress, left_s: float | None) -> str:
    text = f"{step.step} {step.done:,} of {counted(step.known, 'task')} done, {step.running:,} running"
    if step.failed:
        text += f", {step.failed:,} failed"
    return text + (f", about {duration(left_s)} left" if left_s and step.known > step.done else "")
