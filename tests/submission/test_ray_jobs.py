"""Runs that are submitted to a real Ray cluster of several nodes, with everything dying in the midst of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rayflow.client import Run, metadata, namespace
from tests.submission.clusters import Cluster, ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(150)]

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTED = """        __import__("time").sleep(0.7)
        with open({notes!r}, "a") as file:
            file.write(self.input + "\\n")
"""


@pytest.fixture(scope="module")
def cluster(s3_endpoint: str) -> Iterator[Cluster]:
    """A head that performs no tasks, and two nodes of one CPU. They have the credentials of the bucket, as an instance role would give."""
    s3 = {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": s3_endpoint}
    with ray_cluster(os.environ, **{f"AWS_{name}": value for name, value in s3.items()}) as made:
        made.start_head()
        made.add_node()
        made.add_node()
        yield made


class Shell:
    """The program, as a user of the cluster calls it."""

    def __init__(self, cluster: Cluster, root: str, directory: Path) -> None:
        self.environ = {**cluster.environ, "RAYFLOW_ROOT": root, "RAY_API_SERVER_ADDRESS": cluster.dashboard}
        self.root, self.directory = root, directory

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
        assert process.returncode == code, said
        return said

    def submit(self, *words: str) -> str:
        """Submits without following; the run's id."""
        said = self.call("submit", *words, "--detach")
        return re.search(r"Run \w+/(\w+) is submitted", said)[1]

    def run(self, run_id: str, flow: str) -> Run:
        namespace(None)
        metadata(self.root)
        return Run(f"{flow}/{run_id}")


def until(is_so, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def said_run_id(submitter: subprocess.Popen[str]) -> str:
    """The id of the run, once the submitter has said it."""
    said: list[str] = []
    while not said or "is submitted" not in said[-1]:
        said.append(submitter.stdout.readline())
        assert said[-1], "".join(said)
    return re.search(r"Run \w+/(\w+)", said[-1])[1]


def driver_of(run_id: str) -> int:
    """The pid of the driver: the Python that `drive`s the run (the shell around it has the words too)."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"drive" in words and any(word.endswith(run_id.encode()) for word in words):
            return int(name)
    raise AssertionError(f"nobody drives {run_id}")


@pytest.mark.nightly
def test_the_example_survives_the_submitter_a_node_and_its_driver(cluster: Cluster, bucket, tmp_path):
    notes = tmp_path / "performed"
    example, body = (EXAMPLES / "flights.py").read_text(), "        own = self.flights"
    assert body in example
    (tmp_path / "slow.py").write_text(example.replace(body, NOTED.format(notes=str(notes)) + body))
    shell = Shell(cluster, bucket(), tmp_path)

    submitter = shell.start("submit", "slow.py")
    run_id = said_run_id(submitter)
    submitter.send_signal(signal.SIGKILL)
    submitter.wait()

    attached = shell.start("attach", run_id, "--json")
    run = shell.run(run_id, "FlightsFlow")
    until(lambda: notes.exists() and len(notes.read_text().split()) >= 4)
    lost, _ = cluster.nodes.pop(), cluster.add_node()
    lost.kill()
    until(lambda: run.handle.view.totals().get("delays", 0) >= 7)
    os.kill(driver_of(run_id), signal.SIGKILL)
    told, _ = attached.communicate(timeout=90)
    acknowledged = {task.data.routes["carrier"][0].as_py() for task in run["delays"]}
    performed = notes.read_text().split()

    resumed = shell.call("resume", run_id, "--on", "ray")
    after = notes.read_text().split()[len(performed) :]
    done = shell.run(re.search(r"Run FlightsFlow/(\w+) is submitted", resumed)[1], "FlightsFlow")

    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert {"run_started", "task_done"} <= {event["event"] for event in events}
    assert "Nobody drives run" in told
    assert "Its job is failed" in told
    assert (done.state, done.data.flown, done.data.routes.num_rows) == ("succeeded", 336_776, 3_869)
    assert len(acknowledged) >= 7
    assert not acknowledged & set(after)
    assert len(acknowledged | set(after)) == 16


def test_a_run_is_stopped_and_goes_on_where_it_is_submitted_again_under_its_id(cluster: Cluster, tmp_path):
    (tmp_path / "naps.py").write_text(NAPS)
    shell = Shell(cluster, str(tmp_path / "root"), tmp_path)
    words = ["naps.py", "--count", "14", "--run-id", "night1", "--tag", "night shift", "--max-workers", "2", "--with", "retry:times=1"]
    run_id = shell.submit(*words)
    run = shell.run(run_id, "NapsFlow")
    pending = run.state

    until(lambda: run.handle.view.totals().get("nap", 0) >= 3)
    shell.call("stop", run_id)
    until(lambda: run.handle.opened.ending is not None)
    stopped = shell.call("attach", run_id, code=130)
    told = shell.call("submit", *words, "--json")

    run = shell.run(run_id, "NapsFlow")
    assert run_id == "night1"
    assert pending in ("pending", "running")
    assert "Workflow interrupted." in stopped
    assert (run.state, run.data.total) == ("succeeded", 91)
    assert json.loads(told.splitlines()[0])["job_id"] == "rayflow-night1"
    assert run.user_tags == {"night shift"}
    assert run.handle.record.decospecs == ("retry:times=1",)
    assert run.handle.record.facts["launch"]["max_workers"] == 2


NAPS = """
import time

from rayflow import FlowSpec, Parameter, step


class NapsFlow(FlowSpec):
    count = Parameter("count", default=3)

    @step
    def start(self):
        self.items = range(self.count)
        self.next(self.nap, foreach="items")

    @step
    def nap(self):
        time.sleep(0.5)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.input for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    NapsFlow()
"""
