"""What the tests of the command line have in common: a run's notices, clocks that stand where they are put, and a fake runtime."""

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rayflow.catalog.run import RunRecord
from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.main import run_flow_command
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.flow.builtin import retry
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import step
from rayflow.model.records import Failure, FailureKind, Outcome, UserFrame
from rayflow.runtime.launch import RunResult
from rayflow.runtime.notices import RunStarted, StepProgress, TaskLabel


class TrainFlow(FlowSpec):
    """Trains."""

    alpha = Parameter("alpha", default=0.1, help="Learning rate.")
    address = Parameter("address", help="Whose house.")

    @step
    def start(self):
        """Loads."""
        self.items = [1, 2, 3]
        self.next(self.train, foreach="items")

    @retry(times=1)
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


GRAPH = TrainFlow._graph
PROMPT = Prompt("python train.py")
FRAMES = (
    UserFrame("/src/train.py", 58, "train", "    self.model = fit(X, y)"),
    UserFrame("/src/model.py", 21, "fit", "    w = solve(A, b)"),
)
TRACEBACK = """Traceback (most recent call last):
  File "/src/train.py", line 58, in train
    self.model = fit(X, y)
  File "/src/model.py", line 21, in fit
    w = solve(A, b)
  File "/site-packages/numpy/linalg.py", line 3, in solve
    raise LinAlgError
numpy.LinAlgError: Last 2 dimensions must be square
"""
FAILURE = Failure(FailureKind.EXCEPTION, "Last 2 dimensions must be square", "numpy.LinAlgError", TRACEBACK, FRAMES)


def record(run_id="77"):
    return RunRecord(flow="TrainFlow", run_id=run_id, created_us=0, user="ann", graph=GRAPH)


def started(**facts):
    return RunStarted(record(), "/data/.rayflow", **facts)


def label(step="train", task_id="3", pid=12, where=""):
    return TaskLabel("77", step, task_id, pid, where)


def standing(step, known, done, *, running=0, reused=0, failed=0):
    return StepProgress(step, known, done, reused, running, failed, 0.0)


@dataclass
class Clock:
    """Time that passes when told to."""

    seconds: float = 0.0

    def __call__(self):
        return self.seconds

    def now(self):
        return datetime(2026, 11, 23, 5, 9, 45, 181000) + timedelta(seconds=self.seconds)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@dataclass
class Runtime:
    """Stands in for `runtime.launch`: notes what it is asked for, and ends as told."""

    notices: tuple = ()
    exit_code: int = 0
    raises: BaseException | None = None
    asked: list = field(default_factory=list)

    def run(self, definition, given, settings, reporter):
        return self._end(reporter, definition, {"given": given, "settings": settings})

    def resume(self, definition, settings, reporter, **how):
        return self._end(reporter, definition, {"settings": settings, **how})

    def _end(self, reporter, definition, asked):
        self.asked.append({"definition": definition, **asked})
        if self.raises is not None:
            raise self.raises
        for notice in self.notices:
            reporter.tell(notice)
        return RunResult(definition.name, "77", Outcome.SUCCEEDED, self.exit_code)


@dataclass
class Outcomes:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str
    asked: list


def call_flow(*arguments, runtime=None, environ=None, flow=TrainFlow, cwd="/nowhere"):
    """`python train.py ARGUMENTS` with a fake runtime."""
    runtime, out, err = runtime or Runtime(), io.StringIO(), io.StringIO()
    surroundings = Surroundings({"USER": "ann", **(environ or {})}, cwd)
    call = Call(PROMPT, surroundings, out, err, runtime.run, runtime.resume)
    code = run_flow_command(FlowCall(call, flow), list(arguments))
    return Outcomes(code, out.getvalue(), err.getvalue(), runtime.asked)
