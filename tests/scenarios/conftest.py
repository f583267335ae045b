"""One flow per feature, each run on every executor that can: `play` runs a flow on the executor of the test.

A scenario that an executor cannot do says so, and why: `@cannot("inline", "a segmentation fault ends the test itself")`.
"""

from __future__ import annotations

import pytest

from rayflow.client import default_metadata, default_namespace
from scenarios.playing import EXECUTORS, Stage


def pytest_configure(config):
    config.addinivalue_line("markers", "cannot(executor, why): this executor cannot play the scenario")


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.ray) if name == "ray" else name for name in EXECUTORS])
def executor(request):
    """The executor that the scenario is played on."""
    for mark in request.node.iter_markers("cannot"):
        if request.param == mark.args[0]:
            pytest.skip(f"{request.param}: {mark.args[1]}")
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


@pytest.fixture
def client_session():
    """The process-wide choices of the client are those of the test alone."""
    yield
    default_namespace()
    default_metadata()


@pytest.fixture
def play(executor, tmp_path):
    """Runs a flow: `play(F, alpha=1)`, `play(F, decospecs=["retry"], max_workers=1)`. Returns what happened."""
    return Stage(str(tmp_path / "root"), executor)
