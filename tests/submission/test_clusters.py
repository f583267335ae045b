"""Runs that join real clusters which others run: GPUs are shared as declared, and nodes that are not there yet are asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import accumulate
from pathlib import Path
from threading import Thread

import pytest

from rayflow.client.base import reference
from rayflow.client.roots import root_at
from rayflow.client.runs import Run
from tests.submission.clusters import RAY, Cluster, ray_cluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(150)]

SHARED = """
import os
import time

from rayflow import FlowSpec, resources, step


class SharedFlow(FlowSpec):
    @step
    def start(self):
        self.items = range(4)
        self.next(self.train, foreach="items")

    @resources(cpu=0, gpu=0.5, gpu_type="T4")
    @step
    def train(self):
        self.gpu, began = os.environ["CUDA_VISIBLE_DEVICES"], time.time()
        time.sleep(0.5)
        self.lasted = (began, time.time())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.gpus = {each.gpu for each in inputs}
        self.lasted = [each.lasted for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    SharedFlow()
"""

GROWING = """
import socket
import time

from rayflow import FlowSpec, resources, step


class GrowingFlow(FlowSpec):
    @step
    def start(self):
        self.items = range(14)
        self.next(self.work, foreach="items")

    @resources(cpu=2)
    @step
    def work(self):
        import ray

        self.node = ray.get_runtime_context().get_node_id()
        time.sleep(1.5)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.nodes = {each.node for each in inputs}
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    GrowingFlow()
"""


def run_on(cluster: Cluster, directory: Path, name: str, source: str, *options: str, code: int = 0) -> tuple[Run | None, str]:
    """The run of that flow on the cluster, and what was said."""
    (directory / "flow.py").write_text(source)
    root = str(directory / "root")
    done = subprocess.run(
        [sys.executable, "flow.py", "run", "--address", cluster.address, "--executor", "ray", "--run-id", "r1", *options],
        cwd=directory,
        env={**cluster.environ, "RAYFLOW_ROOT": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return reference(Run, root_at(root), (name, "r1"), None), done.stdout


def most_at_once(lasted: list[tuple[float, float]]) -> int:
    moments = sorted([(begin, 1) for begin, _ in lasted] + [(end, -1) for _, end in lasted])
    return max(accumulate(change for _, change in moments))


def test_two_tasks_share_a_gpu_and_four_do_not_run_at_once(tmp_path):
    with ray_cluster(os.environ) as cluster:
        cluster.start_head(4, "--num-gpus=1", '--resources={"accelerator_type:T4": 1}')
        run, _ = run_on(cluster, tmp_path, "SharedFlow", SHARED)
        elsewhere, said = run_on(cluster, tmp_path, "SharedFlow", SHARED.replace("T4", "H100"), "--run-id", "r2", code=1)

    assert run.data.gpus == {"0"}
    assert most_at_once(run.data.lasted) == 2
    assert "Step 'train' needs 0 CPU, 0.5 GPU, 0.001 accelerator_type:H100, and the cluster has" in said
    assert elsewhere.id == "r1"


@pytest.mark.nightly
def test_a_cluster_without_workers_is_asked_for_those_that_could_come(tmp_path):
    kinds = json.dumps([{"CPU": 2, "most": 2}])

    with ray_cluster(os.environ, RAYFLOW_NODE_KINDS=kinds) as cluster:
        cluster.start_head()
        _, refused = run_on(cluster, tmp_path, "GrowingFlow", GROWING.replace("cpu=2", "cpu=3"), "--run-id", "r0", code=1)
        autoscaler = Thread(target=add_what_is_asked_for, args=(cluster,), daemon=True)
        autoscaler.start()
        run, _ = run_on(cluster, tmp_path, "GrowingFlow", GROWING)
        autoscaler.join(1)

    assert (run.state, len(run.data.nodes)) == ("succeeded", 2)
    assert "Step 'work' needs 3 CPU, and the largest node of the cluster has 2 CPU at most" in refused


def add_what_is_asked_for(cluster: Cluster) -> None:
    """The part of an autoscaler: looks at what tasks wait for, and adds a node of two CPUs, twice at most, some seconds later."""
    while len(cluster.nodes) < 3:
        time.sleep(1)
        said = subprocess.run(
            [RAY, "status", f"--address={cluster.address}"], env=cluster.environ, capture_output=True, text=True, check=False
        )
        if "'CPU': " in said.stdout.partition("Demands:")[2]:
            cluster.add_node(2)
