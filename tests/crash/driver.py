"""A driver for the tests to kill: performs one run or resume, and says on stdout, as JSON lines, what its reporter is told.

python -m tests.crash.driver <Flow> run|resume --root DIR [--executor E] [--address A] [--run-id ID] [--origin ID] [--step S] [--fork]
    [-p NAME=VALUE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from rayflow.cli.fence import guarded
from rayflow.flow.definition import define
from rayflow.runtime import notices
from rayflow.runtime.launch import RunResult, Settings, resume_flow, run_flow
from tests.crash import flows


class Telling:
    """Acknowledgements as lines, each written by one system call: what was told before a SIGKILL is in the pipe."""

    def tell(self, notice: notices.Notice) -> None:
        match notice:
            case notices.RunStarted():
                self.say(event="started", run=notice.record.run_id)
            case notices.TaskStarted():
                self.say(event="task", step=notice.label.step)
            case notices.TaskDone():
                self.say(event="done", step=notice.label.step)
            case notices.Progressed():
                self.say(event="progress", done={each.step: each.done for each in notice.steps})
            case notices.StepsReused():
                self.say(event="reused", tasks=dict(notice.tasks))
            case notices.TaskSaid():
                self.say(event="said", text=notice.text)
            case notices.TaskAttemptFailed():
                self.say(event="failed", step=notice.label.step, attempt=notice.attempt, retried=notice.is_retried)
            case notices.Warned():
                self.say(event="warned", text=notice.text)
            case notices.RunEnded():
                self.say(event="ended", outcome=notice.outcome.value, done={each.step: each.done for each in notice.steps})
            case _:
                pass

    @staticmethod
    def say(**fact: object) -> None:
        os.write(1, json.dumps(fact).encode() + b"\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("flow")
    parser.add_argument("command", choices=["run", "resume"])
    parser.add_argument("--root", required=True)
    parser.add_argument("--executor", default="process")
    parser.add_argument("--address")
    parser.add_argument("--run-id")
    parser.add_argument("--origin")
    parser.add_argument("--step")
    parser.add_argument("--fork", action="store_true")
    parser.add_argument("--barrier", action="store_true", help="Say that everything is imported, and begin when stdin ends.")
    parser.add_argument("-p", action="append", default=[])
    options = parser.parse_args(arguments)
    definition = define(getattr(flows, options.flow))
    settings = Settings(root=options.root, executor=options.executor, address=options.address, user="tester", run_id=options.run_id)
    if options.barrier:
        Telling.say(event="ready")
        sys.stdin.buffer.read()

    def perform() -> int:
        result: RunResult
        if options.command == "run":
            result = run_flow(definition, dict(pair.split("=", 1) for pair in options.p), settings, Telling())
        else:
            result = resume_flow(definition, settings, Telling(), origin_run_id=options.origin, step=options.step, is_fork=options.fork)
        return result.exit_code

    return guarded(perform, sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
