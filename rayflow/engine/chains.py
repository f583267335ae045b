"""Which steps a worker performs in one go: a split's next ones, where they need nothing else.

The one relation that the scheduler (which then expects them of the batch) and the worker (which performs them) must agree on.
"""

from __future__ import annotations

from collections.abc import Mapping

from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE
from rayflow.model.spec import StepSpec


def goes_on(graph: Graph, specs: Mapping[str, StepSpec], step: str, target: str) -> bool:
    """Whether the worker of a task of `step` also performs the task of `target` that it leads to: one of the same foreach, which waits for
    no other task and has the same needs. So linear steps, the arms of a switch and laps of a loop; not what a split opens, nor a join.

    Never outside a foreach: lone tasks are committed, and seen, one by one.
    """
    before, after = graph[step], graph[target]
    if before.space == ROOT_SPACE or after.space != before.space or after.is_join:
        return False
    if before.is_foreach or before.is_static_split or before.num_parallel:
        return False
    ours, theirs = specs.get(step, StepSpec()), specs.get(target, StepSpec())
    if ours.is_isolated or theirs.is_isolated:
        return False
    return (ours.resources, ours.environment, ours.python) == (theirs.resources, theirs.environment, theirs.python)


def can_go_on(graph: Graph, specs: Mapping[str, StepSpec], step: str) -> bool:
    """Whether any task can follow one of `step` in the same go."""
    return any(goes_on(graph, specs, step, target) for target in graph[step].targets)
