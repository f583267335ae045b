"""The static shape of a flow. Built by `rayflow.flow.parse`, checked by `rayflow.flow.lint`, followed by the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rayflow.model.indexes import ROOT_SPACE


class NodeKind(str, Enum):
    """What a step does with control. The values are the names that Metaflow users know."""

    START = "start"
    LINEAR = "linear"
    SPLIT = "split"
    FOREACH = "foreach"
    SWITCH = "split-switch"
    JOIN = "join"
    END = "end"


@dataclass(frozen=True, slots=True)
class SplitFrame:
    """One enclosing split of a step: the step that split, and through which of its branches this step is reached.

    `branch` is the position among the split's targets for a static split, and 0 for a foreach.
    """

    step: str
    is_foreach: bool
    branch: int = 0


@dataclass(frozen=True)
class Node:
    """A step as its source describes it.

    `targets` are the steps that `self.next` names, in its order (a switch: the distinct targets in order of its cases).
    `sources` are the steps that lead here, in the flow's order of definition. `frames` are the enclosing splits,
    outermost first: a join's are those that remain open after it. `branches_expected` is, for a join, the number
    of branches of the split it closes (1 for a foreach); 0 otherwise.

    What only the lint rules ask: `argument_count` (with `self`), the annotations `@step(start=True)` and `@step(end=True)`,
    `is_parallel` (the step has `@parallel`), `next_line` (of its `self.next`, 0 where it ends without one) and
    `malformed_next` (what cannot be understood about it, empty where nothing).

    `source` is a digest of the step's code without comments: whether a resume performs what its origin did. Empty where it is not known.
    """

    name: str
    kind: NodeKind
    line: int
    file: str
    doc: str = ""
    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    frames: tuple[SplitFrame, ...] = ()
    foreach: str | None = None
    num_parallel: bool = False
    condition: str | None = None
    cases: tuple[tuple[Any, str], ...] = ()
    takes_inputs: bool = False
    joins: str | None = None
    joined_by: str | None = None
    branches_expected: int = 0
    node_info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    argument_count: int = 1
    is_annotated_start: bool = False
    is_annotated_end: bool = False
    is_parallel: bool = False
    next_line: int = 0
    malformed_next: str = ""
    source: str = ""

    @property
    def type(self) -> str:
        """The kind by its public name."""
        return self.kind.value

    @property
    def out_funcs(self) -> list[str]:
        """`targets` by the name that Metaflow users know."""
        return list(self.targets)

    @property
    def in_funcs(self) -> list[str]:
        """`sources` by the name that Metaflow users know."""
        return list(self.sources)

    @property
    def is_join(self) -> bool:
        return self.joins is not None

    @property
    def is_foreach(self) -> bool:
        """Whether this step fans out over an iterable or to a gang."""
        return self.foreach is not None or self.num_parallel

    @property
    def is_static_split(self) -> bool:
        return len(self.targets) > 1 and self.condition is None

    @property
    def is_switch(self) -> bool:
        return self.condition is not None

    @property
    def is_loop(self) -> bool:
        """Whether the step may repeat itself: a switch with itself among its cases."""
        return self.name in self.targets

    @property
    def space(self) -> str:
        """The innermost foreach step that encloses this one; `ROOT_SPACE` outside every foreach."""
        for frame in reversed(self.frames):
            if frame.is_foreach:
                return frame.step
        return ROOT_SPACE

    def branch_of(self, split: str) -> int:
        """Through which branch of `split` this step is reached; KeyError when `split` does not enclose it."""
        for frame in self.frames:
            if frame.step == split:
                return frame.branch
        raise KeyError(split)


@dataclass(frozen=True)
class Graph:
    """All steps of a flow, in topological order from the start step (ties in order of definition)."""

    flow_name: str
    nodes: Mapping[str, Node]
    start: str
    end: str
    file: str = ""
    doc: str = ""

    def __getitem__(self, step: str) -> Node:
        return self.nodes[step]

    def __contains__(self, step: object) -> bool:
        return step in self.nodes

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def parent_space(self, space: str) -> str:
        """The space that encloses the fan-out of foreach step `space`."""
        return self.nodes[space].space

    def body(self, space: str) -> tuple[str, ...]:
        """The steps whose tasks live in `space`, in the graph's order. Joins of its fan-out live in the parent space."""
        return tuple(node.name for node in self if node.space == space)

    def is_gang(self, step: str) -> bool:
        """Whether the tasks of the step run together, as the nodes of gangs."""
        space = self.nodes[step].space
        return space != ROOT_SPACE and self.nodes[space].num_parallel

    def descendants(self, step: str) -> frozenset[str]:
        """Every step that can run after `step` because of it; without `step` itself unless it loops."""
        found: set[str] = set()
        queue = [step]
        while queue:
            for target in self.nodes[queue.pop()].targets:
                if target not in found:
                    found.add(target)
                    queue.append(target)
        return frozenset(found)
