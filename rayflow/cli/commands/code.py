"""`code pull | diff`: the code that runs ran."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.fence import USAGE, block
from rayflow.cli.locating import place_named
from rayflow.cli.options import json_option, quiet_option, root_option
from rayflow.cli.reporting.text import counted, harmless
from rayflow.model.errors import RayflowDataMissing, RayflowException, UsageError, UserError

if TYPE_CHECKING:
    from rayflow.client.codediff import CodeChange
    from rayflow.client.package import RayflowCode
    from rayflow.client.runs import Run

_HELP = """Show the code of runs, or get it back.

The code of a run is the package that was stored when it was started: the files of its flow, as they were.
"""
_DIFF_HELP = """Show how the files of two runs differ; or of a run and of the working directory.

The answer is a patch, from the first to the second: `rayflow code diff RUN > changes.patch`, then `git apply -R changes.patch` brings the
code of the run back. Which functions changed, and whether it matters, tells `rayflow diff RUN RUN`.

Like diff, it ends with exit code 0 where the files are the same, 1 where they differ, and 2 where they could not be compared.
"""
_HERE = "here"


def code_command(call: Call) -> click.Group:
    commands = [_pull_command(call), _diff_command(call)]
    return click.Group("code", commands={str(command.name): command for command in commands}, help=_HELP)


def _pull_command(call: Call) -> click.Command:
    from rayflow.package.gathering import PULLED_FILE

    def run(run: str, dir: str | None, quiet: bool, root: str | None) -> None:  # noqa: A002 - click's name of the option
        found = _run(call, run, root)
        name = f"{found.pathspec.lower().replace('/', '_')}_code"
        directory = os.path.join(call.surroundings.cwd, dir or name)
        if os.path.lexists(directory) and not (os.path.isdir(directory) and not os.listdir(directory)):
            raise UserError(f"{directory} exists, and is left as it is. Name another with --dir.")
        archive = _code(found).archive
        archive.extract(directory)
        with open(os.path.join(directory, PULLED_FILE), "w", encoding="utf-8") as file:
            file.write(f"{found.pathspec}\n")
        if not quiet:
            call.err.write(f"{counted(len(archive.names), 'file')} of {found.pathspec} in:\n")
        call.out.write(f"{dir or name}\n")

    params: list[click.Parameter] = [
        click.Argument(["run"], metavar="RUN"),
        click.Option(["--dir"], metavar="DIR", help="Where to put them: a directory that is not there. Default: flow_run_code, here."),
        quiet_option("Only the directory."),
        root_option(),
    ]
    return click.Command("pull", callback=run, params=params, help="Put the code of a run into a directory.")


def _diff_command(call: Call) -> click.Command:
    def run(runs: tuple[str, ...], dir: str | None, json: bool, quiet: bool, root: str | None) -> int:  # noqa: A002
        if not 1 <= len(runs) <= 2:
            raise UsageError("Give one run, whose code is compared with what is here, or two.")
        if len(runs) == 2 and dir is not None:
            raise UsageError("With two runs, nothing is compared with a directory. Leave --dir out, or one of the runs.")
        try:
            found = [_run(call, text, root) for text in runs]
            names, changes = _compared(call, found, dir)
        except UsageError:
            raise
        except RayflowException as error:  # 1 says that they differ
            call.err.write(block(error))
            return USAGE
        if json:
            call.out.write(_as_json(names, changes) + "\n")
        elif not quiet:
            _tell(call, names, changes)
        return 1 if changes else 0

    params: list[click.Parameter] = [
        click.Argument(["runs"], nargs=-1, metavar="RUN [RUN]"),
        click.Option(["--dir"], metavar="DIR", help="With one run: the directory of the flow's file. Default: the working directory."),
        json_option(),
        quiet_option("Only the exit code."),
        root_option(),
    ]
    return click.Command("diff", callback=run, params=params, help=_DIFF_HELP)


def _run(call: Call, text: str, root: str | None) -> Run:
    place = place_named(call.surroundings.root(root), text)
    if place.step is not None:
        raise UsageError(f"Runs have code: '{text}' names a step or a task. Give RUN or Flow/RUN.")
    return place.run


def _code(run: Run) -> RayflowCode:
    code = run.code
    if code is None:
        raise RayflowDataMissing(f"Run {run.pathspec} has no stored code: its flow has no file.")
    return code


def _compared(call: Call, runs: list[Run], directory: str | None) -> tuple[list[str], list[CodeChange]]:
    """What is compared, and how it differs."""
    from rayflow.client.patch import file_changes

    names = [run.pathspec for run in runs]
    files = [_code(run).files for run in runs]
    if len(runs) == 1:
        names.append(_HERE)
        files.append(_files_here(call, runs[0], directory))
    return names, file_changes(*files)


def _files_here(call: Call, run: Run, directory: str | None) -> dict[str, bytes]:
    """What a package of that flow would hold if it was made now, of the suffixes and modules that the run asked for."""
    from rayflow.package.archive import Archive
    from rayflow.package.gathering import Wanted, build_package

    directory = os.path.join(call.surroundings.cwd, directory or "")
    record = run.handle.record
    script = os.path.join(directory, record.script)
    if not os.path.isfile(script):
        raise UserError(f"There is no {record.script} in {directory}. Go to the directory of the flow, or name it with --dir.")
    asked: dict[str, Any] = record.facts.get("package", {})
    sys.path.insert(0, directory)
    try:
        package = build_package(Wanted(script, tuple(asked.get("suffixes", ())), tuple(asked.get("modules", ()))))
    finally:
        sys.path.remove(directory)
    return Archive(package.content, script).files()


def _tell(call: Call, names: list[str], changes: list[CodeChange]) -> None:
    show = harmless if call.out.isatty() else str
    for change in changes:
        for line in change.diff.splitlines() if call.out.isatty() else [change.diff.removesuffix("\n")]:
            call.out.write(show(line) + "\n")
    told = f"{counted(len(changes), 'file')} differ" if len(changes) != 1 else "1 file differs"
    call.err.write(f"{names[0]} and {names[1]}: {told if changes else 'the same code'}\n")


def _as_json(names: list[str], changes: list[CodeChange]) -> str:
    files = [{"name": change.name, "change": change.change, "diff": change.diff} for change in changes]
    return json.dumps({"compared": names, "is_equal": not changes, "files": files}, indent=2)
