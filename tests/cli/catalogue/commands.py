"""What is typed wrongly: of commands about runs, with one run of `F` in the root; and what the client and the Runner say to programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rayflow import DataArtifact, Flow, Run, Runner, Step, Task, metadata, namespace
from rayflow.exception import (
    ClusterFault,
    RayflowInvalidPathspec,
    RayflowNamespaceMismatch,
    RayflowNotFound,
    RayflowTaggingError,
    StoreMissing,
    UnsafeName,
    UsageError,
    UserError,
)
from tests.cli.catalogue import Row, plain


def _usage(typed: str, *words: str) -> Row:
    return Row(typed, typed, UsageError, words, exit_code=2)


def _refused(typed: str, error: type[BaseException], *words: str) -> Row:
    return Row(typed, typed, error, words)


USAGE = [
    _usage("rnu", "No such command 'rnu'"),
    _usage("nope.py run", "There is no file 'nope.py'"),
    _usage("run flow.py:Nope", "has no flow named 'Nope'"),
    _usage("flow.py rnu", "No such command 'rnu'"),
    _usage("flow.py run --nope", "No such option '--nope'"),
    _usage("flow.py run --max-workers", "Option '--max-workers' requires an argument"),
    _usage("flow.py run --max-workers many", "'--max-workers': 'many' is not a valid integer"),
    _usage("flow.py run --max-workers 0", "'--max-workers'", "0"),
    _usage("flow.py run --executor cloud", "'--executor'", "cloud"),
    _usage("flow.py run stray", "unexpected extra argument (stray)"),
    _usage("flow.py --root '' run", "--root is empty"),
    _usage("flow.py resume --alpha 1", "No such option '--alpha'"),
    _usage("dump", "Missing argument"),
    _usage("logs latest --attempt x", "'--attempt'", "x"),
    _usage("resume flow.py nope --origin-run-id latest", "invalid step name", "Valid step names include: start, end"),
    _usage("submit", "Name a flow: rayflow submit FLOW.py"),
    _usage("submit flow.py --on mars", "'mars' is not one of 'ray', 'kuberay'"),
    _usage("resume latest --on ray --verify --address http://127.0.0.1:9", "--verify is of a resume that is driven here"),
    _usage("submit flow.py --executor inline --address http://127.0.0.1:9", "--executor inline is of a run that is driven here"),
    _usage("attach", "Missing argument 'RUN'"),
    _usage("resume flow.py --run-id 12", "run-id '12' cannot be an integer"),
    _usage("diff latest", "takes 2 values"),
    _usage("code diff", "Give one run, whose code is compared with what is here, or two"),
    _usage("code pull latest/start", "'latest/start' names a step or a task"),
    _usage("package list", "Name a flow: rayflow package FLOW.py"),
    _usage("package list flow.py --package-suffixes '*.json'", "'*.json' is no suffix"),
    _usage("package list flow.py --package-modules nowhere", "there is no module 'nowhere'"),
    _usage("package list flow.py --package-modules pytest", "'pytest' is installed"),
    _usage("flow.py --code 1 run --alpha 1", "Flow F has no code package 1"),
    _usage("ls --since yesterdayish", "--since", "yesterdayish"),
]
RUNS = [
    _refused("resume flow.py --origin-run-id nope", RayflowNotFound, "Resume could not find run id *nope*"),
    Row(
        "resume of a flow without a run",
        "resume other.py",
        RayflowNotFound,
        ("A previous run id was not found. Specify --origin-run-id.",),
        plain().replace("F(", "G("),
    ),
    _refused("resume flow.py --root empty", StoreMissing, "There is no rayflow root at ", "give its root with --root"),
    _refused("resume F/99999999999999999", RayflowNotFound, "There is no run"),
    _refused("submit flow.py", UserError, "Say which cluster: --address http://HEAD:8265"),
    _refused("submit flow.py --address http://127.0.0.1:9", ClusterFault, "Nobody answers for the Ray Jobs API at http://127.0.0.1:9"),
    _refused("submit flow.py --address http://192.0.2.1:8265", UserError, "is a directory of this machine", "--root s3://BUCKET/PATH"),
    _refused("submit flow.py --address http://127.0.0.1:9 --env X_TOKEN=1", UserError, "--env X_TOKEN looks like a secret"),
    _refused("attach nope", RayflowNotFound, "There is no run 'nope'"),
    _refused("stop nope", RayflowNotFound, "There is no run 'nope'"),
    _refused("drive F/nope", RayflowNotFound, "Run('F/nope') does not exist"),
    _refused("code pull nope", RayflowNotFound, "There is no run 'nope'"),
    _refused("code pull latest --dir raw.bin", UserError, "raw.bin exists, and is left as it is"),
    _refused("package save no/where flow.py", UserError, "could not be written"),
    _refused("dump nope/start", RayflowNotFound, "There is no run 'nope'"),
    _refused("dump latest/nope", RayflowNotFound, "has no task of a step 'nope'", "start"),
    _refused("dump latest/start/99", RayflowNotFound, "99"),
    _refused("dump latest/start/1/x/y", RayflowInvalidPathspec, "latest/start/1/x/y"),
    _refused("logs nope/start", RayflowNotFound, "There is no run 'nope'"),
    _refused("logs latest/nope", RayflowNotFound, "has no task of a step 'nope'"),
    _refused("logs scrub latest/nope", RayflowNotFound, "nope"),
    _refused("show nope", RayflowNotFound, "There is no run 'nope'"),
    _refused("path latest/start/nope", RayflowNotFound, "nope"),
    _refused("rm nope --yes", RayflowNotFound, "nope"),
    _refused("verify nope", RayflowNotFound, "nope"),
    _refused("flow.py tag add x", RayflowTaggingError, "--run-id", "The latest one is F/"),
    _refused("tag add --run-id latest", RayflowTaggingError, "Must add or remove at least one tag"),
    _refused("tag add --run-id nope x", RayflowNotFound, "nope"),
    _refused("tag add --run-id latest ''", RayflowTaggingError, "tag"),
    _refused("tag remove --run-id latest user:ann", RayflowTaggingError, "user:ann"),
    _refused("tag replace --run-id latest --add x", RayflowTaggingError, "`tag add` or `tag remove`"),
    _refused("tag add --run-id latest --namespace user:eve x", RayflowNamespaceMismatch, "user:eve"),
]
DEPLOYMENTS = [
    _usage("flow.py cron craete", "No such command 'craete'"),
    _usage("flow.py argo-workflows create --retries often", "'--retries'", "often"),
    _usage("flow.py airflow create --shared-root -o nope/dag.py", "--output 'nope/dag.py' cannot be written"),
    _refused("flow.py argo-workflows create", UserError, "is a directory of this machine, which no pod reaches"),
    _refused("flow.py argo-workflows trigger", RayflowNotFound, "'F' is not deployed to argo-workflows"),
    _refused("flow.py step-functions create --shared-root", UserError, "--eks-cluster, --eks-endpoint, --eks-certificate is missing"),
    _refused("flow.py cron create", UserError, "F has no @schedule"),
    _refused("flow.py kuberay-cron create --shared-root", UserError, "F has no @schedule"),
    _refused("flow.py cron create --name a/b", UnsafeName, "Deployment 'a/b' cannot be used"),
    _refused("flow.py cron delete --name nope", RayflowNotFound, "'nope' is not deployed to cron"),
    _refused(f"drive F/run-1 --deployment {'0' * 64}", RayflowNotFound, "There is no deployment 0000", "Deploy the flow again"),
    Row(
        "a schedule that cannot be read",
        "scheduled.py cron create",
        UserError,
        ("@schedule(cron='0 25 * * *')", "the hour '25'"),
        plain(above="@schedule(cron='0 25 * * *')"),
    ),
]
COMMANDS = {"usage": USAGE, "runs": RUNS, "deployments": DEPLOYMENTS}


class Asked(NamedTuple):
    """What a program asks for, and what is raised."""

    name: str
    ask: Callable[[Any], Any]
    """Given the run that there is."""
    error: type[BaseException]
    words: tuple[str, ...]


def _elsewhere(run: Run) -> None:
    namespace("user:eve")
    Run(run.pathspec)


ASKED = [
    Asked("no flow", lambda run: Flow("Nope"), RayflowNotFound, ("Flow('Nope') does not exist",)),
    Asked("no run", lambda run: Run("F/1"), RayflowNotFound, ("Run('F/1') does not exist",)),
    Asked("no step", lambda run: Step(f"{run.pathspec}/nope"), RayflowNotFound, ("/nope') does not exist",)),
    Asked("no task", lambda run: Task(f"{run.pathspec}/start/99"), RayflowNotFound, ("/start/99') does not exist",)),
    Asked("no artifact", lambda run: DataArtifact(f"{run.pathspec}/start/1/nope"), RayflowNotFound, ("/start/1/nope') does not exist",)),
    Asked("a step that is none by name", lambda run: run["nope"], KeyError, ("nope",)),
    Asked("an artifact that is none", lambda run: run["start"].task.data.nope, AttributeError, ("nope",)),
    Asked("too few parts", lambda run: Run("F"), RayflowInvalidPathspec, ("Expects Run('FlowName/RunID')",)),
    Asked("too many parts", lambda run: Flow("F/1"), RayflowInvalidPathspec, ("Expects Flow('FlowName')",)),
    Asked("no pathspec", lambda run: Task(3), RayflowInvalidPathspec, ("Expects Task(",)),
    Asked("an attempt that cannot be", lambda run: Task(f"{run.pathspec}/start/1", attempt=-1), RayflowNotFound, ("Attempt",)),
    Asked("an attempt of a run", lambda run: Run(run.pathspec, attempt=0), RayflowNotFound, ("Attempt",)),
    Asked("another namespace", _elsewhere, RayflowNamespaceMismatch, ("Object not in namespace 'user:eve'",)),
    Asked("no directory", lambda run: metadata("/nope/nowhere"), UserError, ("/nope/nowhere",)),
    Asked("no text as a tag", lambda run: run.add_tag(3), RayflowTaggingError, ("3",)),
    Asked("a text as tags", lambda run: run.remove_tags("x"), RayflowTaggingError, ("'x'",)),
    Asked("no tag at all", lambda run: run.add_tags([]), RayflowTaggingError, ("Must add or remove at least one tag",)),
    Asked("too long a tag", lambda run: run.add_tag("x" * 501), RayflowTaggingError, ("500",)),
    Asked("too many tags", lambda run: run.add_tags([str(i) for i in range(51)]), RayflowTaggingError, ("50",)),
    Asked("a tag of the system", lambda run: run.remove_tag("user:ann"), RayflowTaggingError, ("user:ann",)),
    Asked("a Runner of no file", lambda run: Runner("nope.py"), FileNotFoundError, ("nope.py",)),
    Asked("a Runner's unknown argument", lambda run: Runner("flow.py").run(beta=1), ValueError, ("Unknown argument", "alpha")),
    Asked("a Runner's wrong type", lambda run: Runner("flow.py").run(alpha="x"), TypeError, ("alpha",)),
    Asked("a Runner's missing value", lambda run: Runner("flow.py").run(), ValueError, ("alpha",)),
    Asked("a Runner's unknown option", lambda run: Runner("flow.py", nope=1).run(alpha=1), ValueError, ("nope",)),
]
"""What the client and the Runner refuse."""
