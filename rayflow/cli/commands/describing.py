"""Commands about the flow itself: nothing is run, nothing is stored."""

from __future__ import annotations

import json
import pprint
from collections.abc import Iterator, Mapping
from typing import Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.options import stated
from rayflow.model.graph import Graph, Node


def check_command(flow_call: FlowCall) -> click.Command:
    def run(**_: Any) -> None:
        check(flow_call, stated(click.get_current_context()))

    warnings = click.Option(["--warnings"], is_flag=True, help="Accepted for Metaflow's sake; every finding is an error here.")
    return click.Command("check", callback=run, params=[warnings], help="Check that the flow is valid; nothing is run.")


def check(flow_call: FlowCall, options: Mapping[str, Any]) -> None:
    """Raises the first problem of the graph or of the decorators; else says so, and what to do next."""
    flow_call.greet(options)
    validate(flow_call, options)
    if not options.get("quiet"):
        program = f"{flow_call.call.prompt.program} {{}} {' '.join(flow_call.call.prompt.flow_words)}"
        for verb, effect in (
            ("show", "shows a description of this flow"),
            ("run", "runs it"),
            ("help", "shows all commands and options"),
        ):
            flow_call.say(f"'{program.format(verb).strip()}' {effect}.")


def validate(flow_call: FlowCall, options: Mapping[str, Any]) -> None:
    """The checks of `check`, which precede every run."""
    from rayflow.flow.flowdecorators import project_of
    from rayflow.flow.lint import check as check_graph

    is_quiet = options.get("quiet")
    if not is_quiet:
        flow_call.say("Validating your flow...")
    check_graph(flow_call.definition.graph)
    definition = flow_call.decorated(options.get("with", ()))
    project = project_of(definition.decorators, flow_call.call.surroundings.user, options.get("branch"), bool(options.get("production")))
    if not is_quiet and project is not None:
        flow_call.say(f"Project: {project.name}, Branch: {project.branch}")
    if not is_quiet:
        flow_call.say("    The graph looks good!")


def show_command(flow_call: FlowCall) -> click.Command:
    def run(**_: Any) -> None:
        options = stated(click.get_current_context())
        flow_call.greet(options)
        definition = flow_call.decorated(options["with"])
        if definition.doc:
            flow_call.say(f"\n{definition.doc.strip()}\n")
        for node in definition.graph:
            decorators = definition.specs[node.name].decorators
            click.echo("\n".join([*(f"@{decorator.name}" for decorator in decorators), *_told(node)]) + "\n", file=flow_call.call.out)

    return click.Command("show", callback=run, help="Show the structure of the flow: its steps, what they are for, where they lead.")


def _told(node: Node) -> Iterator[str]:
    yield f"Step {click.style(node.name, bold=True)}"
    yield from (f"    {line.strip()}" for line in (node.doc.strip() or "?").split("\n"))
    if node.targets:
        yield f"    => {', '.join(node.targets)}"


def output_raw_command(flow_call: FlowCall) -> click.Command:
    def run(json: bool) -> None:
        flow_call.greet(stated(click.get_current_context()))
        _output_raw(flow_call, is_json=json)

    option = click.Option(["--json"], is_flag=True, help="As JSON.")
    return click.Command("output-raw", callback=run, params=[option], help="Write the flow's graph as data, for programs.")


def _output_raw(flow_call: FlowCall, *, is_json: bool) -> None:
    from rayflow.flow.graph_info import graph_info
    from rayflow.flow.lint import check as check_graph

    check_graph(flow_call.definition.graph)  # a structure exists for valid graphs only
    described = graph_info(flow_call.definition)
    graph = {"graph": described["steps"], "graph_structure": described["graph_structure"]}
    click.echo(json.dumps(graph, indent=4) if is_json else pprint.pformat(graph, width=110, sort_dicts=False), file=flow_call.call.out)


def output_dot_command(flow_call: FlowCall) -> click.Command:
    def run(**_: Any) -> None:
        flow_call.greet(stated(click.get_current_context()))
        for line in dot(flow_call.definition.graph):
            click.echo(line, file=flow_call.call.out)

    return click.Command("output-dot", callback=run, help="Write the flow's graph for Graphviz: pipe it to `dot -Tpng -o graph.png`.")


def dot(graph: Graph) -> Iterator[str]:
    """The graph in the language of Graphviz. Switches are hexagons, their edges carry the cases."""
    yield f"digraph {graph.flow_name} {{"
    yield "rankdir=LR;"
    for node in graph:
        shape = "hexagon" if node.is_switch else "record"
        yield f'"{node.name}" [label=<<b>{node.name}</b> | <font point-size="10">{node.type}</font>> fontname="Helvetica" shape="{shape}"];'
    for node in graph:
        if node.is_switch:
            for case, target in node.cases:
                yield f'"{node.name}" -> "{target}" [label={json.dumps(str(case))} fontname="Helvetica" fontsize="10"];'
        else:
            yield from (f'"{node.name}" -> "{target}";' for target in node.targets)
    yield "}"


def version_command(flow_call: FlowCall) -> click.Command:
    def run(**_: Any) -> None:
        from rayflow import __version__

        flow_call.greet(stated(click.get_current_context()))
        click.echo(__version__, file=flow_call.call.out)

    return click.Command("version", callback=run, help="Show the version of rayflow.")


def help_command(flow_call: FlowCall) -> click.Command:
    def run(**_: Any) -> None:
        ctx = click.get_current_context()
        click.echo((ctx.parent or ctx).get_help(), file=flow_call.call.out)

    return click.Command("help", callback=run, help="Show all commands and options.")
