"""The live view of a terminal, on stderr: the steps below, what tasks print above them, and at the end a summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rayflow.cli.reporting.failure import Repeats, circumstances, described, hidden
from rayflow.cli.reporting.held import Held
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.reporting.screen import MAX_LINES, Screen, summary
from rayflow.cli.reporting.text import counted, duration, harmless, size
from rayflow.model.graph import Graph
from rayflow.model.records import Outcome
from rayflow.runtime.notices import (
    Draining,
    Included,
    Notice,
    Preparing,
    Progressed,
    RunEnded,
    RunStarted,
    StepsReused,
    TaskAttemptFailed,
    TaskDone,
    TaskLabel,
    TaskSaid,
    Waiting,
    Warned,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_PER_SECOND = 8
_HEIGHT_LEFT = 2


class LiveReporter:
    """Draws on `console`; `clock` is monotonic. `facts` is what the header says beside flow and run: where and with what.

    `is_verbose`: tracebacks in full. `is_animated` False: only the lines above the live area and the end, which tests compare.
    """

    def __init__(
        self,
        console: Console,
        prompt: Prompt,
        *,
        facts: str = "",
        version: str = "",
        is_verbose: bool = False,
        is_animated: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._prompt, self._clock = console, prompt, clock
        self._facts, self._version = facts, version
        self._is_animated, self._is_verbose = is_animated, is_verbose
        self._screen = Screen(is_ascii=not (console.encoding or "").lower().startswith("utf"))
        self._live: Live | None = None
        self._graph: Graph | None = None
        self._repeats = Repeats()
        self._held = Held()
        self._final: tuple[TaskAttemptFailed, str] | None = None

    def tell(self, notice: Notice) -> None:
        match notice:
            case RunStarted():
                self._start(notice)
            case Progressed():
                self._screen.update(notice.steps, self._clock())
            case Waiting(why=why):
                self._screen.waits_for = why
            case TaskSaid():
                self._show_output(notice)
            case TaskDone(label=label):
                self._release(label)
            case TaskAttemptFailed():
                self._tell_failed_attempt(notice)
            case StepsReused():
                self._say(f" {counted(sum(notice.tasks.values()), 'task')} of run {notice.origin} reused", style="dim")
            case Included():
                self._say(f" including {harmless(notice.path)} ({size(notice.nbytes)})", style="dim")
            case Preparing(what=text) | Warned(text=text):
                is_warning = isinstance(notice, Warned)
                self._say(f"{'!' if is_warning else ' making'} {harmless(text)}", style="yellow" if is_warning else "dim")
            case Draining():
                self._drain(notice)
            case RunEnded():
                self._end(notice)
            case _:
                pass

    def close(self) -> None:
        """Gives the terminal back as it was. To be called however the run ends."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _start(self, notice: RunStarted) -> None:
        record = notice.record
        self._graph = record.graph
        self._screen.steps = tuple(record.graph.nodes)
        parts = [f"rayflow {self._version}".strip(), record.flow, f"run {record.run_id}", self._facts, f"root {notice.root}"]
        if notice.origin:
            parts.insert(3, f"resumes {notice.origin}")
        if notice.is_reattached:
            parts.insert(3, "continued")
        self._say(harmless(" · ".join(part for part in parts if part)), style="bold")
        if self._is_animated:
            from rich.live import Live

            self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=_PER_SECOND, transient=True)
            self._live.start()

    def _draw(self) -> RenderableType:
        return self._screen.draw(self._clock(), min(MAX_LINES, self._console.height - _HEIGHT_LEFT))

    def _name(self, label: TaskLabel) -> str:
        return harmless(label.step + label.where)

    def _say(self, text: str, prefix: str = "", style: str = "") -> None:
        from rich.text import Text

        line = Text.assemble((f"{prefix} ", "cyan"), (text, style)) if prefix else Text(text, style)
        self._console.print(line, soft_wrap=True)

    def _show_output(self, notice: TaskSaid) -> None:
        """A line above the live area."""
        if not self._held.takes(notice):
            self._say(harmless(notice.text), prefix=self._name(notice.label), style="yellow" if notice.is_error else "")

    def _release(self, label: TaskLabel, traceback: str = "") -> None:
        """Shows what was held back of a task."""
        for said in self._held.released(label, traceback):
            self._say(harmless(said.text), prefix=self._name(label), style="yellow")

    def _tell_failed_attempt(self, notice: TaskAttemptFailed) -> None:
        self._release(notice.label, notice.failure.traceback)
        is_news = self._repeats.is_news(notice)
        if not notice.is_retried and self._final is None:
            self._final = (notice, circumstances(notice))  # told in full at the end, below the summary
        elif is_news:
            suffix = "; it is retried" if notice.is_retried else ""
            self._say(f"! {circumstances(notice)}{suffix}", style="yellow")
            for line in described(notice.failure):
                self._say(line, style="dim")

    def _drain(self, notice: Draining) -> None:
        self._say(f"! {harmless(notice.why)}", style="yellow")
        self._screen.ending = f"ending: {counted(notice.running, 'task')} may go on for {duration(notice.grace_s)}"

    def _end(self, notice: RunEnded) -> None:
        self.close()
        self._console.print(summary(notice.steps, self._screen.pace, self._clock()))
        for text in self._repeats.summary():
            self._say(f"! {text}", style="yellow")
        if notice.outcome is Outcome.SUCCEEDED:
            self._say(f"Done! in {duration(notice.seconds)} · run {notice.run_id} · {self._prompt.show(notice.run_id)}", style="bold green")
            return
        if notice.outcome is Outcome.FAILED:
            self._tell_failure(notice)
        else:
            self._say(f"Interrupted after {duration(notice.seconds)}. What is done is kept.", style="bold yellow")
        self._say(f"  continue  {self._prompt.resume(notice.run_id)}", style="bold")

    def _tell_failure(self, notice: RunEnded) -> None:
        self._say("")
        if self._final is not None:
            text = self._final[1]
        elif notice.label is not None:
            text = f"{harmless(notice.label.step)} failed"
        else:
            text = "The run failed"
        self._say(f"{'x' if self._screen.is_ascii else '✗'} {text}", style="bold red")
        failure = notice.failure or (self._final[0].failure if self._final else None)
        if failure is not None:
            for line in described(failure, is_full=self._is_verbose):
                self._say(line)
            if hidden(failure) and not self._is_verbose:
                self._say(f"  {hidden(failure)}", style="dim")
        if notice.label is not None:
            self._say(f"  output    {self._prompt.logs(str(notice.label))}")
