"""`run` and `resume`: options become Settings, a Reporter is chosen, and the runtime does the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.commands.describing import validate
from rayflow.cli.options import launch_options, shared_options, stated, without
from rayflow.cli.suggest import listed, nearest
from rayflow.model.errors import UsageError
from rayflow.runtime.notices import Reporter


def run_command(flow_call: FlowCall) -> click.Command:
    """`run`, with the flow's Parameters first. An option of ours whose name a Parameter has stays available before the command."""
    from rayflow.flow.parameters import ParameterContext
    from rayflow.flow.resolve import click_options, given_values

    def run(**_: Any) -> None:
        ctx = click.get_current_context()
        options = stated(ctx)
        given = given_values(ctx)

        def launch(reporter: Reporter) -> int:
            definition = flow_call.decorated(options["with"])
            settings = flow_call.call.surroundings.settings(options)
            return flow_call.call.run_flow(definition, given, settings, reporter).exit_code

        ctx.exit(_launched(flow_call, options, launch))

    definition = flow_call.definition
    context = ParameterContext(flow_name=definition.name, user_name=flow_call.call.surroundings.user)
    parameters = click_options(definition, context)
    taken = {parameter.name.lower() for parameter in definition.parameters.values()}
    own = [
        *launch_options(),
        click.Option(["--namespace"], metavar="TAG", help="What the client sees inside the run. Empty: everything. Default: user:<you>."),
        click.Option(["--run-id"], metavar="ID", help="Continue this unfinished run with the same code and parameters, or name a new one."),
        *shared_options(),
    ]
    return click.Command("run", callback=run, params=[*parameters, *without(own, taken)], help="Run the flow.")


def resume_command(flow_call: FlowCall) -> click.Command:
    def run(step: str | None, origin_run_id: str | None, fork: bool, **_: Any) -> None:
        ctx = click.get_current_context()
        options = stated(ctx)
        _check_step(flow_call, step)

        def launch(reporter: Reporter) -> int:
            definition = flow_call.decorated(options["with"])
            settings = flow_call.call.surroundings.settings(options)
            origin = _run_id(settings.root, origin_run_id, definition.name)
            result = flow_call.call.resume_flow(definition, settings, reporter, origin_run_id=origin, step=step, is_fork=fork)
            return result.exit_code

        ctx.exit(_launched(flow_call, options, launch))

    own: list[click.Parameter] = [
        click.Argument(["step"], required=False),
        click.Option(["--origin-run-id"], metavar="RUN", help="The run to continue. Default: your newest run or resume of this flow."),
        click.Option(["--fork"], is_flag=True, help="Branch off: others may continue the same run too."),
        click.Option(["--run-id"], metavar="ID", hidden=True, help="The id of the new run; given by schedulers."),
    ]
    description = "Continue an earlier run in a new one: what is done is taken over, the rest is run. With STEP: that and what follows."
    return click.Command("resume", callback=run, params=[*own, *launch_options(), *shared_options()], help=description)


def _run_id(root_url: str, text: str | None, flow: str) -> str | None:
    """The id of the run that was named, in any of the forms that commands take."""
    from rayflow.cli.locating import run_named

    return None if text is None else run_named(root_url, text, flow).run_id


def _check_step(flow_call: FlowCall, step: str | None) -> None:
    steps = list(flow_call.definition.graph.nodes)
    if step is not None and step not in steps:
        hint = nearest(step, steps)
        raise UsageError(f"Cannot resume from '{step}': invalid step name.{hint} Valid step names include: {listed(steps)}.")


def _launched(flow_call: FlowCall, options: Mapping[str, Any], launch: Callable[[Reporter], int]) -> int:
    call = flow_call.call
    if options.get("root") and _is_on_command_line("root"):
        call = replace(call, prompt=replace(call.prompt, root=options["root"]))
    is_live = call.is_live and not options["quiet"] and not options["json"]
    if not is_live:
        flow_call.greet(options)
    validate(flow_call, {**options, "quiet": options["quiet"] or is_live})
    if is_live:
        return _live(replace(flow_call, call=call), options, launch)
    if options["json"]:
        from rayflow.cli.reporting.jsonlines import JsonReporter

        return launch(JsonReporter(call.out))
    from rayflow.cli.reporting.plain import PlainReporter

    return launch(PlainReporter(call.out, call.err, call.prompt))


def _live(flow_call: FlowCall, options: Mapping[str, Any], launch: Callable[[Reporter], int]) -> int:
    from rich.console import Console

    from rayflow import __version__
    from rayflow.cli.reporting.live import LiveReporter

    console = Console(file=flow_call.call.err, markup=False, emoji=False, highlight=False)
    facts = options["address"] or "" if options["executor"] in (None, "auto", "ray") else options["executor"]
    reporter = LiveReporter(console, flow_call.call.prompt, facts=facts, version=__version__)
    try:
        return launch(reporter)
    finally:
        reporter.close()


def _is_on_command_line(name: str) -> bool:
    from click.core import ParameterSource

    ctx: click.Context | None = click.get_current_context()
    while ctx is not None:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            return True
        ctx = ctx.parent
    return False
