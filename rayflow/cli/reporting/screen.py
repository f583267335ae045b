"""What the live area shows: one line per step, at most `MAX_LINES`, as a function of its state and the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rayflow.cli.reporting.pace import Pace
from rayflow.cli.reporting.text import counted, duration, harmless
from rayflow.runtime.notices import StepProgress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MAX_LINES = 22
_BAR_WIDTH = 24


@dataclass
class Screen:
    """The state of the live area. `steps` are all steps of the flow in the graph's order; `standings` what is known of them.

    Written by the driver's thread and drawn by rich's: `standings` is replaced, never changed in place.
    """

    steps: Sequence[str] = ()
    standings: dict[str, StepProgress] = field(default_factory=dict[str, StepProgress])
    pace: Pace = field(default_factory=Pace)
    waits_for: str = ""
    ending: str = ""
    is_ascii: bool = False

    def update(self, standings: Sequence[StepProgress], now: float) -> None:
        """Takes over where the steps stand at `now` (seconds of a monotonic clock)."""
        self.pace.note(standings, now)
        self.standings = {standing.step: standing for standing in standings}
        self.waits_for = ""

    def draw(self, now: float, height: int = MAX_LINES) -> RenderableType:
        """The area at `now`, in at most `height` lines."""
        from rich.console import Group
        from rich.table import Table

        grid = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(5):
            grid.add_column(no_wrap=True, overflow="ellipsis")
        remarks = [remark for remark in (f"waiting: {self.waits_for}" if self.waits_for else "", self.ending) if remark]
        for entry in self._entries(max(min(height, MAX_LINES) - len(remarks), 3)):
            self._add_line(grid, entry, now)
        return Group(grid, *(_dim(f" {harmless(remark)}") for remark in remarks))

    def _entries(self, room: int) -> Iterator[str | int]:
        """The steps that are shown, with the number of those left out where some are. What works now is never left out before
        what does not."""
        if len(self.steps) <= room:
            yield from self.steps
            return
        active = [step for step in self.steps if (standing := self.standings.get(step)) and standing.done < standing.known]
        chosen = set(active[: room - 2])
        nearest = sorted(self.steps, key=lambda step: (step not in chosen, self._distance(step)))
        shown = set(nearest[: room - 2])
        skipped = 0
        for step in self.steps:
            if step not in shown:
                skipped += 1
                continue
            if skipped:
                yield skipped
                skipped = 0
            yield step
        if skipped:
            yield skipped

    def _distance(self, step: str) -> int:
        """How far a step is from the first that is not done."""
        front = next((at for at, name in enumerate(self.steps) if not _is_done(self.standings.get(name))), len(self.steps))
        return abs(self.steps.index(step) - front)

    def _add_line(self, grid: Table, entry: str | int, now: float) -> None:
        from rich.text import Text

        if isinstance(entry, int):
            grid.add_row(_dim(" :" if self.is_ascii else " ⋮"), _dim(f"{entry} more steps"))
            return
        standing = self.standings.get(entry)
        name = harmless(entry)
        if standing is None or not (standing.running or standing.done or standing.failed):
            grid.add_row(_dim(" ." if self.is_ascii else " ·"), _dim(name))
        elif _is_done(standing):
            mark = Text(" +" if self.is_ascii else " ✓", "green")
            grid.add_row(mark, Text(name), _dim(_joined(_count(standing), self._time(entry, now))))
        elif standing.known == 1:
            grid.add_row(self._mark(standing, now), Text(name), Text(_joined(_activity(standing), self._time(entry, now))))
        else:
            self._add_bar(grid, standing, now)

    def _add_bar(self, grid: Table, standing: StepProgress, now: float) -> None:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        bar = ProgressBar(standing.known, standing.done, width=_BAR_WIDTH)
        done = f"{standing.done:,}/{standing.known:,}"
        rate, left_s = self.pace.per_second(standing, now), self.pace.left_s(standing, now)
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate else ""
        left = f"{duration(left_s)} left" if left_s is not None else ""
        rest = Text(_joined(speed, left, _activity(standing)))
        grid.add_row(self._mark(standing, now), Text(harmless(standing.step)), bar, Text(done), rest)

    def _time(self, step: str, now: float) -> str:
        seconds = self.pace.seconds(step, now)
        return duration(seconds) if seconds else ""

    def _mark(self, standing: StepProgress, now: float) -> RenderableType:
        from rich.text import Text

        if standing.failed and not standing.running:
            return Text(" x" if self.is_ascii else " ✗", "red")
        frames = "|/-\\" if self.is_ascii else "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        return Text(f" {frames[int(now * 10) % len(frames)]}", "cyan")


def summary(steps: Sequence[StepProgress], pace: Pace, now: float) -> Table:
    """The table at the end of a run: a line per step that had tasks. Columns that hold nothing are left out."""
    from rich.table import Table
    from rich.text import Text

    has_reused, has_failed = any(step.reused for step in steps), any(step.failed for step in steps)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column(" step")
    for title in ("done", *(["reused"] if has_reused else []), *(["failed"] if has_failed else []), "time"):
        table.add_column(title, justify="right")
    for step in steps:
        if step.done or step.failed or step.running:
            cells = [f" {harmless(step.step)}", f"{step.done:,}" if step.done == step.known else f"{step.done:,} of {step.known:,}"]
            cells += [f"{step.reused:,}" if step.reused else ""] if has_reused else []
            failed = [Text(f"{step.failed:,}", "red") if step.failed else Text("")] if has_failed else []
            table.add_row(*map(Text, cells), *failed, Text(duration(pace.seconds(step.step, now))))
    return table


def _is_done(standing: StepProgress | None) -> bool:
    return standing is not None and 0 < standing.known <= standing.done and not standing.running


def _count(standing: StepProgress) -> str:
    if standing.reused == standing.done:
        return "reused" if standing.done == 1 else f"{standing.done:,} reused"
    count = "" if standing.done == 1 else counted(standing.done, "task")
    return f"{count}, {standing.reused:,} reused" if standing.reused else count


def _activity(standing: StepProgress) -> str:
    parts = [f"{standing.running:,} running" if standing.known > 1 else "running"] if standing.running else []
    if standing.failed:
        parts.append(f"{standing.failed:,} failed" if standing.known > 1 else "failed")
    return ", ".join(parts)


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def _dim(text: str) -> RenderableType:
    from rich.text import Text

    return Text(text, "dim")
