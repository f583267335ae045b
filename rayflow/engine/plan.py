"""A dry run: what a resume would take over, what it would run, and why. The scheduler itself, with nothing launched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rayflow.engine.scheduler import Scheduler
from rayflow.model.commands import Reuse
from rayflow.model.graph import Graph
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Segment


@dataclass(frozen=True, slots=True)
class Planned:
    """Tasks that would be launched first, since all their inputs are there."""

    step: str
    indices: IndexSet
    lap: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`later` names the steps of which (more) tasks would run once others have, each with its reason."""

    reused: tuple[Reuse, ...]
    ready: tuple[Planned, ...]
    later: Mapping[str, str]


def plan(graph: Graph, reusable: Iterable[Segment], rerun: frozenset[str] = frozenset()) -> Plan:
    """What a resume from `reusable` would do."""
    scheduler = Scheduler(graph, {}, reusable=reusable, rerun=rerun, is_resume=True, max_workers=0)
    commands = scheduler.start(0.0)
    ready = [
        Planned(name, chunk.indices, chunk.kind.lap, chunk.kind.why)
        for name, state in scheduler.states.items()
        for chunk in state.queue.chunks()
    ]
    running = {planned.step for planned in ready}
    later: dict[str, str] = {}
    for node in graph:
        causes = [source for source in node.sources if source != node.name and (source in running or source in later)]
        if causes:
            later[node.name] = f"follows {causes[0]!r}"
    return Plan(tuple(command for command in commands if isinstance(command, Reuse)), tuple(ready), later)
