"""What an argument names. What ends in `.py` (or is `module:Class`) is a flow; anything else names a run, or something in one.

Apart from `target`, since every command asks this, and few load a flow.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_SCHEDULERS = ("argo-workflows", "airflow", "step-functions", "kuberay-cron", "cron")
_DATA = ("package", "output-raw", "output-dot", "output-options")
_WITH_FLOW = ("run", "submit", "resume", "spin", "check", "show", "dump", "logs", "help", *_DATA, *_SCHEDULERS)
_VALUED = ("--namespace", "--run-id", "--origin-run-id", "--artifacts-module", "--file", "--include", "--max-value-size", "--attempt", "-n")
_MODULE_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")


def names_flow(argument: str) -> bool:
    """Whether the argument is a flow: `flow.py`, `flow.py:Class` or `module:Class`."""
    return argument.endswith(".py") or ".py:" in argument or _MODULE_CLASS.fullmatch(argument) is not None


def take_flow(arguments: Sequence[str], options_with_value: Collection[str]) -> tuple[str | None, list[str]]:
    """The first argument that is a flow, and the others. Values of `options_with_value` (`--tag`) are passed over."""
    is_value = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if not is_value and not argument.startswith("-") and names_flow(argument):
            return argument, [*arguments[:position], *arguments[position + 1 :]]
        is_value = not is_value and argument in options_with_value
    return None, list(arguments)


def take_compat(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """What `--compat` says, wherever it stands, and the arguments without it where it stands before the command: a flow's own command
    shows it, and a Parameter may have its name."""
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if argument == "--":
            break
        if name == "--compat" and (equals or len(arguments) > position + 1):
            length = 1 if equals else 2
            rest = list(arguments) if position else list(arguments[length:])
            return (value if equals else arguments[position + 1]), rest
    return None, list(arguments)


def split_flow(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The flow among the arguments of `rayflow`, and the arguments for that flow's group."""
    if not arguments:
        return None, []
    command, *rest = arguments
    if names_flow(command):
        return command, rest
    if command == "tag":
        return _split_tag(rest)
    if command not in _WITH_FLOW:
        return None, list(arguments)
    from rayflow.cli.options import launch_options, shared_options, value_options

    flow, rest = take_flow(rest, {*value_options([*launch_options(), *shared_options()]), *_VALUED})
    return flow, [command, *rest]


def _split_tag(rest: Sequence[str]) -> tuple[str | None, list[str]]:
    """The same for `tag`, whose other arguments may look like a flow (`user:ann`): only the first, or the one after `add`, is looked at."""
    for position in (0, 1):
        if len(rest) > position and names_flow(rest[position]):
            return rest[position], ["tag", *rest[:position], *rest[position + 1 :]]
    return None, ["tag", *rest]
