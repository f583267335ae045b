"""`tag add | remove | replace | list`: the tags of runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.options import json_option, quiet_option, root_option, stated
from rayflow.cli.reporting.drawing import draw_table
from rayflow.cli.reporting.text import harmless
from rayflow.model.errors import RayflowNamespaceMismatch, RayflowNotFound, RayflowTaggingError, UsageError

if TYPE_CHECKING:
    from rayflow.client.runs import Run

Change = Callable[["Run", list[str]], None]

_HELP = """Show and change the tags of runs.

Tags of the user can be changed by anyone at any time; system tags (user:ann, runtime:dev) say who and what made a run, and stay.
"""
_OF_RUN = "[RUN] TAG..."
_NAMESPACE_HELP = "Refuse a run that does not have this tag (user:ann). Default: any run."


def tag_command(call: Call) -> click.Group:
    """`rayflow tag`: of runs of any flow, each named before its tags."""
    return _Tagging(call).group()


def flow_tag_command(flow_call: FlowCall) -> click.Group:
    """`python flow.py tag`: of runs of one flow, named by `--run-id`."""
    return _Tagging(flow_call.call, flow_call).group()


class _Tagging:
    """The commands, about the runs of one flow or of any."""

    def __init__(self, call: Call, flow_call: FlowCall | None = None) -> None:
        self._call = call
        self._flow_call = flow_call
        self._flow = flow_call.flow_class.__name__ if flow_call is not None else None

    def group(self) -> click.Group:
        commands = [self._add(), self._remove(), self._replace(), self._list()]
        return click.Group("tag", commands={str(command.name): command for command in commands}, help=_HELP)

    # -- changing ------------------------------------------------------------------------------------------------------

    def _add(self) -> click.Command:
        def run(words: tuple[str, ...], **_: Any) -> None:
            self._change(words, lambda run, tags: run.add_tags(tags))

        return self._changing("add", run, "Add tags to a run. Those that it has already are passed over.")

    def _remove(self) -> click.Command:
        def run(words: tuple[str, ...], **_: Any) -> None:
            self._change(words, lambda run, tags: run.remove_tags(tags))

        return self._changing("remove", run, "Remove tags from a run. Those that it does not have are passed over.")

    def _replace(self) -> click.Command:
        def run(words: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], **_: Any) -> None:
            if not add or not remove:
                raise RayflowTaggingError("Replacing takes --add and --remove. To do one of them, use `tag add` or `tag remove`.")
            self._change(words, lambda run, _: run.replace_tags(remove, add), takes_tags=False)

        added = [
            click.Option(["--add"], multiple=True, metavar="TAG", help="A tag to add (repeatable)."),
            click.Option(["--remove"], multiple=True, metavar="TAG", help="A tag to remove (repeatable)."),
        ]
        return self._changing("replace", run, "Remove some tags of a run and add others, at once.", "[RUN]", added)

    def _changing(self, name: str, run: Any, description: str, words: str = _OF_RUN, more: Sequence[click.Option] = ()) -> click.Command:
        params: list[click.Parameter] = [
            click.Argument(["words"], nargs=-1, metavar=words if self._flow is None else words.removeprefix("[RUN]").strip()),
            click.Option(["--run-id"], metavar="RUN", help="The run, where it is not the first argument."),
            *more,
            click.Option(["--namespace"], metavar="TAG", help=_NAMESPACE_HELP),
            root_option(),
            quiet_option("Only the tags, on one line."),
        ]
        return click.Command(name, callback=run, params=params, help=description)

    def _change(self, words: Sequence[str], change: Change, *, takes_tags: bool = True) -> None:
        options = self._begin()
        run, tags = self._named(options, list(words), takes_tags=takes_tags)
        change(run, tags)
        if options["quiet"]:
            self._tell_plainly([run])
        else:
            self._call.out.write("Operation successful. New tags:\n")
            self._draw(run, with_system=True)

    def _named(self, options: Mapping[str, Any], words: list[str], *, takes_tags: bool) -> tuple[Run, list[str]]:
        """The run that is meant, and the other words."""
        name = options["run_id"]
        if name is None and self._flow is None and words:
            name = words.pop(0)
        if name is None:
            raise RayflowTaggingError(self._which_run(options))
        if words and not takes_tags:
            raise UsageError(f"Got an unexpected argument '{words[0]}'.")
        run = self._run(options, name)
        namespace = options["namespace"]
        if namespace and namespace not in run.tags:
            raise RayflowNamespaceMismatch(f"Run {run.pathspec} is not in namespace '{namespace}'. Leave --namespace out, or give another.")
        return run, words

    def _run(self, options: Mapping[str, Any], name: str) -> Run:
        from rayflow.cli.locating import place_named

        place = place_named(self._call.surroundings.root(options.get("root")), name, self._flow)
        if place.step is not None:
            raise UsageError(f"Tags belong to runs: '{name}' names a step or a task. Give RUN or Flow/RUN.")
        return place.run

    def _which_run(self, options: Mapping[str, Any]) -> str:
        from rayflow.cli.locating import run_named

        try:
            latest = run_named(self._call.surroundings.root(options.get("root")), "latest", self._flow)
        except RayflowNotFound:
            return "A run must be named with --run-id, and there is none yet."
        return f"A run must be named with --run-id. The latest one is {latest}: --run-id {latest.run_id}."

    # -- listing -------------------------------------------------------------------------------------------------------

    def _list(self) -> click.Command:
        def run(target: str | None, **_: Any) -> None:
            options = self._begin()
            if options["all"] and options["my_runs"]:
                raise UsageError("--all and --my-runs exclude each other.")
            if sum((options["group_by_tag"], options["group_by_run"], options["flat"])) > 1:
                raise UsageError("--group-by-tag, --group-by-run and --flat exclude each other.")
            if target is not None and options["run_id"] is not None:
                raise UsageError("The run is given twice: as an argument and as --run-id.")
            self._tell(options, options["run_id"] or target)

        params: list[click.Parameter] = [
            click.Argument(["target"], required=False, metavar="[RUN]" if self._flow else "[RUN | FLOW]"),
            click.Option(["--run-id"], metavar="RUN", help="Of this run. Default: of all runs."),
            click.Option(["--all"], is_flag=True, help="Of all runs (default)."),
            click.Option(["--my-runs"], is_flag=True, help="Only of runs that you started."),
            click.Option(["--hide-system-tags"], is_flag=True, help="Only tags of users."),
            click.Option(["--group-by-tag"], is_flag=True, help="Each tag with the runs that have it."),
            click.Option(["--group-by-run"], is_flag=True, help="Each run with its tags."),
            click.Option(["--flat"], is_flag=True, help="One tag on each line."),
            click.Option(["--namespace"], metavar="TAG", help="Only of runs that have this tag (user:ann)."),
            json_option("As JSON: runs with their tags."),
            root_option(),
            quiet_option("A line for each run: run ; system,tags ; user,tags."),
        ]
        return click.Command("list", callback=run, params=params, help="Show the tags of a run, or of all runs.")

    def _tell(self, options: Mapping[str, Any], target: str | None) -> None:
        runs = list(self._runs(options, target))
        with_system = not options["hide_system_tags"]
        is_flow = target is None or target in self._flows(options)
        if options["json"]:
            forms = [{"run": run.pathspec, "system_tags": sorted(run.system_tags), "tags": sorted(run.user_tags)} for run in runs]
            self._call.out.write(json.dumps(forms, indent=2) + "\n")
        elif options["flat"]:
            self._lines(sorted({tag for run in runs for tag in _shown(run, with_system)}))
        elif options["group_by_tag"]:
            rows = [(tag, ", ".join(runs_of)) for tag, runs_of in sorted(_by_tag(runs, with_system).items())]
            draw_table(self._call.out, ("tag", "runs"), rows)
        elif options["group_by_run"]:
            draw_table(self._call.out, ("run", "tags"), [(run.pathspec, ", ".join(sorted(_shown(run, with_system)))) for run in runs])
        elif options["quiet"]:
            self._tell_plainly(runs, with_system=with_system)
        elif len(runs) == 1 and not is_flow:
            self._draw(runs[0], with_system=with_system)
        else:
            counts = sorted(((tag, len(found)) for tag, found in _by_tag(runs, with_system).items()), key=lambda each: (-each[1], each[0]))
            draw_table(self._call.out, ("tag", "runs"), counts)

    def _runs(self, options: Mapping[str, Any], target: str | None) -> Iterator[Run]:
        """Those that are asked for, newest first, flow after flow."""
        from rayflow.client.base import reference
        from rayflow.client.flows import Flow
        from rayflow.client.roots import root_at

        root = root_at(self._call.surroundings.root(options.get("root")))
        wanted = [f"user:{self._call.surroundings.user}"] if options["my_runs"] else []
        wanted += [options["namespace"]] if options["namespace"] else []
        flows = self._flows(options)
        if target is not None and target not in flows:
            run = self._run(options, target)
            if not run.tags.issuperset(wanted):
                raise RayflowNamespaceMismatch(f"Run {run.pathspec} has no tag {' and '.join(map(repr, wanted))}.")
            yield run
            return
        chosen = [name for name in flows if target in (None, name) and self._flow in (None, name)]
        found = [run for name in chosen for run in reference(Flow, root, (name,), None).runs(*wanted)]
        if not found:
            raise RayflowNotFound(f"There are no such runs under {root.url}.")
        yield from found

    def _flows(self, options: Mapping[str, Any]) -> list[str]:
        from rayflow.client.roots import root_at

        return root_at(self._call.surroundings.root(options.get("root"))).flows()

    # -- telling -------------------------------------------------------------------------------------------------------

    def _begin(self) -> dict[str, Any]:
        options = stated(click.get_current_context())
        if self._flow_call is not None:
            self._flow_call.greet(options)
        return options

    def _draw(self, run: Run, *, with_system: bool) -> None:
        rows = [(tag, "user") for tag in sorted(run.user_tags)]
        rows += [(tag, "system") for tag in sorted(run.system_tags)] if with_system else []
        draw_table(self._call.out, ("tag", "whose"), rows, [whose == "user" for _, whose in rows])

    def _tell_plainly(self, runs: Iterable[Run], *, with_system: bool = True) -> None:
        for run in runs:
            system = ",".join(sorted(run.system_tags)) if with_system else ""
            self._lines([f"{run.pathspec} ; {system} ; {','.join(sorted(run.user_tags))}"])

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._call.out.write(harmless(line) + "\n")


def _shown(run: Run, with_system: bool) -> frozenset[str]:
    return run.tags if with_system else run.user_tags


def _by_tag(runs: Iterable[Run], with_system: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for tag in _shown(run, with_system):
            found[tag].append(run.pathspec)
    return found
