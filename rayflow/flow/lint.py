"""The rules that a graph obeys, one function each. A message names the step, its place, and the way out.

`check` raises for the first broken rule in the order of `RULES`; later rules may take the earlier ones for granted, but none of
them fails on a graph that breaks them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rayflow.flow.parse import Arrival, arrivals, reached
from rayflow.model.errors import LintWarn
from rayflow.model.graph import Graph, Node

_RESERVED = ("name", "next", "input", "index", "cmd")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_FORMS = (
    "self.next(self.a) to go on, self.next(self.a, self.b) to split, self.next(self.a, foreach='items') to fan out over an artifact, "
    "self.next(self.a, num_parallel=N) for a gang, self.next({'x': self.a, 'y': self.b}, condition='artifact') to choose"
)

Rule = Callable[[Graph], Iterator[LintWarn]]


def check(graph: Graph) -> None:
    """Raises the first problem, in the order of the rules."""
    for rule in RULES:
        for problem in rule(graph):
            raise problem


def problems(graph: Graph) -> list[LintWarn]:
    """All problems, in the order of the rules. One mistake may break several."""
    return [problem for rule in RULES for problem in rule(graph)]


def _problem(node: Node, message: str, line: int = 0) -> LintWarn:
    return LintWarn(message, line=line or node.line, file=node.file)


def no_reserved_names(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.name in _RESERVED:
            yield _problem(node, f"Step name '{node.name}' is a reserved word. Choose another; reserved are: {', '.join(_RESERVED)}.")


def one_start_and_end(graph: Graph) -> Iterator[LintWarn]:
    for word, found, annotated in (
        ("start", graph.start, [node for node in graph if node.is_annotated_start]),
        ("end", graph.end, [node for node in graph if node.is_annotated_end]),
    ):
        if len(annotated) > 1:
            names = ", ".join(node.name for node in annotated)
            message = f"Multiple steps annotated with @step({word}=True): {names}. Leave the annotation on one of them."
            yield _problem(annotated[1], message)
        elif not found:
            message = f"A flow must have exactly one {word} step, and {graph.flow_name} has none. Name a step '{word}' or mark it with"
            yield LintWarn(f"{message} @step({word}=True).", file=graph.file or None)


def no_ambiguous_terminals(graph: Graph) -> Iterator[LintWarn]:
    for word, found in (("start", graph.start), ("end", graph.end)):
        if found and found != word and word in graph:
            message = f"Ambiguous {word} step: '{found}' is annotated with @step({word}=True), and another step is named '{word}'."
            yield _problem(graph[word], f"{message} Rename that one or remove the annotation.")


def terminals_are_terminal(graph: Graph) -> Iterator[LintWarn]:
    if graph.start and graph[graph.start].sources:
        node = graph[graph.start]
        yield _problem(node, f"The start step '{node.name}' has incoming transitions from {_listed(node.sources)}. Nothing may lead to it.")
    if graph.end and graph[graph.end].targets:
        node = graph[graph.end]
        message = f"The end step '{node.name}' has outgoing transitions to {_listed(node.targets)}. Nothing may follow it"
        yield _problem(node, f"{message}: remove its self.next().", node.next_line)


def end_just_ends(graph: Graph) -> Iterator[LintWarn]:
    if not graph.end:
        return
    node = graph[graph.end]
    if node.next_line:
        yield _problem(node, f"The end step '{node.name}' should not have a self.next() transition. Remove it.", node.next_line)
    if node.takes_inputs:
        message = f"The terminal step '{node.name}' should not be a join step: it takes a second parameter."
        yield _problem(node, f"{message} Add a join before it, and leave it only `self`.")


def names_are_plain(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if not _NAME.fullmatch(node.name):
            message = f"Step '{node.name}' has an invalid name. Only lowercase ascii letters, digits and underscores are allowed"
            yield _problem(node, f"{message}, and no underscore at the beginning.")


def arguments_are_self_and_inputs(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.argument_count > 2:
            message = f"Step '{node.name}' has too many arguments ({node.argument_count}). Write `self`, and `inputs` in a join"
            yield _problem(node, f"{message}; everything else is an artifact or a Parameter.")
        if node.argument_count == 0:
            yield _problem(node, f"Step '{node.name}' is missing the 'self' argument. Write `def {node.name}(self):`.")


def joins_do_not_split(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.takes_inputs and (node.is_foreach or node.is_switch or node.is_static_split):
            message = f"Step '{node.name}' is both a join step (it takes a second parameter) and a split step (it leads to several tasks)."
            yield _problem(node, f"{message} Add a step after it which splits.")


def steps_end_with_next(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.name != graph.end and not node.next_line:
            message = f"Step '{node.name}' is missing a self.next() transition to the next step. It is the last statement of the step,"
            yield _problem(node, f"{message} not within an `if` or a `for`: self.next(self.<step>).")


def next_is_well_formed(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.malformed_next:
            message = f"Step '{node.name}' specifies an invalid self.next() transition: {node.malformed_next}. Supported forms: {_FORMS}."
            yield _problem(node, message, node.next_line)


def targets_exist(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        for target in node.targets:
            if target not in graph:
                message = f"Step '{node.name}' specifies a self.next() transition to an unknown step, '{target}'."
                yield _problem(node, f"{message} Add a method of that name with @step, or correct the name.", node.next_line)


def no_cycles(graph: Graph) -> Iterator[LintWarn]:
    cycle = _cycle(graph)
    if cycle:
        node = graph[cycle[0]]
        message = f"There is a loop in your flow: {'->'.join(cycle)}. Only a step that chooses (condition=...) may lead back, and only to"
        yield _problem(node, f"{message} itself; use a foreach or a `for` within a step.", node.next_line)


def steps_are_reachable(graph: Graph) -> Iterator[LintWarn]:
    found = reached(graph.nodes, graph.start)
    for node in graph:
        if graph.start and node.name not in found:
            message = f"Step '{node.name}' is unreachable from the entry step '{graph.start}'. Lead to it with self.next(self.{node.name})"
            yield _problem(node, f"{message} in an earlier step, or remove it.")


def splits_are_joined(graph: Graph) -> Iterator[LintWarn]:
    for arrival in _arrivals(graph).get(graph.end, []):
        if arrival.frames and not graph[graph.end].takes_inputs:
            splits = ", ".join(dict.fromkeys(frame.step for frame in arrival.frames))
            message = (
                f"Step '{graph.end}' was reached before a split started at step(s) {splits} were joined (by way of '{arrival.source}')."
            )
            yield _problem(graph[graph.end], f"{message} Add a join before it: a step `def join(self, inputs)`.")


def joins_get_all_branches(graph: Graph) -> Iterator[LintWarn]:
    found = _arrivals(graph)
    closed_by: dict[str, str] = {}
    for node in graph:
        splits = _splits_closed(node, found)
        if len(splits) != 1:
            continue
        split = graph[splits[0]]
        first = closed_by.setdefault(split.name, node.name)
        if first != node.name:
            complaint = f"the branches of '{split.name}' lead to the join '{first}' as well. All of them lead to one join"
        else:
            complaint = _wrong_branches(split, found[node.name])
        if complaint:
            sources = ", ".join(node.sources)
            message = f"Step '{node.name}' is a join (it takes a second parameter) but an incorrect number of steps ({sources}) lead to it:"
            yield _problem(node, f"{message} {complaint}.")


def joins_follow_splits(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.takes_inputs and any(not arrival.frames for arrival in _arrivals(graph)[node.name]):
            message = f"Step '{node.name}' is a join (it takes a second parameter) but it is not preceded by a split."
            yield _problem(node, f"{message} Leave it only `self`, or split before it.")


def joins_close_one_split(graph: Graph) -> Iterator[LintWarn]:
    found = _arrivals(graph)
    for node in graph:
        splits = _splits_closed(node, found)
        if len(splits) > 1:
            message = (
                f"Step '{node.name}' joins steps from unrelated splits: {', '.join(splits)}. Join the inner one first, in a step of its"
            )
            yield _problem(node, f"{message} own.")


def switches_have_cases(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.is_switch and len(node.cases) < 2:
            message = (
                f"Switch splits must define at least 2 transitions, and step '{node.name}' has {len(node.cases)}. Add a case, or write"
            )
            yield _problem(node, f"{message} self.next(self.<step>).", node.next_line)


def foreach_has_a_body(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        for target in node.targets:
            if node.is_foreach and target in graph and graph[target].takes_inputs:
                message = f"Step '{node.name}' is a foreach split that has no children: it leads directly to the join '{target}'."
                yield _problem(node, f"{message} Add a step between them, which is performed for each element.", node.next_line)


def gangs_are_parallel(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        for target in node.targets:
            if node.num_parallel and target in graph and not graph[target].is_parallel:
                message = f"Step '{target}' is called with num_parallel by '{node.name}' but it does not have a @parallel decorator."
                yield _problem(graph[target], f"{message} Add it above @step.")


def gangs_are_joined(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        targets = [graph[target] for target in node.targets if target in graph]
        if node.is_parallel and not (len(targets) == 1 and targets[0].takes_inputs):
            message = f"The @parallel step '{node.name}' should be followed by a join step: one that takes a second parameter."
            yield _problem(node, message, node.next_line)


def parallel_steps_are_gangs(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        if node.is_parallel and not (node.sources and all(graph[source].num_parallel for source in node.sources)):
            message = f"The @parallel step '{node.name}' is not called with self.next(num_parallel=...). Call it with"
            yield _problem(node, f"{message} self.next(self.{node.name}, num_parallel=N), or remove @parallel.")


def switches_do_not_join(graph: Graph) -> Iterator[LintWarn]:
    for node in graph:
        for target in node.targets:
            if node.is_switch and target in graph and graph[target].takes_inputs:
                message = f"A conditional path cannot lead directly to a join step, as from '{node.name}' to '{target}'."
                yield _problem(node, f"{message} Insert a step between them.", node.next_line)


RULES: tuple[Rule, ...] = (
    no_reserved_names,
    one_start_and_end,
    no_ambiguous_terminals,
    terminals_are_terminal,
    end_just_ends,
    names_are_plain,
    arguments_are_self_and_inputs,
    joins_do_not_split,
    steps_end_with_next,
    next_is_well_formed,
    targets_exist,
    no_cycles,
    steps_are_reachable,
    joins_close_one_split,
    joins_get_all_branches,
    joins_follow_splits,
    splits_are_joined,
    switches_have_cases,
    foreach_has_a_body,
    gangs_are_parallel,
    gangs_are_joined,
    parallel_steps_are_gangs,
    switches_do_not_join,
)


def _arrivals(graph: Graph) -> dict[str, list[Arrival]]:
    return arrivals(graph.nodes, graph.start)


def _splits_closed(node: Node, found: dict[str, list[Arrival]]) -> list[str]:
    """The splits that a join closes, one where it is right; none for other steps."""
    innermost = (arrival.frames[-1].step for arrival in found[node.name] if arrival.frames)
    return list(dict.fromkeys(innermost)) if node.takes_inputs else []


def _wrong_branches(split: Node, ways: list[Arrival]) -> str:
    """What is wrong with the ways from `split` into its join; empty where nothing is."""
    if split.is_foreach:
        return ""
    branches = {arrival.frames[-1].branch for arrival in ways if arrival.frames}
    missing = [target for branch, target in enumerate(split.targets) if branch not in branches]
    if missing:
        return f"the branch(es) {_listed(missing)} of the split '{split.name}' do not come here. Lead each of them here"
    if any(arrival.source == split.name for arrival in ways):
        return f"a branch of the split '{split.name}' has no steps. Add a step between the split and the join"
    for arrival in ways:
        if len({other.frames[-1].branch for other in ways if other.frames and other.source == arrival.source}) > 1:
            return f"branches of the split '{split.name}' meet already before '{arrival.source}'. Give each branch steps of its own"
    return ""


def _cycle(graph: Graph) -> list[str]:
    """The steps of a forbidden loop, the first one again at the end; empty where there is none."""
    done: set[str] = set()
    for root in graph.nodes:
        path: list[str] = []
        ways = [iter([root])]
        while ways:
            step = next(ways[-1], None)
            if step is None:
                ways.pop()
                done.update(path[-1:])
                del path[-1:]
            elif step in path:
                if not (step == path[-1] and graph[step].is_switch):
                    return [*path[path.index(step) :], step]
            elif step in graph and step not in done:
                path.append(step)
                ways.append(iter(graph[step].targets))
    return []


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
