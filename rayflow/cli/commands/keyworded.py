"""`output-options`: the options of a flow's commands as data, for programs that call them with keyword arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.keywords import RENAMED, Keyword
from rayflow.flow.options import ParameterOption, click_type

COMMANDS = ("run", "resume", "spin")
_KINDS: tuple[tuple[type, str], ...] = (
    (click.Choice, "choice"),
    (click.types.IntParamType, "integer"),
    (click.types.FloatParamType, "float"),
    (click.types.BoolParamType, "boolean"),
    (click.Path, "path"),
    (click.File, "path"),
    (click.types.StringParamType, "text"),
)


def output_options_command(flow_call: FlowCall) -> click.Command:
    def run(commands: tuple[str, ...]) -> None:
        described = described_options(click.get_current_context().parent, flow_call.call.surroundings.environ, commands or COMMANDS)
        flow_call.call.out.write(json.dumps(described) + "\n")

    text = "Write the options of `run`, `resume` and `spin`, or of COMMANDS (such as 'cron create'), as JSON, for programs."
    return click.Command("output-options", callback=run, params=[click.Argument(["commands"], nargs=-1)], help=text)


def described_options(
    group: click.Context | None, environ: Mapping[str, str], commands: Sequence[str] = COMMANDS
) -> dict[str, list[dict[str, Any]]]:
    """Command -> its options; those that stand before a command are under the empty name. `group`: the context of the flow's group."""
    assert group is not None
    assert isinstance(group.command, click.Group)
    found = {"": [keyword.as_dict() for keyword in keywords_of(group.command.params, environ)]}
    for name in commands:
        command = _below(group.command, group, name.split())
        found[name] = [keyword.as_dict() for keyword in keywords_of(command.params if command else (), environ)]
    return found


def _below(group: click.Group, context: click.Context, words: Sequence[str]) -> click.Command | None:
    """The command of these words."""
    command = group.get_command(context, words[0]) if words else None
    return _below(command, context, words[1:]) if isinstance(command, click.Group) else command


def keywords_of(options: Iterable[click.Parameter], environ: Mapping[str, str]) -> list[Keyword]:
    """The options as keywords. A Parameter that the environment gives is not required."""
    return [_keyword(option, environ) for option in options]


def _keyword(option: click.Parameter, environ: Mapping[str, str]) -> Keyword:
    is_option = isinstance(option, click.Option)
    parameter = option.parameter if isinstance(option, ParameterOption) else None
    name = parameter.name if parameter is not None else RENAMED.get(option.name or "", option.name or "")
    kind = click_type(parameter) if parameter is not None else option.type
    is_counted = is_option and option.count
    is_flag = is_option and option.is_flag
    return Keyword(
        name=name.replace("-", "_"),
        kind="integer" if is_counted else "boolean" if is_flag else _kind(kind),
        flag=max(option.opts, key=len) if is_option else "",
        off_flag=max(option.secondary_opts, key=len, default="") if is_option else "",
        choices=tuple(str(choice) for choice in kind.choices) if isinstance(kind, click.Choice) else (),
        is_flag=is_flag,
        is_counted=is_counted,
        is_multiple=is_option and option.multiple,
        is_required=parameter is not None and parameter.required and not parameter.has_default and parameter.variable not in environ,
        nargs=option.nargs,
    )


def _kind(kind: object) -> str:
    if getattr(kind, "name", "") == "JSON":
        return "json"
    return next((name for type_, name in _KINDS if isinstance(kind, type_)), "any")
