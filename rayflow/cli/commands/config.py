"""`config`: every setting, its value, and who says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.masking import masked
from rayflow.cli.options import json_option, launch_options, shared_options
from rayflow.cli.settings import Surroundings
from rayflow.cli.suggest import nearest
from rayflow.model.errors import UsageError
from rayflow.settings.reading import home_of
from rayflow.settings.table import HOME, PREFIX, ROOT, SETTINGS, STATE_DIR, USER, Setting, bare_name
from rayflow.settings.unknown import unknown_names, unknown_variables

_HELP = """Show every setting, its value, and where that comes from.

The environment (RAYFLOW_NAME) comes first, then config.json of the nearest .rayflow, then the file of the profile, then the default.
`rayflow configure` changes the files. Exit code 1 where a value cannot be used.
"""


@dataclass(frozen=True)
class Line:
    """One setting, as it is shown. `origin` is environment, project, profile or default, `place` the variable or file; `error` tells why a
    value cannot be used."""

    name: str
    value: Any
    origin: str
    place: str
    default: str
    help: str
    error: str = ""


def config_command(call: Call, commands: tuple[str, ...]) -> click.Command:
    """`commands`: all that there are; each has variables of its own."""

    def run(json: bool) -> None:
        lines = [_line(setting, call.surroundings) for setting in SETTINGS]
        _write(call, lines, as_json=json)
        for warning in _warnings(call.surroundings, commands):
            call.err.write(f"Warning: {warning}\n")
        click.get_current_context().exit(int(any(line.error for line in lines)))

    return click.Command("config", callback=run, params=[json_option()], help=_HELP)


def _line(setting: Setting[Any], surroundings: Surroundings) -> Line:
    settings = surroundings.stated
    stated = settings.stated(setting)
    described = {"default": setting.default, "help": setting.help}
    if stated is None:
        return Line(setting.name, _value_without(setting, surroundings), "default", "", **described)
    try:
        value, error = masked(setting.name, settings[setting]), ""
    except UsageError as problem:
        value, error = None, str(problem)
    return Line(setting.name, value, stated.origin.value, stated.place, **described, error=error)


def _value_without(setting: Setting[Any], surroundings: Surroundings) -> str | None:
    """What holds where nobody states the setting, as far as that is known before a run."""
    try:
        match setting.name:
            case ROOT.name:
                return masked(ROOT.name, surroundings.root(None))
            case USER.name:
                return surroundings.user
            case STATE_DIR.name:
                return surroundings.state_dir
            case HOME.name:
                return home_of(surroundings.environ) or None
            case _:
                return None
    except UsageError:
        return None  # of another setting, on whose line it is told


def _write(call: Call, lines: list[Line], *, as_json: bool) -> None:
    if as_json:
        call.out.write(json.dumps([{"variable": PREFIX + line.name, **asdict(line)} for line in lines], indent=2) + "\n")
        return
    rows = [(line.name, _shown(line), _origin(line)) for line in lines]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        call.out.write(f"{name:{wide[0]}}  {value:{min(wide[1], 48)}}  {origin}".rstrip() + "\n")
    for line in lines:
        if line.error:
            call.err.write(f"Error: {line.error}\n")


def _shown(line: Line) -> str:
    if line.error:
        return "cannot be used"
    if line.value is None:
        return f"({line.default})"
    return line.value if isinstance(line.value, str) else json.dumps(line.value)


def _origin(line: Line) -> str:
    return line.place if line.place else "default"


def _warnings(surroundings: Surroundings, commands: tuple[str, ...]) -> Iterator[str]:
    names = [setting.name for setting in SETTINGS]
    shared = [option.name or "" for option in shared_options()]
    launching = [option.name or "" for option in launch_options()]
    for name in unknown_variables(surroundings.environ, shared, commands):
        yield f"Nothing reads the variable {name}.{_hint(name, [*names, *(f'RUN_{option.upper()}' for option in launching)])}"
    for file in surroundings.stated.files:
        for name in unknown_names(file):
            yield f"{file.path} has {name!r}, which is no setting that a file can state.{_hint(name, names)}"


def _hint(name: str, names: list[str]) -> str:
    return nearest(bare_name(name), names).replace("'", "").replace("mean ", f"mean {PREFIX}").replace(" or ", f" or {PREFIX}")
