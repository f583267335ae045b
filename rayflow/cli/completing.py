"""What a shell offers after `rayflow ...<TAB>`: commands, options, names of runs, flows and steps, parameters of a flow's file.

The scripts, and how shells ask, are click's. A flow's file is read, never imported: TAB runs nobody's code. Names of runs are looked for on
local roots only, since a bucket takes longer than a finger. Whatever goes wrong, nothing is offered, and nothing is said.
"""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from rayflow.cli.arguments import split_flow
from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.commands.completion import VARIABLE
from rayflow.cli.commands.flow import FlowGroup
from rayflow.cli.commands.root import RootGroup
from rayflow.cli.options import launch_options, shared_options
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.ports import Store

_MAX_RUNS = 30
_MAX_NBYTES = 1 << 20

_ARGUMENTS = {
    "run": ("files",),
    "check": ("files",),
    "package": ("files",),
    "code": ("runs",),
    "spin": ("files",),
    "doctor": ("files",),
    "resume": ("runs and files", "steps"),
    "show": ("runs and files",),
    "ls": ("flows",),
    "logs": ("runs and files",),
    "dump": ("runs and files",),
    "path": ("runs",),
    "diff": ("runs",),
    "tag": ("runs and files",),
    "verify": ("runs",),
    "rm": ("runs",),
}
"""Command -> what its arguments are; the last stands for all that follow."""


def answer(call: Call, instruction: str) -> int:
    """Answers a shell, which has put the words into the environment; `instruction` is `bash_complete` and the like."""
    asking = get_completion_class(instruction.partition("_")[0])
    if asking is None:
        return 1
    with contextlib.suppress(Exception):  # a shell would show the traceback in the middle of the line
        comp = asking(click.Group("rayflow"), {}, "rayflow", VARIABLE)
        words, incomplete = comp.get_completion_args()
        call.out.write("\n".join(map(comp.format_completion, completions(call, words, incomplete))) + "\n")
    return 0


def completions(call: Call, words: list[str], incomplete: str) -> list[CompletionItem]:
    """What `incomplete`, after these words, may become."""
    flow, rest = split_flow(words)
    group = _AnyFlow(call, flow) if flow is not None else _Root(call)
    found = ShellComplete(group, {}, "rayflow", VARIABLE).get_completions(rest, incomplete)
    if not rest and not flow and incomplete and not incomplete.startswith("-"):
        found += [item for item in _files(incomplete) if not found]
    return found


class _Root(RootGroup):
    """The commands of `rayflow`, whose arguments know what they may be."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("run", "check"):
            options = [*(launch_options() if cmd_name == "run" else ()), *shared_options()]
            command: click.Command | None = click.Command(cmd_name, params=[click.Argument(["flow"], nargs=-1), *options])
        else:
            command = super().get_command(ctx, cmd_name)
        if command is not None and cmd_name in _ARGUMENTS:
            _teach(command, _ARGUMENTS[cmd_name], self.call)
        return command


class _AnyFlow(FlowGroup):
    """The commands of a flow that is not loaded. `run` has the Parameters that its file shows."""

    def __init__(self, call: Call, flow: str) -> None:
        super().__init__(FlowCall(call, FlowSpec))
        self._file = flow.partition(".py")[0] + ".py"

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "run":
            parameters = [click.Option([f"--{name}"], help=told) for name, told in _parameters(self._file)]
            return click.Command("run", params=[*parameters, *launch_options(), *shared_options()])
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            kinds = {"resume": ("steps",), "spin": ("steps",), "logs": ("runs",), "dump": ("runs",), "tag": ("runs",)}.get(cmd_name, ())
            _teach(command, kinds, self.flow_call.call)
        return command


def _teach(command: click.Command, kinds: tuple[str, ...], call: Call) -> None:
    """Has the command's arguments offer what they may be."""
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _teach(below, kinds, call)
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    for position, argument in enumerate(arguments):
        if kinds:
            argument.shell_complete = _offer(kinds[min(position, len(kinds) - 1)], call)


def _offer(kind: str, call: Call) -> Callable[..., list[CompletionItem]]:
    def shell_complete(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if kind == "files":
            return _files(incomplete)
        store = _local_store(call, ctx)
        if store is None:
            return []
        if kind == "steps":
            names: Iterable[str] = _steps(store, ctx.params.get("run") or "latest")
        elif kind == "flows":
            names = _flows(store)
        else:
            names = _places(store, incomplete)
        offered = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return offered + (_files(incomplete) if kind == "runs and files" and incomplete else [])

    return shell_complete


# -- what there is -----------------------------------------------------------------------------------------------------


def _files(incomplete: str) -> list[CompletionItem]:
    """Python files, and the directories on the way to more."""
    directory, _, start = incomplete.rpartition("/")
    prefix = f"{directory}/" if "/" in incomplete else ""
    found: list[CompletionItem] = []
    with contextlib.suppress(OSError), os.scandir(os.path.expanduser(prefix) or ".") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
                if entry.is_dir():
                    found.append(CompletionItem(f"{prefix}{entry.name}/"))
                elif entry.name.endswith(".py"):
                    found.append(CompletionItem(f"{prefix}{entry.name}"))
    return found


def _local_store(call: Call, ctx: click.Context) -> Store | None:
    from rayflow.store.opening import open_root

    url = call.surroundings.root(ctx.params.get("root"))
    return None if "://" in url else open_root(url, create=False)


def _flows(store: Store) -> list[str]:
    from rayflow.catalog.index import flows_of

    return flows_of(store)


def _places(store: Store, incomplete: str) -> Iterator[str]:
    """`RUN`, `Flow/RUN`, and once a run is named `RUN/step`."""
    flows = _flows(store)
    first, slash, rest = incomplete.partition("/")
    if slash and first in flows:
        if "/" in rest:
            run = f"{first}/{rest.partition('/')[0]}"
            yield from (f"{run}/{step}" for step in _steps(store, run))
        else:
            yield from (f"{first}/{run_id}" for run_id in _run_ids(store, [first]))
    elif slash:
        yield from (f"{first}/{step}" for step in _steps(store, first))
    else:
        yield from ("latest", "latest-failed", *_run_ids(store, flows), *(f"{flow}/" for flow in flows))


def _run_ids(store: Store, flows: Iterable[str]) -> list[str]:
    from rayflow.catalog.index import newest_first

    entries = [entry for flow in flows for entry in islice(newest_first(store, flow), _MAX_RUNS)]
    return [entry.run_id for entry in sorted(entries, key=lambda entry: -entry.created_us)[:_MAX_RUNS]]


def _steps(store: Store, run: str) -> list[str]:
    from rayflow.catalog.run import read_run

    flow, run_id = _named(store, run)
    return [node.name for node in read_run(store, flow, run_id).graph]


def _named(store: Store, run: str) -> tuple[str, str]:
    """The run that is meant, as `client.lookup` finds it, which would be 66 ms to import. StopIteration, ValueError: there is none."""
    from rayflow.catalog.index import newest_first
    from rayflow.model.records import Outcome

    named, _, wanted = run.rpartition("/")
    entries = [(flow, entry) for flow in ([named] if named else _flows(store)) for entry in newest_first(store, flow)]
    if wanted in ("latest", "latest-failed"):
        found = [each for each in entries if wanted == "latest" or each[1].outcome is Outcome.FAILED]
        flow, entry = max(found, key=lambda each: each[1].created_us)
    else:
        flow, entry = next(each for each in entries if each[1].run_id.endswith(wanted))
    return flow, entry.run_id


def _parameters(path: str) -> list[tuple[str, str]]:
    """Names and helps of the Parameters that are written in the file. What a base class elsewhere has is not seen."""
    if not os.path.isfile(path) or os.path.getsize(path) > _MAX_NBYTES:
        return []
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Parameter", "IncludeFile"):
            stated = {keyword.arg: keyword.value for keyword in node.keywords}
            name = node.args[0] if node.args else stated.get("name")
            told = stated.get("help")
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.append((name.value, str(told.value) if isinstance(told, ast.Constant) else ""))
    return found
