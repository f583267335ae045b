"""The tasks that a task led to: the other direction of `Lineage.parents_of`."""

from __future__ import annotations

from rayflow.client.attempts import exists
from rayflow.client.roots import RunHandle
from rayflow.model.indexes import TaskKey


def children_of(handle: RunHandle, key: TaskKey) -> list[TaskKey]:
    """The tasks that `key` led to and of which something is known: all splits of a foreach, the arm that a switch took, the next lap.
    A foreach over nothing led straight to its join."""
    opened, graph = handle.opened, handle.record.graph
    view = opened.view
    segment = view.find(key.step, key.index, key.lap)
    if segment is None:
        return []
    node = graph[key.step]
    targets = node.targets
    if segment.taken is not None:
        targets = (segment.taken.at(segment.indices.values.index(key.index)),)
    found: list[TaskKey] = []
    if node.is_foreach:
        splits = view.children(key.step, key.index)
        found = [TaskKey(target, split) for target in targets for split in splits]
        targets = (node.joined_by,) if not splits and node.joined_by is not None else ()
    for target in targets:
        index = view.project(node.space, key.index, graph[target].space)
        found.append(TaskKey(target, index, key.lap + 1 if target == key.step else 0))
    return [child for child in found if exists(opened, child)]
