"""Where a flow written for Metaflow meets something else here: data, of which `rayflow doctor FLOW.py` and the documentation make a page.

A row about something that rayflow lacks (`is_blocking`) counts only as long as rayflow lacks it: the doctor asks rayflow first.
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
    BEHAVIOUR = "behaviour"


@dataclass(frozen=True)
class Difference:
    """`name` is as it stands in a flow, a decorator without its @; `here` what rayflow does, `way_out` what to do. Both are sentences.
    `is_blocking`: the flow does not run as it is."""

    name: str
    kind: Kind
    here: str
    way_out: str
    is_blocking: bool = True


_OWN_ENVIRONMENT = "Tasks run with the packages of the Python that starts the run; no environment is made for a step."
_INSTALL = "Remove it, and install the packages there (a virtual environment, or the cluster's image)."
_SCHEDULED = "It is kept with the run, and starts nothing: there is no deployment to a scheduler."
_CRON = "Have whatever schedules your jobs start `rayflow run FLOW.py`; --trigger FLOW/RUN tells what started it."
_SENSOR = "There is no deployment to Airflow."
_ROOT = "Data, records and logs of a run are under one root."

DIFFERENCES: tuple[Difference, ...] = (
    Difference("conda", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL),
    Difference("conda_base", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL),
    Difference("pypi", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL),
    Difference("pypi_base", Kind.DECORATOR, _OWN_ENVIRONMENT, _INSTALL),
    Difference(
        "batch",
        Kind.DECORATOR,
        "AWS Batch is not used, and a flow that asks for it is refused.",
        "Say what the step needs with @resources(cpu=..., gpu=..., memory=...), and start the run with --address of a cluster.",
    ),
    Difference(
        "kubernetes",
        Kind.DECORATOR,
        "cpu, gpu and memory count like those of @resources; images, secrets, volumes and the like are those of the Ray cluster.",
        "Run on a Ray cluster on Kubernetes (KubeRay) with --address, and give its workers what the step needs.",
        is_blocking=False,
    ),
    Difference("card", Kind.DECORATOR, "There are no cards.", "Remove it; what a card shows can be an artifact."),
    Difference("pytorch_parallel", Kind.DECORATOR, "Only @parallel starts gangs.", "Use @parallel, and start torch by current.parallel."),
    Difference("schedule", Kind.DECORATOR, _SCHEDULED, _CRON, is_blocking=False),
    Difference("trigger", Kind.DECORATOR, _SCHEDULED, _CRON, is_blocking=False),
    Difference("trigger_on_finish", Kind.DECORATOR, _SCHEDULED, _CRON, is_blocking=False),
    Difference("airflow_external_task_sensor", Kind.DECORATOR, _SENSOR, _CRON),
    Difference("airflow_s3_key_sensor", Kind.DECORATOR, _SENSOR, _CRON),
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
    Difference("Deployer", Kind.NAME, "Flows are not deployed to a scheduler.", _CRON),
    Difference("DeployedFlow", Kind.NAME, "Flows are not deployed to a scheduler.", _CRON),
    Difference("NBDeployer", Kind.NAME, "Flows are not deployed to a scheduler.", _CRON),
    Difference("namespaced_event_name", Kind.NAME, "There are no events of a scheduler.", _CRON),
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
    Difference("--environment", Kind.OPTION, _OWN_ENVIRONMENT, "Leave it out."),
    Difference("--event-logger", Kind.OPTION, "There is none.", "Leave it out; --json writes events for programs."),
    Difference("--monitor", Kind.OPTION, "There is none.", "Leave it out; --json writes events for programs."),
    Difference("--package-suffixes", Kind.OPTION, "The code package holds Python files.", "Leave it out; read other files as IncludeFile."),
    Difference("argo-workflows", Kind.OPTION, "Flows are not deployed to a scheduler.", _CRON),
    Difference("step-functions", Kind.OPTION, "Flows are not deployed to a scheduler.", _CRON),
    Difference(
        "METAFLOW_",
        Kind.VARIABLE,
        "Nothing here reads variables of that prefix.",
        "Use RAYFLOW_ instead; `rayflow config` lists what there is.",
        is_blocking=False,
    ),
    Difference(
        "the environment of tasks",
        Kind.BEHAVIOUR,
        "Worker processes are used again: module-level state of the flow's file is per process, not per task.",
        "Mark a step @isolated that needs a fresh process.",
        is_blocking=False,
    ),
    Difference(
        "@retry(minutes_between_retries=...)",
        Kind.BEHAVIOUR,
        "The delay is waited for when the flow states it, and not when it is only the default.",
        "Leave it out, or say 0, where tests would wait.",
        is_blocking=False,
    ),
    Difference(
        "foreach over nothing",
        Kind.BEHAVIOUR,
        "It goes straight to its join, whose inputs are empty.",
        "Nothing; Metaflow fails there.",
        is_blocking=False,
    ),
    Difference(
        "--max-num-splits, --max-workers",
        Kind.BEHAVIOUR,
        "There is no limit to a fan-out, and as many tasks run at once as the cluster holds.",
        "Give the options, or set MAX_NUM_SPLITS and MAX_WORKERS, for Metaflow's 100 and 16.",
        is_blocking=False,
    ),
    Difference(
        "resume without an origin",
        Kind.BEHAVIOUR,
        "It continues the newest run or resume of the flow by you (and in the project's branch).",
        "Say --origin-run-id for another.",
        is_blocking=False,
    ),
    Difference(
        "the order of a static join's inputs",
        Kind.BEHAVIOUR,
        "It is that in which the split names its steps; of a foreach, that of the elements.",
        "Nothing; in Metaflow it varies.",
        is_blocking=False,
    ),
    Difference(
        "exit codes",
        Kind.BEHAVIOUR,
        "0 done, 1 failed or not found, 2 called wrongly, 130 and 143 interrupted.",
        "Nothing, unless a script looks for others.",
        is_blocking=False,
    ),
)


def difference(name: str, *kinds: Kind) -> Difference | None:
    """The row of that name, of one of the kinds; of any where none is given. `metaflow.plugins.x` is of `metaflow.plugins`."""
    for row in DIFFERENCES:
        is_below = row.kind is Kind.MODULE and name.startswith(f"{row.name}.")
        if (row.name == name or is_below) and (not kinds or row.kind in kinds):
            return row
    return None
