"""Where a flow written for Metaflow meets something else here: data, of which `rayflow doctor FLOW.py` and docs/metaflow.md are made.

`DIFFERENCES` are names that stand in a file; a row about something that rayflow lacks (`is_blocking`) counts only as long as rayflow lacks
it: both ask rayflow first. `BEHAVIOURS` are what no name shows: a flow runs, and may notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What the name of a difference is."""

    DECORATOR = "decorator"
    NAME = "name"
    MODULE = "module"
    OPTION = "option"
    VARIABLE = "variable"


@dataclass(frozen=True)
class Difference:
    """`name` is as it stands in a flow, a decorator without its @; `here` what rayflow does, `way_out` what to do. Both are sentences.
    `is_blocking`: the flow does not run as it is."""

    name: str
    kind: Kind
    here: str
    way_out: str
    is_blocking: bool = True


@dataclass(frozen=True)
class Behaviour:
    """`what` does one thing in Metaflow (`there`) and another `here`: parts of sentences. `part` is the heading that they stand under."""

    part: str
    what: str
    there: str
    here: str


_OWN_ENVIRONMENT = "Without --environment it says nothing, and a warning tells so; Metaflow refuses the flow then."
_INSTALL = "Nothing: say --environment pypi where the step is to have its packages."
_SENSOR = "The file for Airflow has one task, which starts the whole run: no sensor waits before it."
_BY_ARGO = "Use @trigger and `argo-workflows create`, or have the DAG before start this one."
_HOOKS = "The hooks of Metaflow's own decorators do not exist here."
_ROOT = "Data, records and logs of a run are under one root."

DIFFERENCES: tuple[Difference, ...] = (
    Difference("conda", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL, is_blocking=False),
    Difference("conda_base", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL, is_blocking=False),
    Difference("pypi", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL, is_blocking=False),
    Difference("pypi_base", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL, is_blocking=False),
    Difference(
        "batch",
        Kind.DECORATOR,
        "AWS Batch is not used, and a flow that asks for it is refused.",
        "Say what the step needs with @resources(cpu=..., gpu=..., memory=...), and start the run with --address of a cluster.",
    ),
    Difference(
        "kubernetes",
        Kind.DECORATOR,
        "cpu, gpu and memory count like those of @resources; the rest says what pods have where the run is submitted to KubeRay.",
        "Say `rayflow submit FLOW.py --on kuberay`; a run is one RayJob there, not a pod per task.",
        is_blocking=False,
    ),
    Difference("card", Kind.DECORATOR, "There are no cards.", "Remove it; what a card shows can be an artifact."),
    Difference("pytorch_parallel", Kind.DECORATOR, "Only @parallel starts gangs.", "Use @parallel, and start torch by current.parallel."),
    Difference(
        "trigger",
        Kind.DECORATOR,
        "Argo Workflows alone starts flows by events, which come through an EventSource of yours.",
        "Deploy with `argo-workflows create --event-source NAME`.",
        is_blocking=False,
    ),
    Difference(
        "trigger_on_finish",
        Kind.DECORATOR,
        "Argo Workflows alone starts a flow after another, which it has started too.",
        "Deploy both with `argo-workflows create`.",
        is_blocking=False,
    ),
    Difference("airflow_external_task_sensor", Kind.DECORATOR, _SENSOR, _BY_ARGO),
    Difference("airflow_s3_key_sensor", Kind.DECORATOR, _SENSOR, _BY_ARGO),
    Difference(
        "resources",
        Kind.DECORATOR,
        "Needs are enforced, on this machine too: they bound how many tasks run at once.",
        "Nothing; a need beyond this machine is cut with a warning (--strict-resources refuses it).",
        is_blocking=False,
    ),
    Difference(
        "S3",
        Kind.NAME,
        "Data of runs are in `user-data` beside them, and get_recursive() brings what lies below a key, and not what begins like it.",
        "Set RAYFLOW_DATATOOLS_S3ROOT where they are to be elsewhere.",
        is_blocking=False,
    ),
    Difference(
        "ARTIFACT_SERIALIZERS_DESC",
        Kind.NAME,
        "A serializer is known when its class is declared or imported, and a package's by an entry point.",
        "Name it in the entry points of its package, in the group rayflow.serializers.",
    ),
    Difference(
        "Deployer",
        Kind.NAME,
        "A whole run is one job of the scheduler, so that a scheduler shows no steps; it has cron and kuberay_cron, too.",
        "Give create() what the scheduler needs here, such as root= and image=: docs/tasks/schedules.md.",
        is_blocking=False,
    ),
    Difference(
        "namespaced_event_name",
        Kind.NAME,
        "Events are named as they are written.",
        "Write the name in full: @trigger(event='mfns.PROJECT.BRANCH.NAME').",
    ),
    Difference("StepDecorator", Kind.NAME, _HOOKS, "Write it as @user_step_decorator, or as StepMutator."),
    Difference("FlowDecorator", Kind.NAME, _HOOKS, "Write it as FlowMutator."),
    Difference("R", Kind.NAME, "Flows are written in Python.", "Call R as a program from a step."),
    Difference(
        "metaflow_extensions",
        Kind.MODULE,
        "Extensions of Metaflow are not loaded.",
        "Write what the flow needs of it as @user_step_decorator or FlowMutator, which need no package of their own.",
    ),
    Difference(
        "metaflow.plugins",
        Kind.MODULE,
        "Metaflow's own insides do not exist here.",
        "Import the public name from metaflow (or rayflow) instead, or do without.",
    ),
    Difference("metaflow.cards", Kind.MODULE, "There are no cards.", "Remove it; what a card shows can be an artifact."),
    Difference(
        "metaflow.metaflow_config",
        Kind.MODULE,
        "Settings are rayflow's own: `rayflow config` shows them.",
        "Read what you need from your own configuration, or from the environment.",
    ),
    Difference("--datastore", Kind.OPTION, _ROOT, "Say --root URL: a directory, or s3://bucket/path."),
    Difference("--datastore-root", Kind.OPTION, _ROOT, "Say --root URL: a directory, or s3://bucket/path."),
    Difference("--metadata", Kind.OPTION, _ROOT, "Leave it out; --root URL says where a run is."),
    Difference("--event-logger", Kind.OPTION, "There is none.", "Leave it out; --json writes events for programs."),
    Difference("--monitor", Kind.OPTION, "There is none.", "Leave it out; --json writes events for programs."),
    Difference(
        "METAFLOW_",
        Kind.VARIABLE,
        "Nothing here reads variables of that prefix.",
        "Use RAYFLOW_ instead; `rayflow config` lists what there is.",
        is_blocking=False,
    ),
)


BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour("Fan-outs", "an empty foreach", "an error", "goes straight to the join, whose `inputs` is empty"),
    Behaviour(
        "Fan-outs",
        "limits",
        "100 splits, 16 workers",
        "none, and what the machine or the cluster holds; `--max-num-splits` and `--max-workers`, or the settings of that name, set some",
    ),
    Behaviour("Fan-outs", "a foreach over a table", "does not take its rows", "takes its rows, as dictionaries"),
    Behaviour("Fan-outs", "a foreach over a dictionary", "fails in the tasks", "is refused at once, unless its keys are 0, 1, 2, ..."),
    Behaviour(
        "Fan-outs",
        "the order of `inputs`",
        "of a foreach that has a switch: by arm; of a static split: any",
        "that of the foreach, and that of `self.next`",
    ),
    Behaviour("Fan-outs", "`len(inputs)`", "an error", 'works; so does `inputs.table("a", "b")`'),
    Behaviour(
        "Fan-outs",
        "above 32 splits",
        "every line of every task is shown",
        "totals are shown, and the output is in the logs; `-v` shows each",
    ),
    Behaviour("Fan-outs", "`num_parallel` that is None or below 1", "is passed over, and the step fails later", "is refused by `next`"),
    Behaviour("Fan-outs", "the output of a gang", "all of it in the log of the first node's task", "each node's in its own"),
    Behaviour(
        "Retries and needs", "the delay of `@retry`", "ignored in local runs", "waited for where it is written, not where it is the default"
    ),
    Behaviour(
        "Retries and needs",
        "worker processes",
        "a new one per task",
        "reused, so that module state is shared by the tasks that run there; `@isolated` gives a new one",
    ),
    Behaviour(
        "Environments",
        "`--environment pypi` and steps that ask for no packages",
        "have an empty environment",
        "have the packages of the Python that starts the run",
    ),
    Behaviour(
        "Environments",
        "`--environment uv`",
        "is for remote steps; `uv run` makes the environment here",
        "gives each step a Python with the packages of the `uv.lock` beside the flow, here too; `@uv(packages=...)` replaces or adds some",
    ),
    Behaviour("Environments", "`resume` without `--environment`", "has none", "has that of the run that it continues, and its locks"),
    Behaviour(
        "Runs",
        "a run that failed",
        "looks like one that is still running",
        "`run.state` is `running`, `succeeded`, `failed`, `interrupted` or `unknown`",
    ),
    Behaviour(
        "Runs", "plain `resume`", "continues the newest run", "continues the newest run *or resume* of yours, on the same project branch"
    ),
    Behaviour("Runs", "several resumes of one run", "all go on", "one goes on; `--fork` branches off"),
    Behaviour(
        "Runs",
        "the code of a resume",
        "today's, and nothing is said of what changed",
        "today's, naming the steps that changed; `rayflow resume RUN` uses what was stored with the run",
    ),
    Behaviour("Runs", "a Parameter that is newer than the run that is resumed", "has no value, and fails the task", "has its default"),
    Behaviour(
        "Runs",
        "Ctrl-C, SIGTERM",
        "exit code 1; SIGTERM leaves tasks behind",
        "exit codes 130 and 143; both end the tasks, and the run can be resumed",
    ),
    Behaviour("Runs", "logs", "when a task has ended", "while it runs; `logs --follow`"),
    Behaviour("Runs", "`spin`", "leaves out `@secrets`", "leaves it in, and `@isolated`; what it leaves out is named"),
    Behaviour("Runs", "`Run.origin_pathspec` of a run that is no resume", "`Flow/None`", "`None`"),
    Behaviour("Runs", "`namespace()` and `metadata()` called in a step", "hold as long as the process", "hold as long as the attempt"),
    Behaviour(
        "Runs", "`--pylint`, `check --warnings`", "call pylint", "are accepted; rayflow alone checks flows, and each finding is an error"
    ),
    Behaviour("Decorators of one's own", "a replaced body that returns None", "takes no transition", "takes the one in the source"),
    Behaviour(
        "Schedulers",
        "a deployed run",
        "a task of the scheduler for each step",
        "one RayJob, which the scheduler starts and waits for; `@retry` is rayflow's",
    ),
    Behaviour(
        "Schedulers", "a deployed run that is tried again", "runs its failed steps again", "goes on, as the same run, with what is not done"
    ),
    Behaviour("Schedulers", "runs of one deployment that are due while one goes on", "run beside it", "are left out"),
    Behaviour("S3", '`get_recursive(["a"])`', "brings `ab.txt`, too", "brings `a` and what is below it"),
    Behaviour("S3", "`put` of an open file", "closes it", "leaves it open"),
    Behaviour("S3", "keys with `..`", "are taken", "are refused"),
    Behaviour("Errors", "a value that cannot be pickled", "its name", "its name, its type, and the attribute at fault"),
    Behaviour("Errors", "a foreach that leads straight to a join", "an internal error", "a message that says what to insert"),
)


def difference(name: str, *kinds: Kind) -> Difference | None:
    """The row of that name, of one of the kinds; of any where none is given. `metaflow.plugins.x` is of `metaflow.plugins`."""
    for row in DIFFERENCES:
        is_below = row.kind is Kind.MODULE and name.startswith(f"{row.name}.")
        if (row.name == name or is_below) and (not kinds or row.kind in kinds):
            return row
    return None
