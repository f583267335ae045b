"""`package info | list | save`: what would be kept as the code of a run that starts now."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.options import json_option, package_options, quiet_option, stated
from rayflow.cli.reporting.text import counted, size
from rayflow.model.errors import UserError

if TYPE_CHECKING:
    from rayflow.package.gathering import Package, Wanted

_HELP = """Show the code package of this flow, as a run that starts now would store it. Nothing is stored.

Which files belong in: the Python files below the flow's directory, those with --package-suffixes, and --package-modules. .rayflowignore
names what does not, as .gitignore would.
"""


@dataclass(frozen=True)
class _Asked:
    """A call of one of the commands, and its package."""

    flow_call: FlowCall
    options: Mapping[str, Any]
    wanted: Wanted
    package: Package


def package_command(flow_call: FlowCall) -> click.Group:
    commands = [
        _command(flow_call, "info", _info, json_option(), "Show its digest, its size, and what it was asked to hold."),
        _command(flow_call, "list", _list, json_option("As JSON, with their sizes."), "List its files."),
        _command(flow_call, "save", _save, click.Argument(["path"], metavar="FILE"), "Write it to a file: a zip."),
    ]
    return click.Group("package", commands={str(command.name): command for command in commands}, help=_HELP)


def _command(flow_call: FlowCall, name: str, show: Callable[[_Asked], None], param: click.Parameter, description: str) -> click.Command:
    def run(**_: Any) -> None:
        asked = _asked(flow_call, stated(click.get_current_context()))
        if not asked.options["quiet"]:
            for remark in asked.package.remarks:
                flow_call.say(f"warning: {remark}")
        show(asked)

    return click.Command(name, callback=run, params=[param, *package_options(), quiet_option("No warnings.")], help=description)


def _asked(flow_call: FlowCall, options: Mapping[str, Any]) -> _Asked:
    from rayflow.package.gathering import build_package
    from rayflow.runtime.packaging import wanted_by

    settings = flow_call.call.surroundings.settings(options)
    definition = flow_call.decorated(options["with"])
    if not os.path.isfile(definition.script_path):
        raise UserError(f"{definition.name} has no file, and so no code package: it travels with the tasks.")
    wanted = wanted_by(definition, settings.package_suffixes, settings.package_modules)
    return _Asked(flow_call, options, wanted, build_package(wanted))


def _info(asked: _Asked) -> None:
    from rayflow.package.stored import digest_of

    out, wanted, package = asked.flow_call.call.out, asked.wanted, asked.package
    digest, suffixes = digest_of(package.content), [".py", *wanted.suffixes]
    if asked.options["json"]:
        facts = {"digest": digest, "files": len(package.sizes), "nbytes": len(package.content), "script": wanted.script}
        out.write(json.dumps({**facts, "suffixes": suffixes, "modules": list(wanted.modules)}) + "\n")
        return
    out.write(f"digest    {digest}\n")
    out.write(f"size      {size(len(package.content))} in {counted(len(package.sizes), 'file')}\n")
    out.write(f"flow      {wanted.script}\n")
    out.write(f"suffixes  {', '.join(suffixes)}\n")
    out.write(f"modules   {', '.join(wanted.modules) or 'none from elsewhere'}\n")


def _list(asked: _Asked) -> None:
    out, sizes = asked.flow_call.call.out, asked.package.sizes
    if asked.options["json"]:
        out.write(json.dumps(sizes) + "\n")
        return
    out.writelines(f"{name}\n" for name in sizes)


def _save(asked: _Asked) -> None:
    path = asked.options["path"]
    try:
        with open(os.path.join(asked.flow_call.call.surroundings.cwd, path), "wb") as file:
            file.write(asked.package.content)
    except OSError as error:
        raise UserError(f"File {path} could not be written: {error.strerror}.") from error
    if not asked.options["quiet"]:
        asked.flow_call.say(f"Code package with {counted(len(asked.package.sizes), 'file')} written to *{path}*")
