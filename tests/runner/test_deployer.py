"""`Deployer`: a flow file, deployed from a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rayflow import DeployedFlow, Deployer, NBDeployer, metadata
from rayflow.client import Run, default_metadata
from rayflow.exception import RayflowNotFound, UserError
from rayflow.runner import NBRunnerInitializationError
from rayflow.store.blobs import Blobs
from rayflow.submission.deployments import begun
from tests.submission.kuberay.apiserver import kubeconfig
from tests.submission.schedulers.conftest import store, train  # noqa: F401 - fixtures
from tests.submission.schedulers.kube import Kube, kube


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kube]:
    with kube() as made:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, made.url))
        yield made


@pytest.fixture
def deployer(train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployer]:  # noqa: F811
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    path = train('@project(name="fraud")\n@schedule(hourly=True)')
    yield Deployer(path, show_output=False, cwd=tmp_path, root=str(tmp_path / "root"), branch="x", config_value=[("cfg", {"depth": 7})])
    default_metadata()


def test_a_flow_is_deployed_triggered_found_and_deleted(cluster, deployer, tmp_path, store):  # noqa: F811
    deployed = deployer.argo_workflows().create(shared_root=True, tags=["nightly"], max_workers=4)
    triggered = deployed.trigger(alpha=0.5, n_trees=7, spec={"y": [1]}, deep=False)

    assert (deployed.name, deployed.flow_name, deployed.metadata) == ("fraud.test.x.TrainFlow", "TrainFlow", str(tmp_path / "root"))
    assert deployed.id in cluster.named("workflowtemplates")
    assert (triggered.status, triggered.run) == ("Pending", None)
    with pytest.raises(TimeoutError, match=f"{triggered.pathspec} did not begin within 0.1 seconds. The scheduler says: Pending"):
        triggered.wait_for_run(check_interval=0.02, timeout=0.1)

    workflow = next(each for each in cluster.objects.values() if each["kind"] == "Workflow")
    given = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    digest = workflow_digest(cluster)
    begun(store, "TrainFlow", digest, triggered.run_id, given)
    run = triggered.wait_for_run(timeout=5)

    assert parameters_of(run) == {"alpha": 0.5, "n_trees": 7, "spec": {"y": [1]}, "deep": False, "cfg": {"depth": 7}}
    assert run.tags >= {"nightly", "project:fraud", "project_branch:test.x"}
    cluster.change("workflows", triggered.id, {"status": {"phase": "Succeeded"}})
    assert triggered.status == "Succeeded"
    assert DeployedFlow.get_triggered_run(deployed.name, triggered.run_id, metadata=deployed.metadata).pathspec == triggered.pathspec
    assert [each.pathspec for each in deployed.runs()] == [triggered.pathspec]
    assert triggered.terminate()
    assert deployed.delete()
    assert cluster.named("workflowtemplates") == []


def parameters_of(run: Run) -> dict[str, object]:
    record, blobs = run.handle.record, Blobs(run.handle.store, "TrainFlow", run.id)
    stored = {**record.parameters, **record.constants}
    return {name: blobs.load(stored[name], name) for name in ("alpha", "n_trees", "spec", "deep", "cfg")}


def workflow_digest(cluster: Kube) -> str:
    template = next(each for each in cluster.objects.values() if each["kind"] == "WorkflowTemplate")
    return template["metadata"]["annotations"]["rayflow.dev/deployment"].partition("/")[2]


def test_what_is_given_to_a_trigger_is_checked_here(cluster, deployer):
    deployed = deployer.argo_workflows().create(shared_root=True)
    asked = len(cluster.asked)

    with pytest.raises(ValueError, match=r"Unknown argument: 'alhpa'\. Did you mean 'alpha'"):
        deployed.trigger(alhpa=1)
    with pytest.raises(TypeError, match="Invalid type for 'alpha'"):
        deployed.trigger(alpha="much")
    with pytest.raises(TypeError, match="Invalid type for 'deep'"):
        deployed.trigger(deep=1)
    assert len(cluster.asked) == asked


def test_deployments_are_listed_and_found_by_either_name(cluster, deployer, tmp_path):
    argo = deployer.argo_workflows("nightly").create(shared_root=True)
    cron = deployer.cron().create(output=str(tmp_path / "line.txt"))

    metadata(argo.metadata)

    assert [(each.name, each.impl) for each in DeployedFlow.list_deployed_flows()] == [
        ("nightly", "argo-workflows"),
        ("fraud.test.x.TrainFlow", "cron"),
    ]
    assert [each.name for each in DeployedFlow.list_deployed_flows("TrainFlow", impl="cron")] == [cron.name]
    assert DeployedFlow.from_deployment("nightly").id == "nightly"
    assert DeployedFlow.from_deployment(cron.id, impl="cron").production_token == cron.production_token
    assert (tmp_path / "line.txt").read_text().count("flock") == 1
    with pytest.raises(RayflowNotFound, match="Nothing is deployed to step-functions as 'nightly'"):
        DeployedFlow.from_deployment("nightly", impl="step_functions")
    with pytest.raises(UserError, match="was exported for cron, which rayflow does not ask"):
        cron.trigger()


def test_what_cannot_be_deployed_is_raised_with_what_the_command_said(deployer):
    with pytest.raises(UserError, match=r"(?s)Error deploying .*train.py to airflow:.*is a directory of this machine"):
        deployer.airflow().create()
    with pytest.raises(ValueError, match="Unknown argument: 'max_wokers'"):
        deployer.cron().create(max_wokers=3)
    with pytest.raises(TypeError, match="Invalid type for 'retries'"):
        deployer.argo_workflows().create(retries="often")


@pytest.mark.parametrize("ask", [partial(DeployedFlow.from_deployment, "x"), DeployedFlow.list_deployed_flows], ids=["from", "list"])
def test_an_unknown_scheduler_is_a_value_error_that_lists_them(ask):
    with pytest.raises(ValueError, match=r"There is no scheduler 'luigi'\. Possible values are: argo-workflows, step-functions, airflow"):
        ask(impl="luigi")


def test_outside_a_notebook_nbdeployer_says_what_to_use_instead():
    with pytest.raises(NBRunnerInitializationError, match=r"'NBDeployer' is for flows .* Deployer\('FLOW.py'\)"):
        NBDeployer(type("Flow", (), {}))
