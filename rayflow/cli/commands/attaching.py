"""`attach` and `stop`: a run that somebody else drives, from any machine that reads its root."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call
from rayflow.cli.fence import INTERRUPTED
from rayflow.cli.locating import place_named
from rayflow.cli.options import json_option, quiet_option, root_option, stated
from rayflow.model.errors import ClusterFault, UserError
from rayflow.model.records import Outcome
from rayflow.submission.job import job_id

if TYPE_CHECKING:
    from rayflow.client.runs import Run
    from rayflow.runtime.notices import Reporter
    from rayflow.submission.job import JobState, Platform

_LAST_LINES = 12
_ATTACH_HELP = """Follow a run that is driven elsewhere, or in another terminal, to its end. Ctrl-C leaves it alone.

What is shown comes from the root, also when the cluster is gone. Exit code as of `run`: 0 where the run succeeded, 1 where it failed or its
driver is gone.
"""
_STOP_HELP = """Stop a run: tasks in progress are ended, what is done stays, and `resume` continues it.

A submitted run is stopped by the place that drives it; a run of this machine by a signal to its driver.
"""


def attach_command(call: Call) -> click.Command:
    def run(run: str, **_: Any) -> None:
        ctx = click.get_current_context()
        options = stated(ctx)
        ctx.exit(followed(call, options, call.surroundings.root(options["root"]), run))

    params: list[click.Parameter] = [
        click.Argument(["run"], metavar="RUN"),
        root_option(),
        quiet_option("Only the run log: no live view."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Show tracebacks in full."),
        json_option("Events as JSON lines on stdout, for programs."),
    ]
    return click.Command("attach", callback=run, params=params, help=_ATTACH_HELP)


def stop_command(call: Call) -> click.Command:
    def run(run: str, root: str | None) -> None:
        _stop(call, place_named(call.surroundings.root(root), run).run)

    return click.Command("stop", callback=run, params=[click.Argument(["run"], metavar="RUN"), root_option()], help=_STOP_HELP)


def followed(call: Call, options: Mapping[str, Any], root_url: str, name: str, epoch: int = 0) -> int:
    """Tells the run to its end; the exit code. `epoch`: the driver after which another was asked for."""
    run = place_named(root_url, name).run
    is_live = call.is_live and not options["quiet"] and not options["json"]
    if not is_live:
        return _told(call, run, _reporter(call, options), epoch)
    from rayflow.cli.commands.showing import live_reporter

    facts = run.handle.record.facts.get("submitted_to", {})
    reporter = live_reporter(call, {**options, "address": facts.get("address"), "executor": "ray" if facts else "auto"})
    try:
        return _told(call, run, reporter, epoch)
    finally:
        reporter.close()


def _reporter(call: Call, options: Mapping[str, Any]) -> Reporter:
    if options["json"]:
        from rayflow.cli.reporting.jsonlines import JsonReporter

        return JsonReporter(call.out)
    from rayflow.cli.reporting.plain import PlainReporter

    return PlainReporter(call.out, call.err, call.prompt, is_verbose=options["verbose"])


def _told(call: Call, run: Run, reporter: Reporter, epoch: int) -> int:
    from rayflow.submission.watching import Watch, wait_for_driver

    platform = platform_of_run(run)
    driver = _Driver(platform, run)
    try:
        if epoch:
            wait_for_driver(run, epoch, driver.is_over)
        outcome = Watch(run, reporter, driver.is_over, lambda: driver.waits_for).follow()
    except KeyboardInterrupt:
        again = call.prompt.of_run("attach", run.id)
        call.err.write(f"\nThe run goes on. Follow it again: {again}    Stop it: {call.prompt.of_run('stop', run.id)}\n")
        return INTERRUPTED
    if outcome is None:
        _tell_gone(call, run, platform)
        return 1
    return {Outcome.SUCCEEDED: 0, Outcome.FAILED: 1}.get(outcome, INTERRUPTED)


def platform_of_run(run: Run) -> Platform | None:
    """Where the run was submitted to; None where it was not."""
    from rayflow.submission.platforms import platform_of

    facts = run.handle.record.facts.get("submitted_to")
    return platform_of(facts) if facts else None


@dataclass
class _Driver:
    """What the place says of the run's driver, as last asked. `waits_for`: why it has not started; "" where nothing is known to be wrong.

    A place that cannot be asked does not have it any more, once it has begun: the root knows the rest. Before that, it is waited for.
    """

    platform: Platform | None
    run: Run
    waits_for: str = ""

    def is_over(self) -> bool:
        """Asks. Whether it will not go on."""
        if self.platform is None:
            return True
        try:
            state = self.platform.state(job_id(self.run.id))
        except (ClusterFault, UserError) as fault:
            is_awaited = self.run.handle.waits_for_driver
            self.waits_for = str(fault) if is_awaited else ""
            return not is_awaited
        self.waits_for = "" if state.status.is_over or not self.run.handle.waits_for_driver else state.why
        return state.status.is_over


def _tell_gone(call: Call, run: Run, platform: Platform | None) -> None:
    call.err.write(f"Nobody drives run {run.pathspec} any more, and its end is not recorded.\n")
    if platform is not None:
        try:
            _tell_job(call, platform.state(job_id(run.id)), platform.output(job_id(run.id)))
        except (ClusterFault, UserError) as fault:
            call.err.write(f"{fault}\n")
    call.err.write(f"Continue it: {call.prompt.resume(run.id)}\n")


def _tell_job(call: Call, state: JobState, output: str) -> None:
    call.err.write(f"Its job is {state.status.value}. {state.why}\n".replace(". \n", ".\n"))
    lines = output.rstrip().splitlines()[-_LAST_LINES:]
    if lines:
        call.err.write("The last that its driver printed:\n" + "".join(f"    {line}\n" for line in lines))


def _stop(call: Call, run: Run) -> None:
    if run.handle.opened.ending is not None:
        call.out.write(f"Run {run.pathspec} has ended already: {run.state}.\n")
        return
    platform = platform_of_run(run)
    if platform is not None:
        platform.stop(job_id(run.id))
    else:
        _signal_driver(run)
    call.out.write(f"Run {run.pathspec} is being stopped. Continue it: {call.prompt.resume(run.id)}\n")


def _signal_driver(run: Run) -> None:
    """SIGTERM to the driver, where it is a process of this machine. UserError where it is not, or where nobody drives the run."""
    from rayflow.catalog.ownership import is_here, owner_of

    handle = run.handle
    owner = owner_of(handle.store, handle.layout)
    if owner is None or not handle.is_alive():
        raise UserError(f"Nobody drives run {run.pathspec}, so that there is nothing to stop. `rayflow resume {run.id}` continues it.")
    if not is_here(owner):
        raise UserError(f"Run {run.pathspec} is driven by {owner}. Stop it there: rayflow stop {run.id}")
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except PermissionError:
        raise UserError(f"Run {run.pathspec} is driven by {owner}, a process of another user.") from None
