"""`Trigger`: what started a run, as `current.trigger` and `Run.trigger` tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rayflow.client.base import utc_time


class RayflowEvent(NamedTuple):
    """What happened: a flow finished ("rayflow.<Flow>.<end step>", its end task's pathspec), or something that another system told.
    `timestamp` is naive and in UTC."""

    name: str
    id: str
    timestamp: datetime
    type: str = "event"


class Trigger:
    """The events that started a run, the newest first. Iterates over them; `trigger["Flow"]` is the run of that flow."""

    def __init__(self, facts: Sequence[Mapping[str, Any]], open_run: Callable[[str], Any]) -> None:
        self._facts = facts
        self._open = open_run

    @property
    def events(self) -> list[RayflowEvent]:
        """All events."""
        found = [RayflowEvent(fact["name"], fact["id"], utc_time(fact["at_us"]), fact["type"]) for fact in self._facts]
        return sorted(found, key=lambda event: event.timestamp, reverse=True)

    @property
    def event(self) -> RayflowEvent | None:
        """The newest event."""
        return next(iter(self.events), None)

    @property
    def runs(self) -> list[Any] | None:
        """The runs whose end started this one, the newest first; None where there are none."""
        found = [self._open("/".join(event.id.split("/")[:2])) for event in self.events if event.type == "run"]
        return found or None

    @property
    def run(self) -> Any:
        """The newest of `runs`."""
        return next(iter(self.runs or ()), None)

    def __iter__(self) -> Iterator[RayflowEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self._facts)

    def __getitem__(self, name: str) -> Any:
        """The run of flow `name`, or the event of that name. KeyError where there is none."""
        for event in self.events:
            if event.type == "run" and event.id.partition("/")[0] == name:
                return self._open("/".join(event.id.split("/")[:2]))
            if event.name == name:
                return event
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(event.name == name or (event.type == "run" and event.id.partition("/")[0] == name) for event in self.events)
