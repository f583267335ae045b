"""Projects, triggers, hooks and secrets."""

from __future__ import annotations

import os

from rayflow import FlowSpec, Parameter, current, exit_hook, project, schedule, secrets, step, trigger_on_finish

CANARY = "canary"
CANARY += "-of-a-secret"  # in two parts: the code of a run is kept as it is


def note(run):
    with open(os.environ["HOOK_LOG"], "a") as file:
        file.write(f"{run.pathspec} {run.successful}\n")


def note_failure(run):
    with open(os.environ["HOOK_LOG"], "a") as file:
        file.write(f"{run.pathspec} failed\n")


def breaks():
    raise OSError("a hook")


@exit_hook(on_success=[breaks, note], on_error=["note_failure"])
@schedule(daily=True)
@project(name="fraud")
class Scored(FlowSpec):
    breaks = Parameter("breaks", default="", help="A step fails while there is this file.")

    @secrets(sources=[{"type": "inline", "options": {"env_vars": {"TOKEN_OF_A_TEST": CANARY}}}])
    @step
    def start(self):
        self.project = (current.project_name, current.branch_name, current.is_user_branch, current.trigger)
        self.length = len(os.environ["TOKEN_OF_A_TEST"])
        self.next(self.check)

    @step
    def check(self):
        self.left = os.environ.get("TOKEN_OF_A_TEST")
        if os.path.exists(self.breaks):
            raise ValueError("asked for")
        self.next(self.end)

    @step
    def end(self):
        pass


@trigger_on_finish(flow="Scored")
class Reported(FlowSpec):
    @step
    def start(self):
        self.by = (current.trigger.event.name, current.trigger.run.pathspec, current.trigger["Scored"].data.length)
        self.next(self.end)

    @step
    def end(self):
        pass
