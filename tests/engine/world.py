"""A run as its journal and its tasks see it: what the conductor, the store and the workers would hold, in a few dicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rayflow.model.indexes import Fanout, IndexSet
from rayflow.model.records import Segment, Taken

from .flows import Each, Flow, Linear, Split, Switch
from .oracle import Place, repeats, task_value

Key = tuple[str, int, int]
"""Step, flat index, lap."""


def constructs(items: Iterable[object]) -> dict[str, object]:
    """All constructs of a tree, by the name of their first step."""
    found: dict[str, object] = {}
    for item in items:
        found[item.name] = item
        inner: tuple[object, ...] = ()
        if isinstance(item, Split):
            inner = tuple(piece for branch in item.branches for piece in branch)
        elif isinstance(item, Each):
            inner = item.body
        elif isinstance(item, Switch):
            inner = tuple(piece for arm in item.arms for piece in arm)
        found.update(constructs(inner))
    return found


@dataclass
class Run:
    """One run: its committed segments, and the values of its tasks."""

    id: str
    flow: Flow
    versions: dict[str, int] = field(default_factory=dict)
    values: dict[Key, int] = field(default_factory=dict)
    reused: set[Key] = field(default_factory=set)
    journal: list[Segment] = field(default_factory=list)
    last_lap: dict[tuple[str, int], int] = field(default_factory=dict)
    opened: dict[tuple[str, int], range] = field(default_factory=dict)
    parents: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    ids: dict[tuple[str, int], Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.constructs = constructs(self.flow.tree)

    def inputs(self, key: Key, parent: str | None) -> list[Key]:
        """The tasks whose artifacts this one starts from, in order. KeyError or ValueError where one is not there yet."""
        step, index, lap = key
        graph = self.flow.graph
        node = graph[step]
        if parent is None:
            assert step == graph.start
            return []
        if node.joins is not None:
            assert parent == node.joins
            if graph[node.joins].is_foreach:
                return [self._arm(node.sources, child, node.joins, 0) for child in self.opened[node.joins, index]]
            return [self._arm(node.sources, index, node.joins, branch) for branch in range(node.branches_expected)]
        if lap:
            assert parent == step
            return [(step, index, lap - 1)]
        above = self.parents[parent, index][0] if graph[parent].is_foreach else index
        return [(parent, above, self.last_lap[parent, above])]

    def causes(self, key: Key, parent: str | None) -> list[Key]:
        """As `inputs`; the split itself where a join has none."""
        return self.inputs(key, parent) or ([] if parent is None else [(parent, key[1], 0)])

    def _arm(self, sources: Iterable[str], index: int, split: str, branch: int) -> Key:
        graph = self.flow.graph
        arms = [s for s in sources if s == split or graph[s].branch_of(split) == branch]
        (found,) = [(s, index, 0) for s in arms if (s, index, 0) in self.values]
        return found

    def path(self, step: str, index: int) -> tuple[int, ...]:
        """The position in each enclosing foreach."""
        space = self.flow.graph[step].space
        if not space:
            return ()
        parent, position = self.parents[space, index]
        return (*self.path(space, parent), position)

    def place(self, key: Key) -> Place:
        return (key[0], self.path(key[0], key[1]), key[2])

    def value(self, key: Key, parent: str | None) -> int:
        """What the task computes from the committed values of its inputs."""
        inputs = [self.values[source] for source in self.inputs(key, parent)]
        return task_value(self.place(key), self.versions.get(key[0], 0), inputs)

    def outcome(self, step: str, lap: int, values: list[int]) -> tuple[Taken | None, list[int] | None]:
        """The cases that tasks with these values take, and the numbers of splits that they open."""
        node = self.flow.graph[step]
        construct = self.constructs.get(step)
        if isinstance(construct, Each):
            return None, [construct.counts[value % len(construct.counts)] for value in values]
        if isinstance(construct, Switch):
            return Taken(node.targets, bytes(value % len(construct.arms) for value in values)), None
        if node.is_loop:
            codes = bytes(0 if repeats(value, lap) else 1 for value in values)
            return Taken(node.targets, None if any(codes) and len(node.targets) == 1 else codes), None
        assert construct is None or isinstance(construct, (Linear, Split)) or step not in node.targets
        return None, None

    def commit(self, segment: Segment, values: list[int], is_reused: bool) -> None:
        """Appends to the journal; AssertionError where a task is committed a second time."""
        self.journal.append(segment)
        for index, value in zip(segment.indices, values, strict=True):
            key = (segment.step, index, segment.lap)
            assert key not in self.values, f"{key} was committed twice"
            self.values[key] = value
            self.last_lap[segment.step, index] = segment.lap
            if is_reused:
                self.reused.add(key)
        if segment.fanout is not None:
            self._open(segment.fanout, segment.indices)

    def _open(self, fanout: Fanout, done: IndexSet) -> None:
        body = self.flow.graph.body(fanout.step)
        for position, parent in enumerate(fanout.parents):
            if parent in done:
                self.opened[fanout.step, parent] = fanout.children_at(position)
                for child in fanout.children_at(position):
                    assert (fanout.step, child) not in self.parents, f"index {child} of {fanout.step!r} means two things"
                    self.parents[fanout.step, child] = (parent, child - fanout.children_at(position).start)
                    for k, step in enumerate(body):
                        task_id = fanout.first_id + k * fanout.total + child - fanout.base
                        assert self.ids.setdefault((step, task_id), (step, child, 0)) == (step, child, 0)
                        assert task_id > len(self.flow.graph.body(""))

    def by_place(self) -> dict[Place, int]:
        return {self.place(key): value for key, value in self.values.items()}
