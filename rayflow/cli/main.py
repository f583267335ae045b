"""The ways in: `rayflow ...` and `MyFlow()` at the end of a script, which end with the exit code of `fence`; and `MyFlow.run(...)`."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rayflow.cli.commands.call import Call, FlowCall
    from rayflow.client import Run
    from rayflow.flow.flowspec import FlowSpec

_COMPLETING = "_RAYFLOW_COMPLETE"
"""Set by a shell that wants to know what may come next (see `completing`)."""


def main() -> None:
    """The program `rayflow`."""
    from rayflow.cli.commands.call import Call
    from rayflow.cli.reporting.prompt import Prompt

    _accept_any_text()
    if _COMPLETING in os.environ:
        from rayflow.cli.completing import answer

        _leave(answer(Call(Prompt("rayflow")), os.environ[_COMPLETING]))
    _leave(run_program(Call(Prompt("rayflow")), sys.argv[1:]))


def run_flow_script(flow_class: type[FlowSpec]) -> None:
    """What `MyFlow()` does in a script: performs `sys.argv` and exits. Nothing where a worker is importing the script."""
    from rayflow.runtime.loading import is_loading

    if is_loading():
        return
    from rayflow.cli.commands.call import Call, FlowCall
    from rayflow.cli.reporting.prompt import Prompt

    _accept_any_text()
    prompt = Prompt(f"python {shlex.quote(sys.argv[0])}")
    _leave(run_flow_command(FlowCall(Call(prompt), flow_class), sys.argv[1:]))


def call_flow(flow_class: type[FlowSpec], arguments: Mapping[str, Any]) -> Run:
    """What `MyFlow.run(...)` does in a program or a notebook: performs the flow and returns the run. See `calling`."""
    from rayflow.cli.calling import run_called

    __tracebackhide__ = True
    return run_called(flow_class, arguments)


def run_program(call: Call, arguments: Sequence[str]) -> int:
    """Performs `rayflow ARGUMENTS` and returns the exit code. `COMMAND flow.py ...` becomes `... COMMAND` of that flow."""
    from dataclasses import replace

    from rayflow.cli.fence import guarded

    def perform() -> int:
        from rayflow.cli.arguments import split_flow, take_compat
        from rayflow.settings.table import COMPAT, MODES

        compat, words = take_compat(arguments)
        flow, rest = split_flow(words)
        if compat is None and flow is not None:
            compat = call.surroundings.stated[COMPAT]
        if compat in MODES or (compat and len(words) < len(arguments)):
            from rayflow.runtime.compat import enter

            enter(compat)
        if flow is not None:
            from rayflow.cli.commands.call import FlowCall
            from rayflow.cli.target import load_flow

            flow_call = FlowCall(replace(call, prompt=replace(call.prompt, flow=flow, compat=compat or "")), load_flow(flow))
            return run_flow_command(flow_call, rest)
        from rayflow.cli.commands.root import RootGroup
        from rayflow.cli.options import ENV_PREFIX

        defaults = {"resume": call.surroundings.option_defaults()} if rest[:1] == ["resume"] else None
        group = RootGroup(call)
        return _exit_code(group.main(list(rest), "rayflow", standalone_mode=False, auto_envvar_prefix=ENV_PREFIX, default_map=defaults))

    return guarded(perform, call.err)


def run_flow_command(flow_call: FlowCall, arguments: Sequence[str]) -> int:
    """Performs `python flow.py ARGUMENTS` and returns the exit code."""
    from rayflow.cli.commands.flow import FlowGroup
    from rayflow.cli.fence import guarded
    from rayflow.cli.options import ENV_PREFIX, configs_first

    def perform() -> int:
        prompt = flow_call.call.prompt
        name = f"{prompt.program} {prompt.flow}".strip()
        words = configs_first(flow_call.flow_class, arguments)
        defaults = flow_call.call.surroundings.option_defaults("run", "resume", "spin")
        group = FlowGroup(flow_call)
        return _exit_code(group.main(words, name, standalone_mode=False, auto_envvar_prefix=ENV_PREFIX, default_map=defaults))

    return guarded(perform, flow_call.call.err)


def _exit_code(result: object) -> int:
    """click answers with the code of `ctx.exit` where a command called it, else with what the command returned."""
    return result if isinstance(result, int) else 0


def _leave(code: int) -> NoReturn:
    """Exits. What a reader who has gone away (`| head`) did not take is dropped here, since Python would complain about it at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _accept_any_text() -> None:
    """Texts that the terminal's encoding lacks are shown as escapes, instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
