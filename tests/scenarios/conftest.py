"""One flow per feature, each run on every executor that can: `play` runs a flow on the executor of the test.

A scenario that an executor cannot do says so, and why: `@cannot("inline", "a segmentation fault ends the test itself")`.
"""

from __future__ import annotations

import shutil
import tempfile

import pytest

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


@pytest.fixture(scope="session")
def cluster():
    """One Ray cluster of 2 CPUs for all scenarios. Its processes die with the thread that starts them: this one, the main one."""
    import ray

    directory = tempfile.mkdtemp(prefix="rfs-")
    written = __import__("os").environ.pop("PYTHONDONTWRITEBYTECODE", None)
    ray.init(address="local", num_cpus=2, include_dashboard=False, _temp_dir=directory, log_to_driver=False, logging_level="ERROR")
    if written is not None:
        __import__("os").environ["PYTHONDONTWRITEBYTECODE"] = written
    yield ray
    ray.shutdown()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def play(executor, tmp_path):
    """Runs a flow: `play(F, alpha=1)`, `play(F, decospecs=["retry"], max_workers=1)`. Returns what happened."""
    return Stage(str(tmp_path / "root"), executor)
