"""The group of `rayflow COMMAND`, for what is not about a flow file: stored runs. Flow files were taken out by `main`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.suggest import nearest
from rayflow.model.errors import UsageError


def _run(call: Call) -> click.Command:
    return _of_flow_only("run", "Run the flow FLOW.py (or module:Class); `rayflow run FLOW.py --help` shows its parameters.")


def _submit(call: Call) -> click.Command:
    return _of_flow_only("submit", "Run the flow FLOW.py (or module:Class) elsewhere; `rayflow submit FLOW.py --help` shows its options.")


def _attach(call: Call) -> click.Command:
    from rayflow.cli.commands.attaching import attach_command

    return attach_command(call)


def _stop(call: Call) -> click.Command:
    from rayflow.cli.commands.attaching import stop_command

    return stop_command(call)


def _drive(call: Call) -> click.Command:
    from rayflow.cli.commands.submitting import drive_command

    return drive_command(call)


def _spin(call: Call) -> click.Command:
    return _of_flow_only("spin", "Run one step of the flow FLOW.py (or module:Class) again by itself: `rayflow spin FLOW.py STEP`.")


def _check(call: Call) -> click.Command:
    return _of_flow_only("check", "Check that the flow FLOW.py (or module:Class) is valid; nothing is run.")


def _of_flow_only(name: str, description: str) -> click.Command:
    def refuse(**_: Any) -> None:
        raise UsageError(f"Name a flow: rayflow {name} FLOW.py (a file, or module:Class).")

    settings = {"ignore_unknown_options": True}
    arguments = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar="FLOW.py [OPTIONS]")
    return click.Command(name, callback=refuse, params=[arguments], help=description, context_settings=settings)


def _resume(call: Call) -> click.Command:
    from rayflow.cli.commands.launching import stored_resume_command

    return stored_resume_command(call)


def _show(call: Call) -> click.Command:
    from rayflow.cli.commands.listing import show_command

    return show_command(call)


def _ls(call: Call) -> click.Command:
    from rayflow.cli.commands.listing import ls_command

    return ls_command(call)


def _logs(call: Call) -> click.Command:
    from rayflow.cli.commands.logs import logs_command

    return logs_command(call)


def _dump(call: Call) -> click.Command:
    from rayflow.cli.commands.reading import dump_command

    return dump_command(call)


def _path(call: Call) -> click.Command:
    from rayflow.cli.commands.reading import path_command

    return path_command(call)


def _diff(call: Call) -> click.Command:
    from rayflow.cli.commands.diffing import diff_command

    return diff_command(call)


def _code(call: Call) -> click.Command:
    from rayflow.cli.commands.code import code_command

    return code_command(call)


def _package(call: Call) -> click.Command:
    return _of_flow_only("package", "Show the code package of the flow FLOW.py (or module:Class): `rayflow package list FLOW.py`.")


def _tag(call: Call) -> click.Command:
    from rayflow.cli.commands.tagging import tag_command

    return tag_command(call)


def _verify(call: Call) -> click.Command:
    from rayflow.cli.commands.upkeep import verify_command

    return verify_command(call)


def _rm(call: Call) -> click.Command:
    from rayflow.cli.commands.upkeep import rm_command

    return rm_command(call)


def _gc(call: Call) -> click.Command:
    from rayflow.cli.commands.upkeep import gc_command

    return gc_command(call)


def _up(call: Call) -> click.Command:
    from rayflow.cli.commands.cluster import up_command

    return up_command(call)


def _down(call: Call) -> click.Command:
    from rayflow.cli.commands.cluster import down_command

    return down_command(call)


def _config(call: Call) -> click.Command:
    from rayflow.cli.commands.config import config_command
    from rayflow.cli.commands.flow import COMMANDS

    return config_command(call, tuple({*_COMMANDS, *COMMANDS}))


def _configure(call: Call) -> click.Command:
    from rayflow.cli.commands.configure import configure_group

    return configure_group(call)


def _completion(call: Call) -> click.Command:
    from rayflow.cli.commands.completion import completion_command

    return completion_command(call)


def _doctor(call: Call) -> click.Command:
    from rayflow.cli.commands.doctor import doctor_command

    return doctor_command(call)


def _version(call: Call) -> click.Command:
    def run() -> None:
        from rayflow import __version__

        click.echo(__version__, file=call.out)

    return click.Command("version", callback=run, help="Show the version of rayflow.")


_COMMANDS: dict[str, tuple[Callable[[Call], click.Command], str]] = {
    "run": (_run, "Run a flow: rayflow run FLOW.py."),
    "submit": (_submit, "Run a flow elsewhere, on a Ray cluster or Kubernetes: rayflow submit FLOW.py."),
    "attach": (_attach, "Follow a run that is driven elsewhere."),
    "stop": (_stop, "Stop a run, wherever it is driven; it can be resumed."),
    "resume": (_resume, "Continue a run, with its stored code; or, with FLOW.py, the newest run of that flow."),
    "spin": (_spin, "Run one step again by itself: rayflow spin FLOW.py STEP."),
    "check": (_check, "Check that a flow is valid."),
    "show": (_show, "Show a run, a step or a task; or, with FLOW.py, the structure of a flow."),
    "ls": (_ls, "List runs, newest first."),
    "logs": (_logs, "Show what tasks printed, or take it back: logs [show] | scrub."),
    "dump": (_dump, "Show the artifacts of tasks."),
    "path": (_path, "Show which file holds an artifact."),
    "diff": (_diff, "Show how two runs differ: parameters, code, artifacts, times."),
    "code": (_code, "Get the code of a run back, or show what changed since: code pull | diff."),
    "package": (_package, "Show which files are the code of a flow: rayflow package list FLOW.py."),
    "tag": (_tag, "Show and change the tags of runs: tag add | remove | replace | list."),
    "verify": (_verify, "Check that everything that runs refer to is there, and as it was stored."),
    "rm": (_rm, "Remove runs."),
    "gc": (_gc, "Remove what no run needs any more, and old runs."),
    "up": (_up, "Keep a Ray cluster on this machine, so that runs need not start one."),
    "down": (_down, "End the cluster that `up` keeps."),
    "config": (_config, "Show every setting, its value, and where that comes from."),
    "configure": (_configure, "Change settings: configure set | unset | show | import | export | reset."),
    "completion": (_completion, "Print the script by which bash, zsh or fish completes `rayflow`."),
    "doctor": (_doctor, "Check this installation and the root; or, with FLOW.py, what a flow of Metaflow's needs."),
    "version": (_version, "Show the version of rayflow."),
}
_HIDDEN: dict[str, Callable[[Call], click.Command]] = {"drive": _drive}
"""What programs call."""
_EPILOG = "A run is named by its id, by an ending of the id, or as latest or latest-failed; FLOW.py may also be module:Class."


class RootGroup(click.Group):
    """The commands of `rayflow`. Each is built when it is asked for."""

    def __init__(self, call: Call) -> None:
        super().__init__(
            name="rayflow",
            help="Human-friendly, durable workflows on Ray.",
            epilog=_EPILOG,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        )
        self._call = call

    @property
    def call(self) -> Call:
        """What the commands are given."""
        return self._call

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _HIDDEN:
            return _HIDDEN[cmd_name](self._call)
        found = _COMMANDS.get(cmd_name)
        return found[0](self._call) if found else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and args[0] not in _HIDDEN:
            ctx.fail(f"No such command {args[0]!r}.{nearest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:  # raised below the command line: shown like click's own
            raise click.UsageError(str(error), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])
