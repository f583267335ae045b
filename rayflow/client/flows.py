"""`Rayflow` and `Flow`: what is under a root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from rayflow.catalog.index import IndexEntry
from rayflow.client.base import Container, local_time, reference
from rayflow.client.finding import STATES, Wanted, holds, matching
from rayflow.client.html import MOST_ROWS, card, stage, table, when
from rayflow.client.roots import Root
from rayflow.client.runs import Run
from rayflow.client.session import current_root, get_namespace
from rayflow.client.tags import Tags
from rayflow.model.errors import RayflowNotFound, UserError
from rayflow.model.records import Outcome

_NO_TAGS = Tags(frozenset(), frozenset())


class Flow(Container[Run]):
    """The runs of one flow, `Flow('MyFlow')`. In a namespace where at least one of them is."""

    _form = "FlowName"

    def _look(self) -> None:
        if not self._root.has(self.id):
            raise self._not_found()
        self._root.tags(self.id).look()

    @property
    def _tags(self) -> Tags:
        return _NO_TAGS

    @property
    def parent(self) -> None:
        return None

    def is_in_namespace(self) -> bool:
        return self._namespace is None or next(iter(self), None) is not None

    @property
    def created_at(self) -> datetime | None:
        """When its first run was started; naive local time."""
        entries = list(self._root.runs(self.id))
        return local_time(entries[-1].created_us) if entries else None

    @property
    def latest_run(self) -> Run | None:
        """The newest run in the namespace; None without one."""
        return next(iter(self), None)

    @property
    def latest_successful_run(self) -> Run | None:
        """The newest run in the namespace whose end step succeeded; None without one."""
        succeeded = matching(self._entries(), Wanted(states=frozenset({Outcome.SUCCEEDED.value})))
        return next((run for run in succeeded if holds(run, lambda each: each.successful)), None)

    def runs(
        self,
        *tags: str,
        state: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Iterator[Run]:
        """The runs in the namespace that have all of `tags`, newest first, found as they are asked for. `state` is one of `Run.state`,
        `since` and `until` bound when they were started (the former included; local time, where none is said), `parameters` must have
        these values: texts, numbers, or what reads like them."""
        if state is not None and state not in STATES:
            raise UserError(f"There is no state '{state}'. The states of a run are: {', '.join(STATES)}.")
        texts = {name: value if isinstance(value, str) else repr(value) for name, value in (parameters or {}).items()}
        begin, end = (int(moment.timestamp() * 1e6) if moment is not None else None for moment in (since, until))
        return matching(self._entries(), Wanted(frozenset(tags), frozenset({state} if state else ()), begin, end, texts))

    def __iter__(self) -> Iterator[Run]:
        return (run for run, _ in self._entries())

    def _entries(self) -> Iterator[tuple[Run, IndexEntry]]:
        for entry in self._root.runs(self.id):
            run = self._to(Run, self.id, entry.run_id)
            if holds(run, Run.is_in_namespace):
                yield run, entry

    def _child(self, name: str) -> Run:
        return self._checked(Run, self.id, name)

    def _html(self) -> str:
        found = list(islice(self._entries(), MOST_ROWS + 1))
        rows = [
            (run.id, stage(entry.outcome), when(local_time(entry.created_us)), ", ".join(sorted(run.user_tags)))
            for run, entry in found[:MOST_ROWS]
        ]
        more = "and older ones" if len(found) > MOST_ROWS else ""
        return card(
            str(self), [("root", self._root.url)], table(("run", "state", "started", "tags"), rows, more=more) or "<div>no runs</div>"
        )


class Rayflow:
    """The flows under the root that is looked at, those with the newest runs first."""

    def __init__(self) -> None:
        self._root: Root = current_root()
        self._namespace = get_namespace()

    @property
    def flows(self) -> list[Flow]:
        """The flows with a run in the current namespace."""
        return list(self)

    def __iter__(self) -> Iterator[Flow]:
        newest: list[tuple[int, str]] = []
        for name in self._root.flows():
            entry = next(self._root.runs(name), None)
            if entry is not None:
                newest.append((entry.created_us, name))
        for _, name in sorted(newest, reverse=True):
            flow = reference(Flow, self._root, (name,), self._namespace)
            if flow.is_in_namespace():
                yield flow

    def __getitem__(self, name: str) -> Flow:
        try:
            return Flow(name)
        except RayflowNotFound:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return any(flow.id == name for flow in self)

    def __str__(self) -> str:
        return "Rayflow()"

    def __repr__(self) -> str:
        return str(self)

    def _ipython_key_completions_(self) -> list[str]:
        return [flow.id for flow in self]
