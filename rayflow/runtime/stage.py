"""One step as a batch performs it: what its tasks have in common, and the rows of those that are done and not yet reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from rayflow.engine.chains import goes_on
from rayflow.flow.current import TaskContext
from rayflow.flow.transition import Transition, check_taken
from rayflow.model.commands import Batch
from rayflow.model.graph import Node
from rayflow.model.indexes import ROOT_SPACE, IndexSet, Lane
from rayflow.model.records import Failure, Row, Status, Taken
from rayflow.model.reports import OWN, RowsDone
from rayflow.runtime.bind import StepContext
from rayflow.runtime.session import Session
from rayflow.runtime.shared import Shared
from rayflow.store.packs import RowsEncoder

_MAX_CHECKED = 64
_OK, _CAUGHT = Status.OK, Status.CAUGHT  # a member of an enumeration costs 60 ns to look up


class Attempt:
    """One attempt as it went: how it ended, where it went, what it stores. (A dataclass takes twice the time to make.)"""

    __slots__ = ("artifacts", "failure", "is_caught", "seconds", "started_us", "transition")

    def __init__(self, started_us: int) -> None:
        self.started_us = started_us
        self.seconds = 0.0
        self.failure: Failure | None = None
        self.transition: Transition | None = None
        self.artifacts: dict[str, Any] = {}
        self.is_caught = False


class Stage:
    """The tasks of one lane of a batch: its own, or one into which it goes on."""

    def __init__(self, session: Session, shared: Shared, batch: Batch, lane: Lane, context: StepContext) -> None:
        self.lane = lane
        self.context = context
        self.node: Node = context.node
        self.spec = shared.specs[lane.step]
        body = getattr(session.flow_class, lane.step)
        self.function = body
        if wrappers := (*self.spec.wrappers, *self.spec.secrets):
            from rayflow.flow.wrapping import wrapped

            self.function = wrapped(body, wrappers, self.node, session.flow_class)
        self.is_own = lane == batch.lane
        self.batch_id = batch.id
        self.keeps_rows = self.node.space == ROOT_SPACE or batch.is_gang
        self.is_plain = not self.node.takes_inputs and not self.spec.timeout_s
        self.caught_name = self.spec.catch.var if self.spec.catch is not None else None
        self.task = TaskContext(session.run_context, lane.step, "")
        self.checked: dict[int, Transition] = {}
        self.following: dict[str, Stage | None] = {}
        self.notes_where = self.node.is_switch or self.node.is_foreach
        steps = list(shared.record.graph.nodes)
        self.order = (steps.index(lane.step), lane.lap)
        self.progress = (OWN, 0) if self.is_own else self.order
        graph, specs = shared.record.graph, shared.specs
        self._followers = {target for target in self.node.targets if batch.goes_on and goes_on(graph, specs, lane.step, target)}
        self.goes_on = bool(self._followers)
        self._linear = next(iter(self._followers)) if len(self.node.targets) == 1 and self._followers else None
        self.encoder = RowsEncoder(session.blobs.put)
        self.forget()

    def forget(self) -> None:
        """Begins the next report."""
        self._targets: list[str] = []
        self._counts: list[int] = []
        self._lone: list[tuple[int, Row]] = []

    def check(self, taken: Transition | None) -> None:
        """Raises `InvalidNextException` where a task went elsewhere than its source says. Most tasks of a step take one transition, the
        very object (see `decide`): it is looked at once."""
        if id(taken) not in self.checked:
            check_taken(self.node, taken)
            if taken is not None and taken.count is None and len(self.checked) < _MAX_CHECKED:
                self.checked[id(taken)] = taken

    def follower(self, transition: Transition | None, stage_of: Callable[[Lane], Stage]) -> Stage | None:
        """The stage of the task that this worker performs next, after one that took this transition; None where it goes no further."""
        target = self._linear or (transition.targets[0] if transition is not None else "")
        if target in self.following:
            return self.following[target]
        found = None
        if target in self._followers:
            found = stage_of(Lane(target, self.lane.lap + 1 if target == self.lane.step else 0, self.lane.step))
        self.following[target] = found
        return found

    def add(self, index: int, attempt: int, tried: Attempt, spans: tuple[int, int, int, int]) -> Mapping[str, object]:
        """Takes the row of a task of a fan-out into the next report; returns what is kept of its artifacts: scalars, and descriptions.
        ArtifactUnserializable, and nothing is added, where one cannot be stored."""
        status = _CAUGHT if tried.is_caught else _OK
        kept = self.encoder.add(index, attempt, tried.started_us, tried.seconds, status, 0, *spans, tried.artifacts)
        if self.notes_where:
            self._note_where(tried.transition)
        return kept

    def add_row(self, index: int, tried: Attempt, row: Row) -> None:
        """The same for a lone task, or a node of a gang: their rows are in the journal."""
        self._lone.append((index, row))
        if self.notes_where:
            self._note_where(tried.transition)

    def _note_where(self, transition: Transition | None) -> None:
        if transition is None:
            return
        if self.node.is_switch:
            self._targets.append(transition.targets[0])
        if self.node.is_foreach:
            self._counts.append(transition.count or 0)

    def last(self, index: int) -> RowsDone:
        """What will be reported of a lone task that was added just now."""
        taken = _taken(self._targets) if self.node.is_switch else None
        return RowsDone(self.batch_id, IndexSet.single(index), rows=(self._lone[-1][1],), taken=taken)

    def report(self, node: str, log: str | None, spent_s: float, slowest_s: float) -> RowsDone | None:
        """What is done since the last report; None where that is nothing."""
        indices = [index for index, _ in self._lone] if self.keeps_rows else self.encoder.indices
        if not indices:
            return None
        rows = tuple(row for _, row in self._lone)
        report = RowsDone(
            batch_id=self.batch_id,
            indices=IndexSet.of(indices),
            rows=rows,
            taken=_taken(self._targets) if self.node.is_switch else None,
            counts=tuple(self._counts) if self.node.is_foreach else None,
            busy_s=sum(row.seconds for row in rows) if self.keeps_rows else self.encoder.busy_s,
            spent_s=spent_s if self.is_own else 0.0,
            slowest_s=slowest_s if self.is_own else 0.0,
            caught=sum(row.status is _CAUGHT for row in rows) if self.keeps_rows else self.encoder.caught,
            columns=None if self.keeps_rows else self.encoder.flush(os.getpid(), node, log),
            lane=None if self.is_own else self.lane,
        )
        self.forget()
        return report


def _taken(targets: list[str]) -> Taken:
    names = tuple(dict.fromkeys(targets))
    if len(names) == 1:
        return Taken(names)
    code = {name: number for number, name in enumerate(names)}
    return Taken(names, bytes(code[target] for target in targets))
