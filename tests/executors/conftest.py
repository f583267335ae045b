"""One Ray cluster for the contract: its processes die with the thread that starts them, so that it is the main one."""

from __future__ import annotations

import shutil
import tempfile

import pytest


@pytest.fixture(scope="session")
def cluster():
    import ray

    if ray.is_initialized():  # another suite's, in the same session of pytest
        yield ray
        return
    directory = tempfile.mkdtemp(prefix="rfx-")
    ray.init(address="local", num_cpus=2, include_dashboard=False, _temp_dir=directory, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()
    shutil.rmtree(directory, ignore_errors=True)
