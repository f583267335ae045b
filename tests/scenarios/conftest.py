"""One flow per feature, each run on every executor that can: `play` runs a flow on the executor of the test.

A scenario that an executor cannot do says so, and why: `@cannot("inline", "a segmentation fault ends the test itself")`.

With `RAYFLOW_SCENARIOS_ON=s3` all of them are played on a bucket of an S3 server on loopback, with `flaky-s3` behind a proxy that fails
one request in ten. `just nightly` does both.
"""

from __future__ import annotations

import os

import pytest

from rayflow.client import default_metadata, default_namespace
from scenarios.playing import EXECUTORS, Stage
from tests.flaky_http import one_in, proxied

ON = os.environ.get("RAYFLOW_SCENARIOS_ON", "disk")


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.ray) if name == "ray" else name for name in EXECUTORS])
def executor(request):
    """The executor that the scenario is played on."""
    for mark in request.node.iter_markers("cannot"):
        if request.param == mark.args[0]:
            pytest.skip(f"{request.param}: {mark.args[1]}")
    mark = request.node.get_closest_marker("not_on_buckets")
    if mark is not None and ON != "disk":
        pytest.skip(mark.args[0])
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


@pytest.fixture
def client_session():
    """The process-wide choices of the client are those of the test alone."""
    yield
    default_namespace()
    default_metadata()


@pytest.fixture(scope="session")
def flaky_endpoint(s3_endpoint):
    """The S3 on loopback, behind a network that fails one request in ten."""
    with proxied(s3_endpoint, one_in(10)) as proxy:
        yield proxy.url


@pytest.fixture
def play(request, executor, tmp_path):
    """Runs a flow: `play(F, alpha=1)`, `play(F, decospecs=["retry"], max_workers=1)`. Returns what happened."""
    if ON == "disk":
        return Stage(str(tmp_path / "root"), executor)
    make = request.getfixturevalue("bucket")
    root = make(request.getfixturevalue("flaky_endpoint")) if ON == "flaky-s3" else make()
    return Stage(root, executor, by_address(executor))


def by_address(executor):
    """To a cluster on loopback that is joined by its address the launcher's environment is sent, and with it the bucket's endpoint."""
    if executor != "ray":
        return {}
    import ray

    return {"address": f"127.0.0.1:{ray.get_runtime_context().gcs_address.rpartition(':')[2]}"}
