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
        """What was held back of a task, without the lines of the traceback that is told otherwise."""
        told = set(traceback.split("\n"))
        lines = self._lines.pop(str(label), [])
        return [said for said in lines if not traceback or (said.text not in told and not _FAILED.match(said.text))]
