"""`configure`: changes the files of settings."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.masking import masked
from rayflow.cli.suggest import nearest
from rayflow.model.errors import UsageError
from rayflow.settings.reading import FILE, ROOT_NAME, profile_file, project_file
from rayflow.settings.table import SETTINGS, Setting, bare_name, setting_named
from rayflow.settings.writing import as_json, drop, remove, state, written

_HELP = """Change the settings that are kept in files; `rayflow config` shows which hold, and what each is for.

They are in RAYFLOW_HOME (default: ~/.rayflow): config.json, or config_NAME.json of a profile, which --profile or RAYFLOW_PROFILE names.
With --here they are those of this directory: config.json of the nearest .rayflow.
"""


class _InOrder(click.Group):
    """A group whose help lists the commands as they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def configure_group(call: Call) -> click.Group:
    """`configure set | unset | show | import | export | reset`."""
    commands = (_set, _unset, _show, _import, _export, _reset)
    group = _InOrder("configure", help=_HELP)
    for build in commands:
        group.add_command(build(call))
    return group


def _set(call: Call) -> click.Command:
    def run(name: str, value: str, profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        setting = _named(name)
        state(path, {setting: as_json(setting, value, call.surroundings.cwd)})
        call.out.write(f"{setting.variable} is set in {path}.\n")
        if call.surroundings.environ.get(setting.variable):
            call.err.write(f"Warning: the environment has {setting.variable}, which comes first.\n")

    arguments = [click.Argument(["name"]), click.Argument(["value"])]
    help = "Set a setting: `configure set MAX_WORKERS 8`. Lists and mappings are JSON."  # noqa: A001 - click's word
    return click.Command("set", callback=run, params=[*arguments, *_options()], help=help)


def _unset(call: Call) -> click.Command:
    def run(name: str, profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        if not drop(path, [name]):
            raise UsageError(f"{name} is not set in {path}.{nearest(bare_name(name), map(bare_name, written(path)))}")
        call.out.write(f"{name} is not set in {path} any more.\n")

    return click.Command("unset", callback=run, params=[click.Argument(["name"]), *_options()], help="Take a setting out.")


def _show(call: Call) -> click.Command:
    def run(profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        entries = written(path)
        call.out.write(f"{path}{'' if entries else ': nothing is set'}\n")
        for name, value in sorted(entries.items()):
            shown = masked(name, value)
            call.out.write(f"{name}={shown if isinstance(shown, str) else json.dumps(shown)}\n")

    return click.Command("show", callback=run, params=_options(), help="Show what is set; what looks like a secret is hidden.")


def _import(call: Call) -> click.Command:
    def run(file: str, profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        values = {_named(name): value for name, value in _entries(file).items()}
        for setting, value in values.items():
            _check(setting, value, file)
        state(path, values)
        call.out.write(f"{len(values)} settings of {file} are set in {path}.\n")

    help = "Set all that FILE (JSON, - for stdin) sets. What it does not name stays."  # noqa: A001 - click's word
    return click.Command("import", callback=run, params=[click.Argument(["file"]), *_options()], help=help)


def _export(call: Call) -> click.Command:
    def run(file: str, force: bool, profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        text = json.dumps(written(path), indent=2, sort_keys=True) + "\n"
        if file == "-":
            call.out.write(text)
            return
        target = os.path.join(file, os.path.basename(path)) if os.path.isdir(file) else file
        try:
            mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
            with open(os.open(target, mode, 0o600), "w", encoding="utf-8") as out:
                out.write(text)
        except FileExistsError:
            raise UsageError(f"{target} exists. Give another name, or --force.") from None
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}.") from error
        call.out.write(f"The settings of {path} are in {target}, secrets too.\n")

    arguments = [click.Argument(["file"], default="-"), click.Option(["--force"], is_flag=True, help="Replace FILE.")]
    return click.Command("export", callback=run, params=[*arguments, *_options()], help="Write what is set to FILE, else to stdout.")


def _reset(call: Call) -> click.Command:
    def run(yes: bool, profile: str | None, here: bool) -> None:
        path = _path(call, profile, here)
        if not os.path.exists(path):
            call.out.write(f"Nothing is set: there is no {path}.\n")
            return
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"This removes {path}. Say so with --yes.")
            click.confirm(f"Remove {path}?", abort=True, err=True)
        remove(path)
        call.out.write(f"{path} is removed.\n")

    yes = click.Option(["--yes", "-y"], is_flag=True, help="Do not ask.")
    return click.Command("reset", callback=run, params=[yes, *_options()], help="Remove all that is set.")


# -- what they share ---------------------------------------------------------------------------------------------------


def _options() -> list[click.Parameter]:
    return [
        click.Option(["--profile", "-p"], metavar="NAME", help="The profile. Default: RAYFLOW_PROFILE, else the one without a name."),
        click.Option(["--here"], is_flag=True, help="The settings of this directory instead: config.json of the nearest .rayflow."),
    ]


def _path(call: Call, profile: str | None, here: bool) -> str:
    """The file that is meant, whether it exists or not. A profile need not exist: it is being made."""
    surroundings = call.surroundings
    if here:
        if profile is not None:
            raise UsageError("--here and --profile name two files. Give one of them.")
        return project_file(surroundings.environ, surroundings.cwd) or os.path.join(surroundings.cwd, ROOT_NAME, FILE)
    path = profile_file(surroundings.environ, profile)
    if not path:
        raise UsageError("Neither RAYFLOW_HOME nor HOME is set, so there is no place for settings. Set RAYFLOW_HOME, or say --here.")
    return path


def _named(name: str) -> Setting[Any]:
    setting = setting_named(name)
    if setting is None:
        names = [each.name for each in SETTINGS]
        hint = nearest(bare_name(name), names) or f" There are: {', '.join(names)}."
        raise UsageError(f"There is no setting {name!r}.{hint}")
    if setting.is_variable_only:
        raise UsageError(f"{setting.variable} says which files there are, so no file can set it. Set it in the environment.")
    return setting


def _entries(file: str) -> Mapping[str, Any]:
    if file != "-":
        if not os.path.exists(file):
            raise UsageError(f"There is no file {file!r}.")
        return written(file)
    try:
        entries: object = json.loads(sys.stdin.read())
    except ValueError as error:
        raise UsageError(f"What stdin says is not valid JSON: {error}.") from error
    if not isinstance(entries, dict):
        raise UsageError('What stdin says is no JSON object, such as {"RAYFLOW_USER": "ada"}.')
    return entries


def _check(setting: Setting[Any], value: object, file: str) -> None:
    try:
        setting.kind.value(value, "/")
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{setting.variable} in {file} is {json.dumps(value)}. Give {setting.kind.wanted}.") from error
