"""Random flows: a tree of constructs (what the oracle evaluates) and the Graph that rayflow sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from rayflow.model.graph import Graph, Node, NodeKind, SplitFrame


@dataclass(frozen=True)
class Linear:
    name: str


@dataclass(frozen=True)
class Split:
    """Static branches, each a sequence, and their join."""

    name: str
    branches: tuple[Sequence_, ...]
    join: str


@dataclass(frozen=True)
class Each:
    """A foreach over a body, and its join. `counts` are the sizes that it may have (a task's value chooses). `is_gang`: its splits are the
    nodes of a gang."""

    name: str
    body: Sequence_
    join: str
    counts: tuple[int, ...]
    is_gang: bool = False


@dataclass(frozen=True)
class Switch:
    """One of the arms runs (an empty arm jumps ahead); they meet again in step `meet`, or in the join that follows."""

    name: str
    arms: tuple[Sequence_, ...]
    meet: str | None


@dataclass(frozen=True)
class Loop:
    """A step that repeats itself, then goes on to `after`."""

    name: str
    after: str


Construct = Linear | Split | Each | Switch | Loop
Sequence_ = tuple[Construct, ...]


@dataclass(frozen=True)
class Flow:
    tree: Sequence_
    graph: Graph


@dataclass
class _Drawer:
    """Draws constructs until `budget` steps are used."""

    rng: Random
    budget: int
    names: count = field(default_factory=count)

    def name(self, prefix: str) -> str:
        self.budget -= 1
        return f"{prefix}{next(self.names)}"

    def sequence(self, depth: int, before_join: bool) -> Sequence_:
        items = [self.construct(depth, False) for _ in range(self.rng.choice((0, 0, 1, 1, 2)))]
        return (*items, self.construct(depth, before_join))

    def construct(self, depth: int, before_join: bool) -> Construct:
        kinds = ("linear",) if self.budget < 4 or depth > 3 else ("linear", "split", "each", "each", "switch", "loop")
        kind = self.rng.choice(kinds)
        if kind == "split":
            branches = tuple(self.sequence(depth + 1, True) for _ in range(self.rng.choice((2, 2, 3))))
            return Split(self.name("split"), branches, self.name("join"))
        if kind == "each" and self.rng.random() < 0.2:
            return Each(
                self.name("gang"), (Linear(self.name("node")),), self.name("join"), self.rng.choice(((1, 2, 3), (4,))), is_gang=True
            )
        if kind == "each":
            counts = self.rng.choice(((0, 1, 2, 3), (3,), (0, 2), (1, 5), (12, 9) if depth == 0 else (2,)))
            return Each(self.name("each"), self.sequence(depth + 1, True), self.name("join"), counts)
        if kind == "switch":
            meet = None if before_join and self.rng.random() < 0.5 else self.name("meet")
            arms = tuple(self.sequence(depth + 1, meet is None) for _ in range(2))
            if meet is not None and self.rng.random() < 0.3:
                arms = (arms[0], ())
            return Switch(self.name("switch"), arms, meet)
        if kind == "loop":
            return Loop(self.name("loop"), self.name("after"))
        return Linear(self.name("step"))


def random_flow(rng: Random) -> Flow:
    """A flow of some 3 to 20 steps."""
    drawer = _Drawer(rng, rng.choice((4, 8, 12, 16)))
    body: list[Construct] = []
    while drawer.budget > 0:
        body.append(drawer.construct(0, False))
    return flow_of(*body)


def flow_of(*body: Construct) -> Flow:
    """The flow start -> body -> end."""
    tree = (Linear("start"), *body, Linear("end"))
    nodes: dict[str, Node] = {}
    _wire(tree, None, (), nodes)
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for target in node.targets:
            sources[target].append(node.name)
    linked = {name: replace(node, sources=tuple(sources[name])) for name, node in nodes.items()}
    return Flow(tree, Graph("Random", {name: linked[name] for name in _topological(linked)}, "start", "end"))


def _first(item: Construct) -> str:
    return item.name


def _wire(items: Sequence_, then: str | None, frames: tuple[SplitFrame, ...], nodes: dict[str, Node]) -> None:
    """Adds the nodes of a sequence of which the last leads to `then`."""
    for position, item in enumerate(items):
        follower = _first(items[position + 1]) if position + 1 < len(items) else then
        nexts = () if follower is None else (follower,)
        match item:
            case Linear(name=name):
                _add(nodes, name, nexts, frames)
            case Split(name=name, branches=branches, join=join):
                _add(nodes, name, tuple(_first(branch[0]) for branch in branches), frames, joined_by=join)
                for number, branch in enumerate(branches):
                    _wire(branch, join, (*frames, SplitFrame(name, False, number)), nodes)
                _add(nodes, join, nexts, frames, joins=name, takes_inputs=True, branches_expected=len(branches))
            case Each(name=name, body=body, join=join, is_gang=is_gang):
                sort = {"num_parallel": True} if is_gang else {"foreach": "items"}
                _add(nodes, name, (_first(body[0]),), frames, joined_by=join, **sort)
                _wire(body, join, (*frames, SplitFrame(name, True)), nodes)
                _add(nodes, join, nexts, frames, joins=name, takes_inputs=True, branches_expected=1)
            case Switch(name=name, arms=arms, meet=meet):
                after = meet or follower
                targets = tuple(_first(arm[0]) if arm else str(after) for arm in arms)
                _add(nodes, name, targets, frames, condition="case")
                for arm in arms:
                    _wire(arm, after, frames, nodes)
                if meet is not None:
                    _add(nodes, meet, nexts, frames)
            case Loop(name=name, after=after):
                _add(nodes, name, (name, after), frames, condition="case")
                _add(nodes, after, nexts, frames)


def _add(nodes: dict[str, Node], name: str, targets: tuple[str, ...], frames: tuple[SplitFrame, ...], **facts: object) -> None:
    nodes[name] = Node(name, NodeKind.LINEAR, line=1, file="flow.py", targets=targets, frames=frames, **facts)


def _topological(nodes: dict[str, Node]) -> list[str]:
    order: list[str] = []
    missing = {name: sum(source != name for source in node.sources) for name, node in nodes.items()}
    ready = ["start"]
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in nodes[name].targets:
            missing[target] -= target != name
            if target != name and missing[target] == 0:
                ready.append(target)
    return order
