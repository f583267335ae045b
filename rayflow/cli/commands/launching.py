"""`run` and `resume`: options become Settings, a Reporter is chosen, and the runtime does the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.commands.describing import validate
from rayflow.cli.commands.showing import live_reporter
from rayflow.cli.commands.submitting import submission_options, submitted
from rayflow.cli.options import is_on_command_line, launch_options, shared_options, stated, without
from rayflow.cli.suggest import listed, nearest
from rayflow.model.errors import RayflowNotFound, UsageError
from rayflow.runtime.notices import Reporter
from rayflow.runtime.settings import Settings

if TYPE_CHECKING:
    from rayflow.flow.definition import FlowDefinition
    from rayflow.runtime.launch import Recorded

_RESUME_HELP = "Continue an earlier run in a new one: what is done is taken over, the rest is run. With STEP: that and what follows."


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

        ctx.exit(launched(flow_call, options, launch))

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
    """`resume [STEP]` with the code at hand."""

    def run(step: str | None, origin_run_id: str | None, **_: Any) -> None:
        ctx = click.get_current_context()
        ctx.exit(_resumed(flow_call, stated(ctx), step, origin_run_id))

    step = click.Argument(["step"], required=False)
    origin = click.Option(["--origin-run-id"], metavar="RUN", help="The run to continue. Default: your newest run or resume of this flow.")
    return click.Command("resume", callback=run, params=[step, origin, *_resume_options()], help=_RESUME_HELP)


def stored_resume_command(call: Call) -> click.Command:
    """`rayflow resume RUN [STEP]` with the code that is stored with the run."""

    def run(run: str, step: str | None, **_: Any) -> None:
        from rayflow.cli.locating import run_named
        from rayflow.cli.target import load_stored_flow

        ctx = click.get_current_context()
        options = stated(ctx)
        root_url = call.surroundings.root(options.get("root"))
        named = run_named(root_url, run)
        flow_class, code = load_stored_flow(root_url, named.flow, named.run_id)
        ctx.exit(_resumed(FlowCall(call, flow_class), {**options, "code": options["code"] or code}, step, named.run_id))

    arguments = [click.Argument(["run"], metavar="RUN | FLOW.py"), click.Argument(["step"], required=False)]
    return click.Command("resume", callback=run, params=[*arguments, *_resume_options()], help=_RESUME_HELP)


def _resume_options() -> list[click.Option]:
    return [
        *submission_options(None),
        click.Option(["--fork"], is_flag=True, help="Branch off: others may continue the same run too."),
        click.Option(
            ["--verify"], is_flag=True, help="Read every value that would be taken over first, and compute again what was changed."
        ),
        click.Option(["--run-id"], metavar="ID", hidden=True, help="The id of the new run; given by schedulers."),
        *launch_options(),
        *shared_options(),
    ]


def _resumed(flow_call: FlowCall, options: Mapping[str, Any], step: str | None, origin: str | None) -> int:
    settings = flow_call.call.surroundings.settings(options)
    run_id = _run_id(settings.root, origin, flow_call.flow_class.__name__)
    flow_call = replace(flow_call, known=_configs_of_origin(flow_call, settings, run_id))
    _check_step(flow_call, step)

    if options["on"]:
        return _resumed_elsewhere(flow_call, options, run_id, step)

    def launch(reporter: Reporter) -> int:
        definition = flow_call.decorated(options["with"])
        resume = flow_call.call.resume_flow
        is_fork, verifies = options["fork"], options["verify"]
        return resume(definition, settings, reporter, origin_run_id=run_id, step=step, is_fork=is_fork, verifies=verifies).exit_code

    return launched(flow_call, options, launch)


def _resumed_elsewhere(flow_call: FlowCall, options: Mapping[str, Any], run_id: str | None, step: str | None) -> int:
    """Submits the resume. Without an address it goes where the origin was submitted to."""

    def record(definition: FlowDefinition, settings: Settings, reporter: Reporter) -> Recorded:
        from rayflow.runtime.launch import record_resume

        return record_resume(definition, settings, reporter, origin_run_id=run_id, step=step, is_fork=options["fork"])

    if options["verify"]:
        raise UsageError("--verify is of a resume that is driven here. Leave out --on, or check the run first: rayflow verify RUN.")
    return submitted(flow_call, options, record, origin=run_id)


def _configs_of_origin(flow_call: FlowCall, settings: Settings, run_id: str | None) -> dict[str, Any]:
    from rayflow.flow.configs import configs_of

    names = configs_of(flow_call.flow_class)
    if not names:
        return {}
    from rayflow.runtime.continuing import constants_of_origin

    return constants_of_origin(settings, flow_call.flow_class.__name__, run_id, names)


def _run_id(root_url: str, text: str | None, flow: str) -> str | None:
    """The id of the run that was named, in any of the forms that commands take."""
    from rayflow.cli.locating import run_named

    try:
        return None if text is None else run_named(root_url, text, flow).run_id
    except RayflowNotFound as error:
        raise RayflowNotFound(f"Resume could not find run id *{text}*. {error.message}") from error


def _check_step(flow_call: FlowCall, step: str | None) -> None:
    steps = list(flow_call.definition.graph.nodes)
    if step is not None and step not in steps:
        hint = nearest(step, steps)
        raise UsageError(f"Cannot resume from '{step}': invalid step name.{hint} Valid step names include: {listed(steps)}.")


def launched(flow_call: FlowCall, options: Mapping[str, Any], launch: Callable[[Reporter], int]) -> int:
    """Has `launch` perform a run that is told as the options say; its exit code."""
    call = flow_call.call
    if options.get("root") and is_on_command_line("root"):
        call = replace(call, prompt=replace(call.prompt, root=options["root"]))
    is_inline = options["executor"] == "inline"  # what tasks print, and the debugger's prompt, go to the terminal by themselves
    is_live = call.is_live and not is_inline and not options["quiet"] and not options["json"]
    if not is_live:
        flow_call.greet(options)
    validate(flow_call, {**options, "quiet": options["quiet"] or is_live})
    if is_live:
        return _live(replace(flow_call, call=call), options, launch)
    if options["json"]:
        from rayflow.cli.reporting.jsonlines import JsonReporter

        with contextlib.redirect_stdout(call.err):  # tasks of an inline run print into this very process
            return launch(JsonReporter(call.out))
    from rayflow.cli.reporting.plain import PlainReporter

    return launch(PlainReporter(call.out, call.err, call.prompt, is_verbose=options["verbose"]))


def _live(flow_call: FlowCall, options: Mapping[str, Any], launch: Callable[[Reporter], int]) -> int:
    reporter = live_reporter(flow_call.call, options)
    try:
        return launch(reporter)
    finally:
        reporter.close()
