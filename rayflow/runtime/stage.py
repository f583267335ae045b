"""One step as a batch performs it: what its tasks have in common, and the rows of those that are done and not yet reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.engine.chains import goes_on
from rayflow.flow.transition import Transition
from rayflow.model.commands import Batch
from rayflow.model.graph import Node
from rayflow.model.indexes import ROOT_SPACE, IndexSet, Lane
from rayflow.model.records import Failure, Row, Status, Taken
from rayflow.model.reports import OWN, RowsDone
from rayflow.runtime.bind import StepContext
from rayflow.runtime.session import Session
from rayflow.runtime.shared import Shared
from rayflow.store.packs import RowsEncoder


@dataclass(slots=True)
class Attempt:
    """One attempt as it went: how it ended, where it went, what it stores."""

    started_us: int
    seconds: float = 0.0
    failure: Failure | None = None
    transition: Transition | None = None
    artifacts: dict[str, Any] = field(default_factory=dict[str, Any])
    is_caught: bool = False


class Stage:
    """The tasks of one lane of a batch: its own, or one into which it goes on."""

    def __init__(self, session: Session, shared: Shared, batch: Batch, lane: Lane, context: StepContext) -> None:
        self.lane = lane
        self.context = context
        self.node: Node = context.node
        self.spec = shared.specs[lane.step]
        self.function = getattr(session.flow_class, lane.step)
        self.is_own = lane == batch.lane
        self.is_lone = self.node.space == ROOT_SPACE
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
        self._indices: list[int] = []
        self._targets: list[str] = []
        self._counts: list[int] = []
        self._rows: list[Row] = []
        self._busy_s = 0.0
        self._caught = 0

    def follower(self, transition: Transition | None) -> Lane | None:
        """The lane of the task that this worker performs next, after one that took this transition; None where it goes no further."""
        target = self._linear or (transition.targets[0] if transition is not None else None)
        if target is None or target not in self._followers:
            return None
        return Lane(target, self.lane.lap + 1 if target == self.lane.step else 0, self.lane.step)

    def add(self, index: int, attempt: int, tried: Attempt, spans: tuple[int, int, int, int]) -> Mapping[str, object]:
        """Takes the row of a task of a fan-out into the next report; returns what is kept of its artifacts: scalars, and descriptions.
        ArtifactUnserializable, and nothing is added, where one cannot be stored."""
        status = Status.CAUGHT if tried.is_caught else Status.OK
        kept = self.encoder.add(index, attempt, tried.started_us, tried.seconds, status, 0, *spans, tried.artifacts)
        self._note(index, tried)
        return kept

    def add_row(self, index: int, tried: Attempt, row: Row) -> None:
        """The same for a lone task."""
        self._rows.append(row)
        self._note(index, tried)

    def _note(self, index: int, tried: Attempt) -> None:
        self._indices.append(index)
        self._busy_s += tried.seconds
        if tried.is_caught:
            self._caught += 1
        if self.notes_where and tried.transition is not None:
            if self.node.is_switch:
                self._targets.append(tried.transition.targets[0])
            if self.node.is_foreach:
                self._counts.append(tried.transition.count or 0)

    def report(self, batch_id: int, node: str, log: str | None, spent_s: float, slowest_s: float) -> RowsDone | None:
        """What is done since the last report; None where that is nothing."""
        if not self._indices:
            return None
        report = RowsDone(
            batch_id=batch_id,
            indices=IndexSet.of(self._indices),
            rows=tuple(self._rows),
            columns=None if self.is_lone else self.encoder.flush(os.getpid(), node, log),
            taken=_taken(self._targets) if self.node.is_switch else None,
            counts=tuple(self._counts) if self.node.is_foreach else None,
            busy_s=self._busy_s,
            spent_s=spent_s if self.is_own else 0.0,
            slowest_s=slowest_s if self.is_own else 0.0,
            caught=self._caught,
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
