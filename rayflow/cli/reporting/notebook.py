"""A run in a notebook: a small table of its steps that changes in place, and below it what tasks print."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TextIO

from rayflow.cli.reporting.failure import Repeats, circumstances, headline, place
from rayflow.cli.reporting.held import Held
from rayflow.cli.reporting.pace import Pace
from rayflow.cli.reporting.text import counted, duration, harmless, writer
from rayflow.client.html import table
from rayflow.model.records import Outcome
from rayflow.runtime.notices import (
    Draining,
    Notice,
    Preparing,
    Progressed,
    RunEnded,
    RunStarted,
    StepProgress,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskSaid,
    Waiting,
    Warned,
)

_EVERY_S = 0.25
_COLOURS = {Outcome.SUCCEEDED: "#2e7d32", Outcome.FAILED: "#c62828", Outcome.INTERRUPTED: "#ef6c00"}


class NotebookReporter:
    """Draws by IPython's `display`, at most four times a second; `display` may be another function of (mime bundle, is_first), for tests.

    What tasks print, warnings and failures go to `out` and `err`, which are the cell's.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        display: Callable[[dict[str, str], bool], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._complain = writer(out), writer(err)
        self._display = display or _in_cell()
        self._clock = clock
        self._pace, self._repeats, self._held = Pace(), Repeats(), Held()
        self._title, self._state, self._waits_for = "", "running", ""
        self._steps: Sequence[StepProgress] = ()
        self._is_drawn = False
        self._drawn_at = 0.0

    def tell(self, notice: Notice) -> None:
        match notice:
            case RunStarted(record=record):
                self._title = f"{record.flow}/{record.run_id}"
                self._draw()
            case Progressed(steps=steps):
                self._steps, self._waits_for = steps, ""
                self._pace.note(steps, self._clock())
                self._draw_soon()
            case Waiting(why=why):
                self._waits_for = why
                self._draw_soon()
            case RunEnded():
                self._end(notice)
            case _:
                self._speak(notice)

    def _speak(self, notice: Notice) -> None:
        match notice:
            case TaskSaid():
                if not self._held.takes(notice):
                    self._quote(notice)
            case TaskDone(label=label):
                self._quote(*self._held.released(label))
            case TaskAttemptFailed(failure=failure):
                self._quote(*self._held.released(notice.label, failure.traceback))
                if self._repeats.is_news(notice):
                    where = f" ({place(failure)})" if place(failure) else ""
                    self._complain(f"{circumstances(notice)}: {headline(failure)}{where}{'; it is retried' if notice.is_retried else ''}")
            case StepsReused():
                self._write(f"{counted(sum(notice.tasks.values()), 'task')} of run {notice.origin} reused")
            case Preparing(what=what):
                self._write(f"Making {harmless(what)}")
            case Warned(text=text):
                self._complain(f"Warning: {harmless(text)}")
            case Draining():
                self._state = "ending"
                self._draw()
            case _:
                pass

    def _quote(self, *lines: TaskSaid) -> None:
        for said in lines:
            text = f"[{said.label.step}{said.label.where}] {harmless(said.text)}"
            (self._complain if said.is_error else self._write)(text)

    def _end(self, notice: RunEnded) -> None:
        for text in self._repeats.summary():
            self._complain(text)
        self._steps = notice.steps
        self._pace.note(notice.steps, self._clock())
        self._state, self._waits_for = f"{notice.outcome.value} in {duration(notice.seconds)}", ""
        self._draw(_COLOURS[notice.outcome])

    def _draw_soon(self) -> None:
        if self._clock() - self._drawn_at >= _EVERY_S:
            self._draw()

    def _draw(self, colour: str = "#1565c0") -> None:
        now = self._clock()
        state = self._state + (f", waiting: {self._waits_for}" if self._waits_for else "")
        rows = [
            (step.step, _count(step), _bar(step), f"{step.failed:,}" if step.failed else "", duration(self._pace.seconds(step.step, now)))
            for step in self._steps
            if step.known
        ]
        text = f"Run {self._title} {state}"
        plain = "\n".join([text, *(f"  {step}: {count}" for step, count, *_ in rows)])
        head = f'<div><b>{escape(self._title)}</b> <span style="color:{colour}">{escape(state)}</span></div>'
        html = head + table(("step", "done", "", "failed", "time"), rows, raw=2)
        self._display({"text/html": html, "text/plain": plain}, not self._is_drawn)
        self._is_drawn, self._drawn_at = True, now


def _count(step: StepProgress) -> str:
    count = f"{step.done:,}" if step.done == step.known else f"{step.done:,} of {step.known:,}"
    return f"{count} ({step.reused:,} reused)" if step.reused else count


def _bar(step: StepProgress) -> str:
    share = 100 * step.done // step.known
    colour = "#c62828" if step.failed and not step.running else "#2e7d32" if step.done == step.known else "#1565c0"
    return (
        '<div style="width:8em;height:.6em;background:rgba(128,128,128,.25)">'
        f'<div style="width:{share}%;height:100%;background:{colour}"></div></div>'
    )


def _in_cell() -> Callable[[dict[str, str], bool], None]:
    """Into the output of the cell that is being executed."""
    from IPython.core.display_functions import display

    handles: list[Any] = []

    def show(bundle: dict[str, str], is_first: bool) -> None:
        if is_first:
            handles.append(display(bundle, raw=True, display_id=True))
        else:
            handles[-1].update(bundle, raw=True)

    return show
