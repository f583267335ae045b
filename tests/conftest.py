"""What all tests share: marks that follow from other marks, and one Ray cluster."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pytest_configure() -> None:
    """No test joins the cluster that its user keeps, reads or writes their cache, or has their settings."""
    os.environ["RAYFLOW_HOME"] = os.path.join(tempfile.gettempdir(), f"rayflow-no-home-{os.getpid()}")
    os.environ["RAYFLOW_STATE_DIR"] = os.path.join(tempfile.gettempdir(), f"rayflow-no-state-{os.getpid()}")
    os.environ["RAYFLOW_CACHE"] = os.path.join(tempfile.gettempdir(), f"rayflow-cache-{os.getpid()}")
    if "PYTEST_XDIST_WORKER" not in os.environ:  # the processes of xdist share one: an environment takes seconds
        os.environ["RAYFLOW_ENVIRONMENTS_DIR"] = os.path.join(tempfile.gettempdir(), f"rayflow-environments-{os.getpid()}")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["RAYFLOW_CACHE"], ignore_errors=True)
    directory = os.environ["RAYFLOW_ENVIRONMENTS_DIR"]
    for _ in range(20 if "PYTEST_XDIST_WORKER" not in os.environ else 0):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            break
        time.sleep(0.1)  # a process of a test is ending, and was writing there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on Ray run in one process of xdist (`--dist loadgroup`), and begin first: they take longest."""
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """One Ray cluster of 2 CPUs for all tests. Its processes die with the thread that starts them: this one, the main one."""
    import ray

    patch = pytest.MonkeyPatch()
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # workers would compile their imports at every start
    directory = tempfile.mkdtemp(prefix="rfs-")
    ray.init(address="local", num_cpus=2, include_dashboard=False, _temp_dir=directory, log_to_driver=False, logging_level="ERROR")
    patch.undo()
    yield ray
    ray.shutdown()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 on loopback: moto's server, where it is installed (`pip install moto[server]`)."""
    server = shutil.which("moto_server", path=f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', '')}")
    if server is None:
        pytest.skip("moto_server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a bucket, tells this process and those that it starts how to get there (by `endpoint`, or directly); returns a root in it."""

    def make(endpoint: str = s3_endpoint) -> str:
        import s3fs

        settings = {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": endpoint}
        for name, value in settings.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        name = f"b{uuid.uuid4().hex[:20]}"
        s3fs.S3FileSystem(skip_instance_cache=True, endpoint_url=s3_endpoint).mkdir(name)
        return f"s3://{name}/root"

    return make
