"""The graph of a flow class, read from the source of its steps. Never complains about its shape: that is `lint`'s part."""

from __future__ import annotations

import ast
import hashlib
import heapq
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import FunctionType

from rayflow.flow.members import step_functions
from rayflow.flow.nextcall import NextCall, next_call
from rayflow.flow.source import Sources
from rayflow.flow.step import StepMark, mark_of
from rayflow.model.graph import Graph, Node, NodeKind, SplitFrame

Frames = tuple[SplitFrame, ...]


@dataclass(frozen=True)
class Arrival:
    """One way into a step: from `source`, with these splits open. None is the source of the start step."""

    source: str | None
    frames: Frames


def parse(flow_class: type) -> Graph:
    """The static shape of the flow. A `UserError` where the source of a step cannot be read.

    Where the shape breaks the rules the graph still holds every step: `start` and `end` are empty where they are not clear, steps
    in a cycle or out of reach come last, and a step that is reached with different splits open has the frames of the first.
    """
    sources = Sources()
    functions = step_functions(flow_class)
    steps = {name: _read(name, function, sources) for name, function in functions.items()}
    start = _terminal(steps, "start", [node.name for node in steps.values() if node.is_annotated_start])
    end = _terminal(steps, "end", [node.name for node in steps.values() if node.is_annotated_end])
    steps = _connected(steps, start, end)
    return Graph(
        flow_name=flow_class.__name__,
        nodes=_framed({name: steps[name] for name in _topological(steps, start)}, start),
        start=start,
        end=end,
        file=_file_of(flow_class, steps),
        doc=inspect.cleandoc(flow_class.__doc__ or ""),
    )


def arrivals(nodes: Mapping[str, Node], start: str) -> dict[str, list[Arrival]]:
    """All ways into each step. `nodes` are in topological order; edges that point back in it (loops) are left out."""
    found: dict[str, list[Arrival]] = {name: [] for name in nodes}
    if start in nodes:
        found[start].append(Arrival(None, ()))
    passed: set[str] = set()
    for name, node in nodes.items():
        passed.add(name)
        opened = {arrival.frames[:-1] if node.takes_inputs else arrival.frames for arrival in found[name]}
        for frames in sorted(opened, key=lambda frames: [(frame.step, frame.branch) for frame in frames]):
            for branch, target in enumerate(node.targets):
                if target in nodes and target not in passed:
                    found[target].append(Arrival(name, (*frames, *_opened(node, branch))))
    return found


def _opened(node: Node, branch: int) -> Frames:
    if node.is_foreach:
        return (SplitFrame(node.name, True),)
    if node.is_static_split:
        return (SplitFrame(node.name, False, branch),)
    return ()


def _read(name: str, function: FunctionType, sources: Sources) -> Node:
    """The step on its own, before it is known where it stands."""
    tree = sources.tree_of(function)
    mark = mark_of(function) or StepMark()
    call = next_call(tree) or NextCall(line=0)
    count = len(tree.args.posonlyargs) + len(tree.args.args)
    return Node(
        name=name,
        kind=NodeKind.LINEAR,
        line=tree.lineno,
        file=inspect.unwrap(function).__code__.co_filename,
        doc=inspect.cleandoc(function.__doc__ or ""),
        targets=call.targets,
        foreach=call.foreach,
        num_parallel=call.num_parallel,
        condition=call.condition,
        cases=call.cases,
        takes_inputs=count == 2,
        node_info=mark.node_info,
        argument_count=count,
        is_annotated_start=mark.is_start,
        is_annotated_end=mark.is_end,
        is_parallel=any(decorator.name == "parallel" for decorator in mark.decorators),
        next_line=call.line,
        malformed_next=call.malformed,
        source=hashlib.blake2b(ast.unparse(tree).encode(), digest_size=8).hexdigest(),
    )


def _terminal(steps: Mapping[str, Node], default: str, annotated: Sequence[str]) -> str:
    """The start or end step: the one that is annotated, else the one of that name, else the only one; empty where unclear."""
    if annotated:
        return annotated[0] if len(annotated) == 1 else ""
    if default in steps:
        return default
    return next(iter(steps)) if len(steps) == 1 else ""


def _connected(steps: Mapping[str, Node], start: str, end: str) -> dict[str, Node]:
    sources: dict[str, list[str]] = {name: [] for name in steps}
    for node in steps.values():
        for target in dict.fromkeys(node.targets):
            if target in sources:
                sources[target].append(node.name)
    return {
        name: replace(node, sources=tuple(sources[name]), kind=_kind(node, is_start=name == start, is_end=name == end))
        for name, node in steps.items()
    }


def _kind(node: Node, *, is_start: bool, is_end: bool) -> NodeKind:
    if node.is_switch:
        return NodeKind.SWITCH
    if node.is_foreach:
        return NodeKind.FOREACH
    if node.is_static_split:
        return NodeKind.SPLIT
    if node.takes_inputs:
        return NodeKind.JOIN
    if is_end:
        return NodeKind.END
    return NodeKind.START if is_start else NodeKind.LINEAR


def _topological(steps: Mapping[str, Node], start: str) -> list[str]:
    """Every step once: those that follow from the start in order, then (cycles, out of reach) the rest as defined."""
    place = {name: position for position, name in enumerate(steps)}
    found = reached(steps, start)
    waiting = {name: sum(1 for source in steps[name].sources if source in found and source != name) for name in found}
    ready = [place[name] for name, count in waiting.items() if not count]
    heapq.heapify(ready)
    names = list(steps)
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for target in dict.fromkeys(steps[name].targets):
            if target in waiting and target != name:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, place[target])
    done = set(order)
    return order + [name for name in steps if name not in done]


def reached(steps: Mapping[str, Node], start: str) -> set[str]:
    """The steps that can be reached from `start`, itself among them."""
    found: set[str] = set()
    queue = [start] if start in steps else []
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(target for target in steps[name].targets if target in steps)
    return found


def _framed(nodes: Mapping[str, Node], start: str) -> dict[str, Node]:
    """The nodes with their place among splits and joins."""
    framed: dict[str, Node] = {}
    joined_by: dict[str, str] = {}
    ways = arrivals(nodes, start)
    for name, node in nodes.items():
        frames = ways[name][0].frames if ways[name] else ()
        if node.takes_inputs and frames:
            split = nodes[frames[-1].step]
            joined_by.setdefault(split.name, name)
            branches = 1 if split.is_foreach else len(split.targets)
            framed[name] = replace(node, frames=frames[:-1], joins=split.name, branches_expected=branches)
        else:
            framed[name] = replace(node, frames=frames)
    return {name: replace(node, joined_by=joined_by.get(name)) for name, node in framed.items()}


def _file_of(flow_class: type, steps: Mapping[str, Node]) -> str:
    """The file of the class itself, by its own steps where it has some."""
    own = [node.file for name, node in steps.items() if name in vars(flow_class)]
    inherited = [node.file for node in steps.values()]
    return next(iter([*own, *inherited]), "")
