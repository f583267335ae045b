"""`doctor`: what keeps runs from working here, or a flow of Metaflow's from running on rayflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from rayflow.cli.checking import Check, State, checks
from rayflow.cli.commands.call import Call
from rayflow.cli.options import json_option, root_option
from rayflow.cli.porting import findings

_HELP = """Check this installation and the root; or, with FLOW.py, tell what a flow uses that differs from Metaflow or is missing here.

Without a file: versions, settings, the root (an object is written there and removed again), disks, shared memory, the local cluster.
Files are read and never run. Exit code 1 where something fails, or keeps a flow from running.
"""


def doctor_command(call: Call) -> click.Command:
    """`doctor [FLOW.py...]`."""

    def run(files: tuple[str, ...], root: str | None, json: bool) -> None:
        passed = _examined(call, files, as_json=json) if files else _checked(call, root, as_json=json)
        click.get_current_context().exit(0 if passed else 1)

    params: list[click.Parameter] = [click.Argument(["files"], nargs=-1, metavar="[FLOW.py]..."), root_option(), json_option()]
    return click.Command("doctor", callback=run, params=params, help=_HELP)


def _checked(call: Call, root: str | None, *, as_json: bool) -> bool:
    done: list[Check] = []
    for check in checks(call.surroundings, root):
        done.append(check)
        if not as_json:
            call.out.write(f"{check.state.value:5} {check.told}\n")
            call.out.write(f"      {check.fix}\n" if check.fix else "")
    if as_json:
        call.out.write(json.dumps([{**asdict(check), "state": check.state.value} for check in done], indent=2) + "\n")
    return all(check.state is not State.FAIL for check in done)


def _examined(call: Call, files: tuple[str, ...], *, as_json: bool) -> bool:
    found = [(path, finding) for path in files for finding in findings(_path_of(path))]
    if as_json:
        call.out.write(json.dumps([{"file": path, **asdict(finding)} for path, finding in found], indent=2) + "\n")
    else:
        for path, finding in found:
            call.out.write(f"{_path_of(path)}:{finding.line}: {finding.name} {'blocks' if finding.is_blocking else 'differs'}\n")
            call.out.write(f"    {finding.here} {finding.way_out}\n")
        call.out.writelines(f"{line}\n" for line in _summary(len(files), [finding.is_blocking for _, finding in found]))
    return not any(finding.is_blocking for _, finding in found)


def _summary(files: int, blocking: list[bool]) -> Iterator[str]:
    where = "the file" if files == 1 else f"the {files} files"
    if any(blocking):
        yield f"{sum(blocking)} of {len(blocking)} findings in {where} keep the flow from running."
    elif blocking:
        yield f"Nothing in {where} keeps the flow from running."
    else:
        yield f"Nothing in {where} differs."


def _path_of(argument: str) -> str:
    """`train.py:Class` -> `train.py`."""
    path, colon, _ = argument.partition(".py:")
    return f"{path}.py" if colon else argument
