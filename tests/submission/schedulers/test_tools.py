"""What schedulers are given, tried with their own tools: `just schedulers` installs those, and runs this."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rayflow.submission.schedulers import airflow, argo, stepfunctions
from tests.submission.kuberay.apiserver import ApiServer, api_server, kubeconfig
from tests.submission.schedulers import tools
from tests.submission.schedulers.manifests import environment, manifest

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

PARSED_BY_HERA = """
import json, sys
from hera.events import models as events
from hera.workflows import models as workflows

KINDS = {
    "WorkflowTemplate": workflows.WorkflowTemplate,
    "CronWorkflow": workflows.CronWorkflow,
    "Sensor": events.Sensor,
    "EventSource": events.EventSource,
}

def lost(said, kept, path):
    if isinstance(said, dict):
        for name, value in said.items():
            if not isinstance(kept, dict) or name not in kept:
                yield f"{path}/{name}"
            else:
                yield from lost(value, kept[name], f"{path}/{name}")
    elif isinstance(said, list):
        for each, other in zip(said, kept):
            yield from lost(each, other, path)

for document in json.load(sys.stdin):
    model = KINDS[document["kind"]].parse_obj(document)
    kept = json.loads(model.json(exclude_none=True, by_alias=True))
    for path in lost(document, kept, document["kind"]):
        print(path)
"""
KNOWN_BY_HERA_OTHERWISE = (
    "EventSource/apiVersion",
    "EventSource/kind",
    "EventSource/spec/resource/run-1/",  # group, version and resource, which Argo has inline
    "Sensor/apiVersion",
    "Sensor/kind",
    "Sensor/spec/triggers/template/argoWorkflow/source/resource/",  # any object
)
OUTCOMES = {
    "succeeded": ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, 0),
    "failed": ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}, 1),
    "stopped": ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, 1),
}


def needed(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not there: just schedulers")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server() as made:
        yield made


# -- Argo and Step Functions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "above",
    [
        "",
        "@schedule(hourly=True, timezone='Europe/Berlin')",
        "import rayflow\n\n\n@rayflow.trigger_on_finish(flow='Up')\n@rayflow.trigger(event={'name': 'e', 'parameters': ['alpha']})",
    ],
    ids=["plain", "schedule", "events"],
)
def test_argos_own_models_know_every_field(shipped, above):
    python = needed(tools.python("hera"))
    shipment = shipped(above, retries=1)

    made = argo.export(shipment, manifest(shipment, argo.RUN_ID), argo.ArgoOptions("starter", "hooks", "watcher"))
    command = [python, "-W", "ignore", "-c", PARSED_BY_HERA]
    result = subprocess.run(command, input=json.dumps(made.content["items"]), capture_output=True, text=True, check=False)

    unknown = [path for path in result.stdout.splitlines() if not path.startswith(KNOWN_BY_HERA_OTHERWISE)]
    assert (result.returncode, unknown) == (0, []), result.stderr


@pytest.mark.parametrize("retries", [0, 2])
def test_the_validator_of_states_language_accepts_the_machine(shipped, tmp_path, retries):
    validator = needed(tools.asl_validator())
    shipment = shipped(retries=retries)
    eks = stepfunctions.EksOptions("flows", "https://eks.example", "QUJD")

    made = stepfunctions.export(shipment, manifest(shipment, stepfunctions.RUN_ID), eks)
    (tmp_path / "machine.json").write_text(json.dumps(made.content["definition"]))
    result = subprocess.run([validator, "--json-path", tmp_path / "machine.json"], capture_output=True, text=True, check=False)

    assert (result.returncode, "is valid" in result.stdout) == (0, True), result.stdout + result.stderr


# -- Airflow -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["airflow2", "airflow3"])
def command(request, tmp_path: Path, server: ApiServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`airflow WORDS` with a home of its own, and the cluster that is the stand-in."""
    python = needed(tools.python(request.param))
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "KUBECONFIG": kubeconfig(tmp_path, server.url),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    environ.pop("PYTHONPATH", None)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["airflow", *words], env=environ, capture_output=True, text=True, check=False, timeout=300)

    run("db", "migrate")
    return run


@pytest.fixture
def ending(server: ApiServer) -> Iterator[Callable[[str], None]]:
    """Has each RayJob end in this way, a second after it was created."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def play(outcome: str) -> None:
        while not over.wait(0.1):
            for (namespace, name), job in list(server.jobs.items()):
                if "status" not in job:
                    time.sleep(1)
                    server.change(namespace, name, {"status": OUTCOMES[outcome][0]})

    def begin(outcome: str) -> None:
        threads.append(threading.Thread(target=play, args=(outcome,)))
        threads[0].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join()


def deploy(shipment, tmp_path: Path) -> None:
    made = airflow.export(shipment, manifest(shipment, airflow.RUN_ID), airflow.AirflowOptions(poll_s=1, retry_delay_s=1))
    (tmp_path / "airflow" / "dags" / "train.py").write_text(made.files[".py"])


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_airflow_parses_the_file_and_performs_it_in_every_outcome(on_time, tmp_path, command, server, ending, outcome):
    shipment = on_time(zone="Europe/Berlin")
    deploy(shipment, tmp_path)
    ending(outcome)
    note = 'it\'s "quoted" {{ dag }} $(reboot)'

    errors = command("dags", "list-import-errors")
    result = command("dags", "test", "TrainFlow", "-c", json.dumps({"alpha": 0.5, "note": note}))

    (job,) = server.jobs.values()
    run_id = job["metadata"]["labels"]["rayflow.dev/run-id"]
    assert ("No data found" in errors.stdout, result.returncode) == (True, OUTCOMES[outcome][1]), errors.stdout + result.stdout[-3000:]
    assert json.loads(environment(job)["RAYFLOW_PARAMETERS"]) == {"alpha": 0.5, "note": note}
    assert job["metadata"]["name"] == f"rayflow-{run_id}-1"
    assert f"drive TrainFlow/{run_id} --root s3://bucket/flows --deployment {shipment.digest}" in job["spec"]["entrypoint"]


def test_a_lost_answer_to_the_creation_is_no_failure(on_time, tmp_path, command, server, ending):
    """The client does not know whether its POST arrived: Airflow tries the task again, which finds its own RayJob."""
    deploy(on_time(retries=1), tmp_path)
    ending("succeeded")
    threading.Thread(target=_lose_first_creation, args=(server,), daemon=True).start()

    result = command("dags", "test", "TrainFlow")

    assert (result.returncode, len(server.jobs)) == (0, 1), result.stdout[-3000:]


def _lose_first_creation(server: ApiServer) -> None:
    while not any(asked.startswith("GET") for asked in server.asked):
        time.sleep(0.001)
    server.faults.next.append("lost")
