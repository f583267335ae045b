"""What the site takes from the program itself when it is built, so that it cannot be out of date: the reference of the command line, the
settings, and what a flow of Metaflow's meets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import click

from rayflow import FlowSpec, step
from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.commands.flow import FlowGroup
from rayflow.cli.commands.root import RootGroup
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.flow.differences import BEHAVIOURS, DIFFERENCES, Difference, Kind
from rayflow.runtime import compat
from rayflow.settings.table import SETTINGS


class MyFlow(FlowSpec):
    """The flow whose command line is described: it has no Parameters and no Configs of its own."""

    @step
    def start(self):
        pass


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts what is made here where a page has one of `MADE` on a line of its own."""
    for mark, described in MADE.items():
        if f"\n{mark}\n" in markdown:
            markdown = markdown.replace(f"\n{mark}\n", "\n".join(["", *described(), ""]))
    return markdown


def _call(program: str) -> Call:
    return Call(Prompt(program), Surroundings({}, "/"), io.StringIO(), io.StringIO())


def program() -> click.Group:
    """`rayflow`."""
    return RootGroup(_call("rayflow"))


def flow() -> click.Group:
    """`python flow.py`."""
    return FlowGroup(FlowCall(_call("python flow.py"), MyFlow))


def _program() -> Iterator[str]:
    group = program()
    for name in group.list_commands(click.Context(group)):
        yield from _described(group, ("rayflow", name), depth=3)


def _flow() -> Iterator[str]:
    group = flow()
    yield from ("### Before the command { #before-the-command }", "", *_table(group))
    for name in group.list_commands(click.Context(group)):
        yield from _described(group, ("python flow.py", name), depth=3)


def _settings() -> Iterator[str]:
    """A row for each, whose name can be linked to."""
    yield from ("| setting | what it is | can be | default |", "|---|---|---|---|")
    for setting in SETTINGS:
        where = " Only as a variable." if setting.is_variable_only else ""
        cells = (f"`{setting.name}`", setting.help + where, setting.kind.wanted, setting.default)
        yield f"| {' | '.join(map(_cell, cells))} |"


def _behaviours() -> Iterator[str]:
    yield from ("| | Metaflow | rayflow |", "|---|---|---|")
    for part, rows in groupby(BEHAVIOURS, lambda row: row.part):
        yield f"| **{part}** | | |"
        yield from (f"| {_cell(row.what)} | {_cell(row.there)} | {_cell(row.here)} |" for row in rows)


def _blocking() -> Iterator[str]:
    return _differences([row for row in DIFFERENCES if row.is_blocking and not is_here(row)])


def _noticed() -> Iterator[str]:
    return _differences([row for row in DIFFERENCES if not row.is_blocking])


def is_here(row: Difference) -> bool:
    """Whether rayflow has by now what the row says that it lacks. `@batch` can be imported, and is refused."""
    match row.kind:
        case Kind.DECORATOR | Kind.NAME:
            return row.name != "batch" and compat.served(compat.METAFLOW, row.name)
        case Kind.MODULE:
            return bool(compat.ALIASES.get(row.name)) and compat.exists(row.name)
        case _:
            return False


def _differences(rows: list[Difference]) -> Iterator[str]:
    """What is done about the same thing in the same way is one row."""
    yield from ("| in a flow of Metaflow's | here | what to do |", "|---|---|---|")
    for (here, way_out), alike in groupby(rows, lambda row: (row.here, row.way_out)):
        yield f"| {', '.join(map(written, alike))} | {_cell(here)} | {_cell(way_out)} |"


def written(row: Difference) -> str:
    """The name as it stands in a flow."""
    match row.kind:
        case Kind.DECORATOR:
            return f"`@{row.name}`"
        case Kind.VARIABLE:
            return f"`{row.name}...`"
        case _:
            return f"`{row.name}`"


def _described(group: click.Group, path: tuple[str, ...], depth: int) -> Iterator[str]:
    """A command and its subcommands."""
    command = group.get_command(click.Context(group), path[-1])
    assert command is not None
    context = click.Context(command, info_name=" ".join(path))
    usage = command.collect_usage_pieces(context)
    anchor = "-".join(path).replace("python flow.py", "flow")
    yield from (f"{'#' * depth} {' '.join(path)} {{ #{anchor} }}", "", f"```text\n{' '.join((*path, *usage))}\n```", "")
    yield from ((command.help or "").replace("\b", ""), "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _described(command, (*path, name), depth + 1)
    else:
        yield from _table(command)


def _table(command: click.Command) -> Iterator[str]:
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    if options:
        yield from ("| option | meaning |", "|---|---|")
    for option in options:
        flags = "`<br>`".join([*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {_cell(option.make_metavar(click.Context(command)))}"
        default = f" Default: {option.default}." if option.show_default else ""
        yield f"| `{flags}{value}` | {_cell(option.help or '')}{default} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


MADE = {
    "[commands of rayflow]": _program,
    "[commands of a flow]": _flow,
    "[settings]": _settings,
    "[what behaves differently]": _behaviours,
    "[what keeps a flow from running]": _blocking,
    "[what a flow may notice]": _noticed,
}
"""Mark on a page -> what stands there on the site."""
