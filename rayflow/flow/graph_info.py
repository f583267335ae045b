"""`_graph_info`: the graph as plain data, which is stored with a run and shown by `current.graph` and `output-raw`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

from rayflow.flow.decorators import kind_of
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.flowdecorators import FlowDecorator
from rayflow.model.graph import Graph, Node
from rayflow.model.spec import StepDecorator


def graph_info(definition: FlowDefinition) -> dict[str, Any]:
    """The description of the flow: texts, numbers, lists and dictionaries with text keys only."""
    graph = definition.graph
    return {
        "file": os.path.basename(definition.script_path),
        "start_step": graph.start,
        "end_step": graph.end,
        "parameters": [{"name": name, "type": type(parameter).__name__} for name, parameter in definition.parameters.items()],
        "constants": [{"name": name, "type": type(value).__name__} for name, value in definition.constants.items()],
        "steps": {node.name: _step(node, definition.specs[node.name].decorators) for node in graph},
        "graph_structure": graph_structure(graph),
        "doc": graph.doc,
        "decorators": [_flow_decorator(decorator) for decorator in definition.decorators],
        "extensions": {},
    }


def graph_structure(graph: Graph) -> list[Any]:
    """The steps in order; after a split, the list of its branches, each such a list. For graphs that obey the rules."""
    return _chain(graph, graph.start, "", _meeting_points(graph))


def _chain(graph: Graph, first: str, stop: str, meets: Mapping[str, str]) -> list[Any]:
    chain: list[Any] = []
    step = first
    while step and step != stop:
        node = graph[step]
        chain.append(step)
        if node.joined_by or node.is_switch:
            meet = node.joined_by or meets[step]
            chain.append([_chain(graph, target, meet, meets) for target in node.targets if target != step])
            step = meet
        else:
            step = node.targets[0] if node.targets else ""
    return chain


def _meeting_points(graph: Graph) -> dict[str, str]:
    """For each switch, the first step that all of its arms come to; empty where they end apart.

    A step's certain successors are those common to all of its targets; the graph's order puts the nearest first.
    """
    certain: dict[str, set[str]] = {}
    for node in reversed(list(graph)):
        ways = [certain[target] | {target} for target in node.targets if target in certain]
        certain[node.name] = set[str].intersection(*ways) if ways else set()
    return {node.name: next((step for step in graph.nodes if step in certain[node.name]), "") for node in graph if node.is_switch}


def _step(node: Node, decorators: tuple[StepDecorator, ...]) -> dict[str, Any]:
    step: dict[str, Any] = {
        "name": node.name,
        "type": _public_type(node),
        "line": node.line,
        "source_file": node.file,
        "doc": node.doc,
        "decorators": [_decorator(decorator) for decorator in decorators],
        "next": list(node.targets),
        "node_info": plain(node.node_info),
    }
    if node.foreach is not None:
        step["foreach_artifact"] = node.foreach
    if node.num_parallel:
        step["num_parallel"] = True
    if node.is_switch:
        step["condition"] = node.condition
        step["switch_cases"] = {str(case): target for case, target in node.cases}
    if node.joined_by:
        step["matching_join"] = node.joined_by
    return step


def _public_type(node: Node) -> str:
    if node.num_parallel:
        return "split-parallel"
    return {"split": "split-static", "foreach": "split-foreach"}.get(node.type, node.type)


def _decorator(decorator: StepDecorator) -> dict[str, Any]:
    return {
        "name": decorator.name,
        "attributes": {} if kind_of(decorator.name).is_secret else plain(decorator.attributes),
        "statically_defined": decorator.is_static,
        "inserted_by": decorator.inserted_by,
    }


def _flow_decorator(decorator: FlowDecorator) -> dict[str, Any]:
    return {
        "name": decorator.name,
        "attributes": plain(decorator.attributes),
        "statically_defined": decorator.inserted_by is None,
        "inserted_by": decorator.inserted_by,
    }


def plain(value: object) -> Any:
    """The value in what JSON knows: mappings with text keys, lists, text for everything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in cast(Mapping[object, object], value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in cast(list[object], value)]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(part) for part in cast(set[object], value)), key=str)
    return str(value)
