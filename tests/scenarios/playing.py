"""How a scenario runs a flow, and what it can ask afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rayflow.client import Run, Task
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.records import Failure
from rayflow.runtime.launch import RunResult, Settings, run_flow
from rayflow.runtime.notices import Notice, RunEnded, TaskSaid, Warned
from rayflow.testing.flows import opened

EXECUTORS = ("inline", "process", "ray")
_SETTINGS = {each.name for each in fields(Settings)}

cannot = pytest.mark.cannot
"""`@cannot(executor, why)` above a scenario."""

not_on_buckets = pytest.mark.not_on_buckets
"""`@not_on_buckets(why)` above a scenario that is one of a directory."""


def line_of(module: ModuleType, text: str) -> int:
    """The number of the first line of a module's source that has the text."""
    lines = Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@dataclass
class Recorder:
    """A Reporter that keeps what it is told; `on_tell` may look while the run goes on."""

    notices: list[Notice] = field(default_factory=list)
    on_tell: Callable[[Notice], None] | None = None

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)
        if self.on_tell is not None:
            self.on_tell(notice)


@dataclass
class Played:
    """A run that is over."""

    result: RunResult
    run: Run
    notices: list[Notice]

    @property
    def data(self) -> Any:
        """The artifacts of the end step."""
        return self.run.data

    @property
    def outcome(self) -> str:
        return self.result.outcome.value

    @property
    def failure(self) -> Failure:
        """Why the run failed."""
        ended = next(notice for notice in self.notices if isinstance(notice, RunEnded))
        assert ended.failure is not None, f"the run {ended.outcome.value}"
        return ended.failure

    @property
    def warnings(self) -> list[str]:
        return [notice.text for notice in self.notices if isinstance(notice, Warned)]

    @property
    def said(self) -> list[str]:
        """What lone tasks printed, as it was told while they ran."""
        return [notice.text for notice in self.notices if isinstance(notice, TaskSaid)]

    def tasks(self, step: str) -> list[Task]:
        """The tasks of a step in index order."""
        return list(self.run[step])[::-1]

    def each(self, step: str, name: str) -> list[Any]:
        """The artifact `name` of each task of a step, in index order."""
        return [getattr(task.data, name) for task in self.tasks(step)]


@dataclass
class Stage:
    """Where flows are played: a root of its own, on one executor; `always` are fields of `Settings`."""

    root: str
    executor: str
    always: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self,
        flow_class: type[FlowSpec],
        *,
        decospecs: tuple[str, ...] = (),
        on_tell: Callable[[Notice], None] | None = None,
        fails: bool = False,
        **given: Any,
    ) -> Played:
        """Runs the flow to its end. `given` are parameters, and fields of `Settings`. The run succeeds, unless it `fails`."""
        recorder = Recorder(on_tell=on_tell)
        settings = {name: value for name, value in given.items() if name in _SETTINGS}
        params = {name: value for name, value in given.items() if name not in _SETTINGS}
        wanted = Settings(**{"root": self.root, "executor": self.executor, "user": "ada", **self.always, **settings})
        result = run_flow(define(flow_class, tuple(decospecs)), params, wanted, recorder)
        played = Played(result, opened(self.root, result), recorder.notices)
        if (played.outcome == "succeeded") is fails:
            ended = next(notice for notice in recorder.notices if isinstance(notice, RunEnded))
            pytest.fail(f"{flow_class.__name__} {played.outcome}: {ended.failed} {ended.failure}")
        return played
