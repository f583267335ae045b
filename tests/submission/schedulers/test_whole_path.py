"""From the export to the last task: the RayJob that a scheduler creates, on a stand-in of Kubernetes and a real Ray cluster."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rayflow.client import Run, metadata, namespace
from rayflow.submission.schedulers.argo import RUN_ID, ArgoOptions, export, run_id_of
from tests.submission.clusters import Cluster, ray_cluster
from tests.submission.kuberay.apiserver import ApiServer, api_server
from tests.submission.kuberay.operator import Operator, operator
from tests.submission.schedulers.conftest import TRAIN
from tests.submission.schedulers.manifests import manifest
from tests.submission.schedulers.test_argo import UID, created, stated

pytestmark = [pytest.mark.nightly, pytest.mark.ray, pytest.mark.timeout(300)]
BREAKS = """
        self.got = (self.alpha, self.note, self.notes, self.cfg.depth)
        self.next(self.once)

    @step
    def once(self):
        import os
        if not os.path.exists(self.note):
            open(self.note, "w").close()
            raise ValueError("the first time")
        self.next(self.end)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster(os.environ) as made:
        made.start_head()
        made.add_node(2, '--resources={"rayflow-pods-start": 1, "rayflow-pods-once": 1, "rayflow-pods-end": 1}')
        yield made


@pytest.fixture
def kubernetes(cluster: Cluster) -> Iterator[tuple[ApiServer, Operator]]:
    with api_server() as server, operator(server, {**os.environ, **cluster.environ}) as made:
        yield server, made


def ended(server: ApiServer, name: str) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = server.get("science", name).get("status", {}).get("jobDeploymentStatus")
        if status in ("Complete", "Failed", "ValidationFailed"):
            return status
        time.sleep(0.1)
    raise AssertionError("it goes on for ever")


def test_what_argo_tries_again_goes_on_with_the_same_run(shipped, store, kubernetes, tmp_path):
    server, made = kubernetes
    source = TRAIN.replace("        self.next(self.end)\n", BREAKS[1:])
    shipment = replace(shipped(source=source, retries=1), root=store.url)
    job = manifest(shipment, RUN_ID, is_root_shared=True)
    template = export(shipment, job, ArgoOptions()).content["items"][0]
    given = {**stated(template), "alpha": "0.5", "note": str(tmp_path / "broken once")}

    endings = []
    for attempt in ("a", "b"):
        rayjob = created(template, given)
        name = f"{rayjob['metadata'].pop('generateName')}{attempt}"
        rayjob["metadata"]["name"] = name
        server.create("science", rayjob, is_trial=False)
        endings.append(ended(server, name))

    namespace(None)
    metadata(store.url)
    run = Run(f"TrainFlow/{run_id_of(UID)}")
    printed = "".join(made.output(name) for _, name in server.jobs)
    assert endings == ["Failed", "Complete"], printed
    assert (run.successful, run.data.got) == (True, (0.5, given["note"], "some notes", 3)), printed
    assert [len(list(step)) for step in run] == [1, 1, 1]
    assert json.dumps(sorted(run.tags)).count("production:") == 1
