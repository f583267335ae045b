"""Runs that are submitted to KubeRay, from the command line to the last task: API server and operator on loopback, a real Ray cluster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rayflow.client import Run, metadata, namespace
from tests.submission.clusters import Cluster, ray_cluster
from tests.submission.kuberay.apiserver import ApiServer, api_server, kubeconfig
from tests.submission.kuberay.operator import Operator, operator

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

NAPS = """
import time

from rayflow import FlowSpec, Parameter, kubernetes, step


class NapsFlow(FlowSpec):
    count = Parameter("count", default=3)
    notes = Parameter("notes", default="")
    gate = Parameter("gate", default="")

    @step
    def start(self):
        self.items = range(self.count)
        self.next(self.nap, foreach="items")

    @kubernetes(image="team/naps:1")
    @step
    def nap(self):
        while self.input >= int(open(self.gate).read() or 0):
            time.sleep(0.1)
        with open(self.notes, "a") as file:
            file.write(f"{self.input}\\n")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.input for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("the total is", self.total)


if __name__ == "__main__":
    NapsFlow()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head, and a node that has what the pods of the flow's two groups offer."""
    with ray_cluster(os.environ) as made:
        made.start_head()
        made.add_node(2, '--resources={"rayflow-pods-start": 1, "rayflow-pods-nap": 1}')
        yield made


@dataclass
class Kube:
    """The program, as a user of a Kubernetes cluster calls it, and that cluster."""

    server: ApiServer
    operator: Operator
    environ: dict[str, str]
    directory: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rayflow", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
            cwd=self.directory,
            text=True,
        )

    def call(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == code, said + "".join(self.operator.output(name) for _, name in self.server.jobs)
        return said

    def submit(self, *words: str) -> str:
        """Submits without following; the run's id."""
        said = self.call("submit", "naps.py", "--on", "kuberay", "--shared-root", *self.noting, *words, "--detach")
        return submitted_in(said)

    @property
    def noting(self) -> tuple[str, ...]:
        return ("--notes", str(self.notes), "--gate", str(self.directory / "gate"))

    def open_gate(self, count: int) -> None:
        """Lets so many naps of a run go on: the others wait."""
        (self.directory / "gate").write_text(str(count))

    @property
    def notes(self) -> Path:
        return self.directory / "notes"

    def performed(self) -> list[str]:
        return self.notes.read_text().split() if self.notes.exists() else []

    def run(self, run_id: str) -> Run:
        namespace(None)
        metadata(str(self.directory / "root"))
        return Run(f"NapsFlow/{run_id}")

    def totals(self, run_id: str) -> int:
        """How many naps are acknowledged."""
        return self.run(run_id).handle.view.totals().get("nap", 0)

    def status(self, run_id: str) -> dict[str, str]:
        return self.server.jobs["science", f"rayflow-{run_id}"].get("status", {})

    def driver(self, run_id: str) -> subprocess.Popen[bytes]:
        return self.operator.drivers[f"rayflow-{run_id}"]


def waiting_pod(run_id: str) -> dict[str, object]:
    """The head of a job whose image is not there."""
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    return {
        "metadata": {"name": "head-0", "labels": {"rayflow.dev/run-id": run_id}},
        "spec": {"containers": [{"name": "ray-head"}]},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }


def submitted_in(said: str) -> str:
    found = re.search(r"Run NapsFlow/(\w+) is submitted", said)
    assert found, said
    return found[1]


@pytest.fixture
def kube(cluster: Cluster, tmp_path: Path) -> Iterator[Kube]:
    (tmp_path / "naps.py").write_text(NAPS)
    with api_server() as server, operator(server, {**cluster.environ, "RAY_ADDRESS": cluster.address}) as operating:
        environ = {**os.environ, "RAYFLOW_ROOT": str(tmp_path / "root"), "KUBECONFIG": kubeconfig(tmp_path, server.url)}
        made = Kube(server, operating, environ, tmp_path)
        made.open_gate(1000)
        yield made


def until(is_so: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_submitter_that_is_killed_leaves_a_run_that_is_attached_to(kube: Kube):
    kube.operator.is_held = True
    submitter = kube.start("submit", "naps.py", "--on", "kuberay", "--shared-root", *kube.noting)
    said = ""
    while "is submitted" not in said:
        said = submitter.stdout.readline()
    submitter.send_signal(signal.SIGKILL)
    submitter.wait()
    run_id = submitted_in(said)
    pending = kube.run(run_id).state
    kube.operator.is_held = False

    told = kube.call("attach", run_id)
    run = kube.run(run_id)

    assert "the total is 3" in told
    assert (pending, run.state, run.data.total) == ("pending", "succeeded", 3)
    assert run.handle.record.facts["submitted_to"]["address"] == "standin/science"
    until(lambda: kube.status(run.id)["jobDeploymentStatus"] == "Complete")


def test_a_run_whose_driver_died_is_resumed_there_stopped_and_resumed_again(kube: Kube):
    kube.open_gate(3)
    first = kube.submit("--count", "8", "--label", "team=naps")
    until(lambda: kube.totals(first) == 3)
    kube.driver(first).send_signal(signal.SIGKILL)
    told = kube.call("attach", first, code=1)

    kube.open_gate(6)
    second = submitted_in(kube.call("resume", first, "--on", "kuberay", "--detach"))
    until(lambda: kube.totals(second) == 6)
    kube.call("stop", second)
    until(lambda: ("science", f"rayflow-{second}") not in kube.server.jobs)

    kube.open_gate(1000)
    third = kube.run(submitted_in(kube.call("resume", second, "--on", "kuberay")))

    assert "Its job is failed. AppFailed: Job entrypoint command failed with exit code -9" in told
    assert kube.run(second).state == "interrupted"
    assert (third.state, third.data.total, third.origin_pathspec) == ("succeeded", 28, f"NapsFlow/{second}")
    assert kube.server.jobs["science", f"rayflow-{third.id}"]["metadata"]["labels"]["team"] == "naps"
    assert sorted(kube.performed()) == [str(number) for number in range(8)]


@pytest.mark.nightly
def test_a_run_is_submitted_and_followed_to_its_end(kube: Kube):
    kube.operator.is_held = True
    following = kube.start("submit", "naps.py", "--on", "kuberay", "--shared-root", *kube.noting, "--env", "LEVEL=debug")
    said = ""
    while "Waiting: " not in said:
        said += following.stdout.readline()
        kube.server.pods = [waiting_pod(submitted_in(said))] if "is submitted" in said else []
    kube.operator.is_held = False
    said += following.communicate(timeout=60)[0]
    run_id = submitted_in(said)
    head = kube.server.jobs["science", f"rayflow-{run_id}"]["spec"]["rayClusterSpec"]["headGroupSpec"]

    assert "Waiting: Pod head-0: ImagePullBackOff: Back-off pulling image" in said
    assert (kube.run(run_id).state, "the total is 3" in said, following.returncode) == ("succeeded", True, 0)
    assert {"name": "LEVEL", "value": "debug"} in head["template"]["spec"]["containers"][0]["env"]


@pytest.mark.nightly
def test_a_driver_that_the_operator_starts_again_goes_on_with_its_run(kube: Kube):
    kube.operator.retries = 1
    kube.open_gate(3)
    run_id = kube.submit("--count", "8")
    until(lambda: kube.totals(run_id) == 3)
    kube.driver(run_id).send_signal(signal.SIGKILL)
    kube.open_gate(1000)

    kube.call("attach", run_id)
    run = kube.run(run_id)

    assert (run.state, run.data.total) == ("succeeded", 28)
    assert kube.operator.started == [f"rayflow-{run_id}"] * 2
    assert {"0", "1", "2"}.isdisjoint(kube.performed()[3:])


@pytest.mark.nightly
def test_of_two_that_submit_one_run_at_once_both_follow_the_one_driver(kube: Kube):
    words = ("submit", "naps.py", "--on", "kuberay", "--shared-root", *kube.noting, "--run-id", "Nightly_7")
    both = [kube.start(*words) for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in both]

    assert [each.returncode for each in both] == [0, 0], said
    assert ["the total is 3" in each for each in said] == [True, True]
    assert len(kube.operator.started) == 1
    assert len(kube.performed()) == 3
