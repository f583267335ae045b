"""The commands, as a user types them: what is written, what schedulers are told, and what they are asked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rayflow.catalog.deployed import all_deployed
from rayflow.catalog.run import read_run
from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client import Flow, default_metadata, default_namespace, metadata, namespace
from rayflow.store import open_root
from rayflow.submission.deployments import begun
from tests.submission.kuberay.apiserver import kubeconfig
from tests.submission.schedulers.kube import Kube, kube
from tests.submission.schedulers.test_on_machines import command_of

EKS = ["--eks-cluster", "flows", "--eks-endpoint", "https://eks.example", "--eks-certificate", "QUJD"]
ROLES = ["--role", "arn:aws:iam::123456789012:role/states", "--scheduler-role", "arn:aws:iam::123456789012:role/scheduler"]


@dataclass
class Typing:
    """What `rayflow ...` ends with and says."""

    code: int
    out: str
    err: str


@pytest.fixture
def typed(train: Callable[..., Path], tmp_path: Path) -> Iterator[Callable[..., Typing]]:
    """Types `rayflow WORDS` with the flow's file after the scheduler, as `user`."""
    path = train("@schedule(cron='0 6 * * MON-FRI')")

    def type_(scheduler: str, *words: str, user: str = "ada") -> Typing:
        out, err = io.StringIO(), io.StringIO()
        environ = {"USER": user, "HOME": str(tmp_path), "RAYFLOW_STATE_DIR": str(tmp_path / "state"), "AWS_DEFAULT_REGION": "us-east-1"}
        call = Call(Prompt("rayflow"), Surroundings(environ, str(tmp_path)), out, err)
        sys.modules.pop("train", None)
        code = run_program(call, [scheduler, str(path), *words])
        return Typing(code, out.getvalue(), err.getvalue())

    yield type_
    default_namespace()
    default_metadata()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kube]:
    with kube() as made:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, made.url))
        yield made


def test_a_run_that_cron_starts_is_performed_and_is_found_in_its_namespace(typed, tmp_path):
    told = typed("cron", "create", "--executor", "inline", "--tag", "nightly")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW")} | {"HOME": str(tmp_path)}

    line = command_of(told.out)
    result = subprocess.run(["sh", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    log = (tmp_path / "state" / "rayflow-TrainFlow.log").read_text()
    metadata(str(tmp_path))
    token = all_deployed(open_root(str(tmp_path / ".rayflow"), create=False), "TrainFlow")[0].token
    namespace(f"production:{token}")
    run = next(iter(Flow("TrainFlow")))
    assert (told.code, result.returncode, "Done!" in log) == (0, 0, True), told.err + result.stderr + log
    assert (run.id[:5], run.successful, run.data.alpha, run.tags >= {"nightly", "runtime:cron"}) == ("cron-", True, 0.1, True)
    assert f"Its runs are in the namespace production:{token}." in told.err


def test_while_a_run_goes_on_the_next_is_left_out(typed, tmp_path):
    import fcntl

    line = command_of(typed("cron", "create", "--executor", "inline").out)
    with open(tmp_path / "state" / "rayflow-TrainFlow.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(["sh", "-c", line], cwd=tmp_path, check=False, timeout=60)

    assert (result.returncode, list((tmp_path / ".rayflow" / "TrainFlow").glob("runs/*"))) == (0, [])


def test_what_is_written_is_json_yaml_or_the_schedulers_own_form(typed, tmp_path):
    shared = ("--shared-root", "--quiet")
    codes = [
        typed("argo-workflows", "create", *shared, "-o", str(tmp_path / "argo.yaml")).code,
        typed("argo-workflows", "create", *shared, "-o", str(tmp_path / "argo.json")).code,
        typed("airflow", "create", *shared, "-o", str(tmp_path / "dag.py")).code,
        typed("step-functions", "create", *shared, *EKS, "-o", str(tmp_path / "machine.json")).code,
        typed("kuberay-cron", "create", *shared, "-o", str(tmp_path / "cron.yaml")).code,
        typed("cron", "create", "--quiet", "--systemd", "-o", str(tmp_path / "train.timer")).code,
    ]

    assert codes == [0] * 6
    assert (tmp_path / "argo.yaml").read_text().startswith("apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\n")
    assert json.loads((tmp_path / "argo.json").read_text())["kind"] == "List"
    assert list(json.loads((tmp_path / "machine.json").read_text())) == ["definition", "schedule"]
    compile((tmp_path / "dag.py").read_text(), "dag.py", "exec")
    assert "ExecStart=" in (tmp_path / "train.service").read_text()
    assert "OnCalendar=" in (tmp_path / "train.timer").read_text()


def test_only_json_is_all_that_is_on_stdout_and_tells_nobody(typed, cluster):
    told = typed("argo-workflows", "create", "--only-json", "--shared-root")

    assert [each["kind"] for each in json.loads(told.out)["items"]] == ["WorkflowTemplate", "CronWorkflow"]
    assert cluster.asked == []
    assert "TrainFlow is ready for argo-workflows as 'TrainFlow' (trainflow), at '0 6 * * MON-FRI'." in told.err


def test_argo_is_told_asked_and_made_to_forget(typed, cluster, tmp_path):
    create = typed("argo-workflows", "create", "--shared-root", "--kube-namespace", "jobs")
    trigger = typed("argo-workflows", "trigger", "--alpha", "0.5", "--spec", '{"y": 1}', "--json")
    assert create.code == 0, create.err
    started = json.loads(trigger.out)
    workflow = next(each for each in cluster.objects.values() if each["kind"] == "Workflow")
    listed = typed("argo-workflows", "list-runs")
    stop = typed("argo-workflows", "terminate", started["run_id"])
    stopped = next(each for each in cluster.objects.values() if each["kind"] == "Workflow")
    delete = typed("argo-workflows", "delete")

    assert [each.code for each in (create, trigger, listed, stop, delete)] == [0] * 5, create.err + trigger.err + listed.err + stop.err
    assert "TrainFlow is deployed to argo-workflows as 'TrainFlow' (trainflow)" in create.err
    given = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    assert (started["run_id"], given) == (f"wf-{workflow['metadata']['uid']}", {"alpha": "0.5", "spec": '{"y": 1}'})
    assert stopped["spec"]["shutdown"] == "Terminate"
    assert cluster.named("workflowtemplates") == cluster.named("cronworkflows") == []
    assert {path.split("/")[5] for path in cluster.asked} == {"jobs"}
    assert "There is no deployment" not in typed("argo-workflows", "list-runs").err
    assert typed("argo-workflows", "list-runs").code == 1


def test_a_run_that_argo_started_is_the_one_that_trigger_named(typed, cluster, tmp_path):
    typed("argo-workflows", "create", "--shared-root")
    started = json.loads(typed("argo-workflows", "trigger", "--json").out)
    store = open_root(str(tmp_path / ".rayflow"), create=False)

    begun(store, "TrainFlow", all_deployed(store, "TrainFlow")[0].digest, started["run_id"], {})

    assert read_run(store, "TrainFlow", started["run_id"]).user == "ada"


def test_what_the_cluster_refuses_deploys_nothing(typed, cluster, tmp_path):
    cluster.refuses = 403

    told = typed("argo-workflows", "create", "--shared-root")

    assert (told.code, "You may not do this at the Kubernetes API" in told.err) == (1, True)
    assert all_deployed(open_root(str(tmp_path / ".rayflow"), create=False), "TrainFlow") == []


def test_deploying_again_replaces_and_what_is_gone_from_the_flow_goes_from_argo(typed, cluster, train, tmp_path):
    typed("argo-workflows", "create", "--shared-root", "--name", "nightly")
    path = train("")
    assert cluster.named("cronworkflows") == ["nightly"]

    out, err = io.StringIO(), io.StringIO()
    call = Call(Prompt("rayflow"), Surroundings({"USER": "ada", "HOME": str(tmp_path)}, str(tmp_path)), out, err)
    code = run_program(call, ["argo-workflows", str(path), "create", "--shared-root", "--name", "nightly"])

    assert (code, cluster.named("cronworkflows"), cluster.named("workflowtemplates")) == (0, [], ["nightly"]), err.getvalue()


def test_step_functions_is_told_asked_and_made_to_forget(typed, aws):
    create = typed("step-functions", "create", "--shared-root", *EKS, *ROLES)
    again = typed("step-functions", "create", "--shared-root", *EKS, *ROLES, "--retries", "1")
    assert create.code == 0, create.err
    schedule = aws("scheduler").get_schedule(Name="TrainFlow")
    trigger = typed("step-functions", "trigger", "--alpha", "0.5", "--json")
    started = json.loads(trigger.out)
    listed = typed("step-functions", "list-runs")
    stop = typed("step-functions", "terminate", started["run_id"])
    status = aws("stepfunctions").describe_execution(executionArn=started["id"])
    delete = typed("step-functions", "delete")

    assert [each.code for each in (create, again, trigger, listed, stop, delete)] == [0] * 6, create.err + again.err + trigger.err
    assert (schedule["ScheduleExpression"], schedule["Target"]["Arn"].endswith(":stateMachine:TrainFlow")) == (
        "cron(0 6 ? * 2,3,4,5,6 *)",
        True,
    )
    assert (json.loads(status["input"]), status["status"]) == ({"parameters": {"alpha": "0.5"}}, "ABORTED")
    assert started["run_id"] in listed.out
    assert aws("stepfunctions").list_state_machines()["stateMachines"] == []
    assert aws("scheduler").list_schedules()["Schedules"] == []


@pytest.fixture
def aws(monkeypatch) -> Iterator[Callable[..., object]]:
    import boto3
    from moto import mock_aws

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield lambda service: boto3.client(service, region_name="us-east-1")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["argo-workflows", "create"], 1, "is a directory of this machine, which no pod reaches"),
        (["argo-workflows", "trigger"], 1, "'TrainFlow' is not deployed to argo-workflows"),
        (["step-functions", "create", "--shared-root"], 1, "--eks-cluster, --eks-endpoint, --eks-certificate is missing"),
        (["step-functions", "create", "--shared-root", *EKS], 1, "needs --role ARN"),
        (["step-functions", "create", "--shared-root", *EKS, *ROLES[:2]], 1, "needs --scheduler-role ARN"),
        (["airflow", "create", "--shared-root", "-o", "/nowhere/dag.py"], 2, "--output '/nowhere/dag.py' cannot be written"),
        (["cron", "create", "--retries", "1"], 1, "--retries is not supported by cron"),
        (["kuberay-cron", "create", "--shared-root", "--retries", "1"], 1, "--retries is not supported by kuberay-cron"),
        (["cron", "create", "--trigger", "Up/1"], 1, "--trigger plays what started one run"),
        (["cron", "create", "--name", "../x"], 1, "Deployment '../x' cannot be used"),
        (["cron", "delete"], 1, "'TrainFlow' is not deployed to cron"),
        (["cron", "craete"], 2, "No such command 'craete'"),
        (["argo-workflows", "create", "--shared-root", "--env", "DB_PASSWORD=x"], 1, "--env DB_PASSWORD looks like a secret"),
    ],
)
def test_what_cannot_be_deployed_says_why_and_is_not_deployed(typed, tmp_path, words, code, told):
    found = typed(*words)

    assert (found.code, told in found.err, "Traceback" in found.err) == (code, True, False), found.err
    assert not list(tmp_path.glob(".rayflow/TrainFlow/deployments/names/*/*/*"))


def test_another_user_replaces_and_deletes_with_the_token_alone(typed, tmp_path):
    typed("cron", "create")
    token = all_deployed(open_root(str(tmp_path / ".rayflow"), create=False), "TrainFlow")[0].token

    refused = typed("cron", "create", user="bob"), typed("cron", "delete", user="bob")
    replaced = typed("cron", "create", "--authorize", token, user="bob")
    deleted = typed("cron", "delete", user="bob")

    assert [(each.code, "was deployed by ada" in each.err) for each in refused] == [(1, True), (1, True)]
    assert (replaced.code, deleted.code) == (0, 0)
    assert "take 'rayflow-TrainFlow' away there" in deleted.err


def test_what_was_only_exported_is_not_asked_for(typed):
    typed("argo-workflows", "create", "--shared-root", "--only-json")

    told = typed("argo-workflows", "trigger")

    assert (told.code, "'TrainFlow' was exported for argo-workflows, which rayflow does not ask" in told.err) == (1, True)
