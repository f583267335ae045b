"""`verify`, `rm` and `gc`: whether what lies under the root is whole, and how it becomes less."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.moments import age_us
from rayflow.cli.options import json_option, root_option
from rayflow.cli.reporting.text import harmless, size
from rayflow.model.errors import RayflowNotFound, UsageError

if TYPE_CHECKING:
    from rayflow.model.ports import Store
    from rayflow.upkeep import Removal, Verified

_VERIFY_HELP = """Read everything that runs refer to, and compare it with what was stored.

RUN is a run; without any, all runs under the root are looked at. What is damaged is named, with the steps that a resume performs again:
`resume --verify` looks at every value of its origin in this way, a plain resume only at what is gone or cut short. Exit code 1 if
anything is damaged.
"""
_RM_HELP = """Remove runs. What other runs refer to stays until those are removed too.

Refused for a run that is in progress, and for one that another run continues which has not succeeded.
"""
_GC_HELP = """Show what no run needs any more, and with --delete remove it.

That is what failed attempts and killed drivers left in runs that succeeded, code packages of runs that are gone, and, with --older-than,
runs that are so old. Runs that did not succeed are not touched otherwise, since they may be resumed. Safe beside runs in progress.
"""


def verify_command(call: Call) -> click.Command:
    def run(runs: tuple[str, ...], json: bool, root: str | None) -> int:
        from rayflow.client.roots import root_at

        reading = root_at(call.surroundings.root(root))
        wanted = _named(call, runs, root) or [(flow, entry.run_id) for flow in reading.flows() for entry in reading.runs(flow)]
        if not wanted:
            raise RayflowNotFound(f"There are no runs under {reading.url}.")
        found: list[Verified] = []
        for each in _verified(reading.store, wanted):
            found.append(each)
            if not json:
                _tell_damages(call, reading.store, found[-1])
        if json:
            _as_json(call, found)
        else:
            call.out.write(_summary(found) + "\n")
        return int(any(each.damages for each in found))

    params: list[click.Parameter] = [
        click.Argument(["runs"], nargs=-1, metavar="[RUN]..."),
        json_option("As JSON."),
        root_option(),
    ]
    return click.Command("verify", callback=run, params=params, help=_VERIFY_HELP)


def _named(call: Call, runs: tuple[str, ...], root: str | None) -> list[tuple[str, str]]:
    from rayflow.cli.locating import place_named

    found: list[tuple[str, str]] = []
    for target in runs:
        flow, run_id = place_named(call.surroundings.root(root), target).run.path_components
        found.append((flow, run_id))
    return found


def _verified(store: Store, runs: list[tuple[str, str]]) -> Iterator[Verified]:
    """The runs, and the tags of their flows where any were changed."""
    from rayflow.upkeep import verify_run, verify_tags

    yield from (verify_run(store, flow, run_id) for flow, run_id in runs)
    tags = (verify_tags(store, flow) for flow in dict.fromkeys(flow for flow, _ in runs))
    yield from (each for each in tags if each.objects or each.damages)


def _summary(found: list[Verified]) -> str:
    looked = f"{_count(sum(bool(each.run_id) for each in found), 'run')}, {_count(sum(each.objects for each in found), 'object')}"
    damaged = [each for each in found if each.damages]
    runs, tags = _count(sum(bool(each.run_id) for each in damaged), "run"), [each.flow for each in damaged if not each.run_id]
    told = f"{runs} damaged{', and the tags of ' + ', '.join(tags) if tags else ''}" if damaged else "all as it was stored"
    return f"{looked}, {_nbytes(found)}: {told}"


def _tell_damages(call: Call, store: Store, found: Verified) -> None:
    for damage in found.damages:
        where = store.local_path(damage.key) if not damage.key.startswith("/") else damage.key
        call.out.write(f"{found.name}: {harmless(where or f'{store.url}/{damage.key}')} {harmless(damage.problem)}\n")
        call.out.write(f"    it holds {harmless(damage.what)}\n")
    if found.steps:
        damaged = {damage.step for damage in found.damages}
        again, following = ([step for step in found.steps if (step in damaged) is is_damaged] for is_damaged in (True, False))
        what_follows = f", and unless it comes out the same what follows ({', '.join(following)})" if following else ""
        call.out.write(f"    a resume with --verify performs that again ({', '.join(again)}){what_follows}\n")


def _as_json(call: Call, found: list[Verified]) -> None:
    import json

    forms: list[dict[str, Any]] = [
        {
            "run": each.name,
            "objects": each.objects,
            "nbytes": each.nbytes,
            "damages": [
                {"key": damage.key, "problem": damage.problem, "what": damage.what, "step": damage.step, "tasks": len(damage.indices)}
                for damage in each.damages
            ],
            "steps": list(each.steps),
        }
        for each in found
    ]
    call.out.write(json.dumps(forms, indent=2) + "\n")


def rm_command(call: Call) -> click.Command:
    def run(runs: tuple[str, ...], yes: bool, root: str | None) -> None:
        from rayflow.upkeep import plan_rm

        wanted = _named(call, runs, root)
        store = _store(call, root)
        now_us = time.time_ns() // 1000
        if not yes:
            foretold = plan_rm(store, wanted, now_us=now_us, deletes=False)
            if not call.out.isatty():
                raise UsageError(f"{_told(foretold, 'would be removed')} Say --yes to remove it.")
            click.confirm(f"{_told(foretold, 'will be removed')} Remove?", abort=True)
        found = plan_rm(store, wanted, now_us=now_us, deletes=True)
        _tell_kept(call, found)
        call.out.write(_told(found, "removed") + "\n")

    params: list[click.Parameter] = [
        click.Argument(["runs"], nargs=-1, required=True, metavar="RUN..."),
        click.Option(["--yes", "-y"], is_flag=True, help="Do not ask."),
        root_option(),
    ]
    return click.Command("rm", callback=run, params=params, help=_RM_HELP)


def gc_command(call: Call) -> click.Command:
    def run(flow: str | None, older_than: str | None, keep_tag: tuple[str, ...], delete: bool, root: str | None) -> None:
        from rayflow.upkeep import plan_gc

        found = plan_gc(
            _store(call, root),
            now_us=time.time_ns() // 1000,
            deletes=delete,
            flow=flow,
            older_than_us=age_us(older_than, "--older-than") if older_than is not None else None,
            kept_tags=frozenset(keep_tag),
        )
        _tell_kept(call, found)
        call.out.write(_told(found, "removed" if delete else "would be removed") + "\n")
        if not delete and found.objects:
            call.err.write("Nothing was removed yet: say --delete.\n")

    params: list[click.Parameter] = [
        click.Option(["--flow"], metavar="FLOW", help="Only of this flow."),
        click.Option(["--older-than"], metavar="AGE", help="Runs that started so long ago as well: 12h, 30d, 8w."),
        click.Option(["--keep-tag"], multiple=True, metavar="TAG", help="But none that has this tag (repeatable)."),
        click.Option(["--delete"], is_flag=True, help="Remove it; without this, only show."),
        root_option(),
    ]
    return click.Command("gc", callback=run, params=params, help=_GC_HELP)


def _store(call: Call, root: str | None) -> Store:
    from rayflow.store import open_root

    return open_root(call.surroundings.root(root), create=False)


def _tell_kept(call: Call, found: Removal) -> None:
    for text in found.kept:
        call.err.write(f"{harmless(text)}\n")


def _told(found: Removal, deed: str) -> str:
    runs = f"{_count(len(found.runs), 'run')} ({', '.join(found.runs)}), " if found.runs else ""
    return f"{runs}{_count(found.objects, 'object')} of {found.nbytes:,} bytes {deed}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _nbytes(found: list[Verified]) -> str:
    return size(sum(each.nbytes for each in found))
