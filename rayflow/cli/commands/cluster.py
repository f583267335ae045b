"""`up` and `down`: the Ray cluster of this machine that outlives runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from rayflow.cli.commands.call import Call

if TYPE_CHECKING:
    from rayflow.executors.warm import Wanted, WarmCluster

_UP_HELP = """Keep a Ray cluster on this machine, so that runs need not start one.

Runs of this user and this Python environment join it by themselves where Ray gains something: flows with a foreach or @resources, and
--executor ray. It listens on 127.0.0.1 only, and asks for a token. It ends when no run has used it for a while, or by `rayflow down`.
Ray clusters of your own are neither used nor touched. What is known of it is kept in RAYFLOW_STATE_DIR (default:
~/.local/state/rayflow).
"""
_DOWN_HELP = "End the cluster that `rayflow up` keeps, and nothing else. Where none is up, that is said, and fine."


def up_command(call: Call) -> click.Command:
    """`up`: starts the cluster unless it is there; returns when a first task has run on it."""

    def run(num_cpus: int | None, num_gpus: int | None, idle: float) -> None:
        from rayflow.executors.warm import Shelf, Wanted

        wanted = Wanted(num_cpus, num_gpus, idle)
        call.err.write("Ray starts on this machine; that takes about five seconds ...\n" if call.err.isatty() else "")
        cluster, is_new = Shelf(call.surroundings.state_dir).up(wanted)
        if is_new:
            _use_once(cluster)
            call.out.write(f"The cluster is up: {_spelled(cluster)}. {_ends(cluster)}\n")
            return
        call.out.write(f"The cluster is up already, for {_since(cluster)}: {_spelled(cluster)}. {_ends(cluster)}\n")
        if _differs(cluster, wanted):
            call.err.write("It stays as it is. To start it with other options: rayflow down, then rayflow up ...\n")

    options = [
        click.Option(["--num-cpus"], type=click.IntRange(min=1), metavar="N", help="CPUs that tasks may ask for. Default: the machine's."),
        click.Option(["--num-gpus"], type=click.IntRange(min=0), metavar="N", help="GPUs that tasks may ask for. Default: the machine's."),
        click.Option(
            ["--idle"],
            type=click.FloatRange(min=0),
            default=15.0,
            show_default=True,
            metavar="MINUTES",
            help="End it when no run has used it for so long; 0: never.",
        ),
    ]
    return click.Command("up", callback=run, params=[*options], help=_UP_HELP)


def down_command(call: Call) -> click.Command:
    """`down`: ends the cluster. Exit code 0 whether or not there was one; 1 while a run uses it."""

    def run(force: bool) -> None:
        from rayflow.executors.warm import Shelf

        was_up = Shelf(call.surroundings.state_dir).down(is_forced=force)
        call.out.write("The cluster is down.\n" if was_up else "No cluster is up.\n")

    force = click.Option(["--force"], is_flag=True, help="Even while a run uses it: that run fails, and can be resumed.")
    return click.Command("down", callback=run, params=[force], help=_DOWN_HELP)


def _use_once(cluster: WarmCluster) -> None:
    """The first to join waits seconds for what Ray does only once: better now than in a run."""
    from rayflow.executors.ray import RayExecutor
    from rayflow.runtime.crew import ENTRY

    executor = RayExecutor(ENTRY, warm=cluster)
    try:
        executor.wait_until_ready()
    finally:
        executor.close()


def _spelled(cluster: WarmCluster) -> str:
    gpus = f", {cluster.num_gpus} GPUs" if cluster.num_gpus else ""
    return f"{cluster.num_cpus} CPUs{gpus}, at {cluster.address}"


def _ends(cluster: WarmCluster) -> str:
    if not cluster.idle_min:
        return "It ends by `rayflow down`."
    return f"It ends by `rayflow down`, or when no run has used it for {cluster.idle_min:g} minutes."


def _since(cluster: WarmCluster) -> str:
    seconds = time.time() - cluster.started_us / 1e6
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _differs(cluster: WarmCluster, wanted: Wanted) -> bool:
    return (
        wanted.num_cpus not in (None, cluster.num_cpus)
        or wanted.num_gpus not in (None, cluster.num_gpus)
        or wanted.idle_min != cluster.idle_min
    )
