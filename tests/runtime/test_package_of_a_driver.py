"""A driver that runs from an extracted package is told which one that is, and its run is recorded with it."""

from __future__ import annotations

import pytest

from rayflow.catalog.run import read_run
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step
from rayflow.model.errors import UsageError
from rayflow.package.stored import store_package
from rayflow.runtime.launch import Settings, resume_flow, run_flow
from rayflow.store import open_root


class Packaged(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_runs_and_resumes_are_recorded_with_the_package_that_the_driver_was_told(tmp_path):
    store = open_root(str(tmp_path), create=True)
    digest = store_package(store, "Packaged", b"stored by whoever submitted the job")
    settings = Settings(root=str(tmp_path), executor="inline", user="ada", code=digest)

    results = [run_flow(define(Packaged), {}, settings)]
    results.append(resume_flow(define(Packaged), settings, origin_run_id=results[0].run_id, step="end"))

    assert [read_run(store, "Packaged", result.run_id).code for result in results] == [digest, digest]
    assert list(store.list("Packaged/code")) == [f"Packaged/code/{digest}.zip"]


@pytest.mark.parametrize("digest", ["f" * 64, "../../etc"])
def test_a_package_that_is_not_under_the_root_is_refused_before_there_is_a_run(tmp_path, digest):
    settings = Settings(root=str(tmp_path), executor="inline", user="ada", code=digest)

    with pytest.raises(UsageError, match="has no code package"):
        run_flow(define(Packaged), {}, settings)

    assert list(open_root(str(tmp_path), create=True).list("Packaged/runs")) == []
