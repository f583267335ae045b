"""What a failing task writes to its stderr is held back: its traceback is told better by the failure's own notice."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rayflow.runtime.notices import TaskLabel, TaskSaid

_FAILED = re.compile(r"<flow \w+ step .*> failed:$")


@dataclass
class Held:
    """Lines of stderr, by task, from `<flow ...> failed:` on."""

    _lines: dict[str, list[TaskSaid]] = field(default_factory=dict[str, list[TaskSaid]], init=False)

    def takes(self, notice: TaskSaid) -> bool:
        """Whether the line is held back. Keeps it then."""
        task = str(notice.label)
        if not notice.is_error or not (task in self._lines or _FAILED.match(notice.text)):
            return False
        self._lines.setdefault(task, []).append(notice)
        return True

    def released(self, label: TaskLabel, traceback: str = "") -> list[TaskSaid]:
        """What was held back of a task, without the lines of the failure whose traceback is told otherwise."""
        lines = self._lines.pop(str(label), [])
        if not traceback:
            return lines
        told = {line.strip() for line in traceback.split("\n")}
        return [said for before, said in zip([None, *lines], lines, strict=False) if not _is_of(traceback, told, said.text, before)]


def _is_of(traceback: str, told: set[str], line: str, before: TaskSaid | None) -> bool:
    """Whether a line is one of the failure: of its traceback or, where an error of ours says it, its headline or its message."""
    if _FAILED.match(line) or line.strip() in told:
        return True
    if not line.startswith("    "):
        return False
    is_headline = before is not None and _FAILED.match(before.text) is not None and line.endswith(":")
    return is_headline or line.strip() in traceback
