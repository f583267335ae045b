"""Where the data of runs are."""

import subprocess
import sys

import pytest

from rayflow import S3, FlowSpec, step
from rayflow.client import Run
from rayflow.flow.current import RunContext, TaskContext, current
from rayflow.s3 import RayflowS3URLException
from rayflow.s3.places import root_of_run
from rayflow.settings import read_settings
from rayflow.testing import run_flow


def stated_in(environ):
    """What such an environment states, in a directory that states nothing."""
    return read_settings(environ, "/")


class StepFlow(FlowSpec):
    @step
    def start(self):
        with S3(run=self) as s3:
            self.url = s3.put("kept", "x")
        self.next(self.end)

    @step
    def end(self):
        pass


def settings(data_root=None):
    return read_settings({"RAYFLOW_DATATOOLS_S3ROOT": data_root} if data_root else {}, "/")


@pytest.fixture
def flow():
    """A flow whose step is being performed, in a run on a bucket."""
    current._enter(TaskContext(RunContext("StepFlow", "17", root="s3://runs/team"), "start", "1"))
    yield StepFlow(use_cli=False)
    current._leave()


@pytest.mark.parametrize(
    ("bucket", "prefix", "stated", "expected"),
    [
        (None, None, None, "s3://runs/team/user-data/StepFlow/17"),
        (None, None, "s3://data/ours/", "s3://data/ours/StepFlow/17"),
        (None, None, "s3://data", "s3://data/StepFlow/17"),
        ("other", None, "s3://data/ours", "s3://other/ours/StepFlow/17"),
        (None, "/mine/", "s3://data/ours", "s3://data/mine/StepFlow/17"),
        ("other", "mine", None, "s3://other/mine/StepFlow/17"),
        (None, None, "file:///data", "file:///data/StepFlow/17"),
        (None, None, "/data", "file:///data/StepFlow/17"),
        (None, "mine", "file:///data", "file:///data/mine/StepFlow/17"),
        ("other", "mine", "file:///data", "s3://other/mine/StepFlow/17"),
        ("other", None, "file:///data", "s3://other/StepFlow/17"),
    ],
)
def test_data_of_a_run_are_below_the_data_root(flow, bucket, prefix, stated, expected):
    assert root_of_run(flow, bucket, prefix, settings(stated)) == expected


def test_a_data_root_that_is_none_is_named(flow):
    with pytest.raises(RayflowS3URLException, match="RAYFLOW_DATATOOLS_S3ROOT takes the URL"):
        root_of_run(flow, None, None, settings("s3://"))


def test_a_run_without_a_root_says_what_to_set():
    current._enter(TaskContext(RunContext("StepFlow", "17"), "start", "1"))
    try:
        with pytest.raises(RayflowS3URLException, match="Set RAYFLOW_DATATOOLS_S3ROOT"):
            root_of_run(StepFlow(use_cli=False), None, None, settings())
    finally:
        current._leave()


def test_data_of_a_run_that_is_over_are_under_its_own_root(tmp_path):
    run = run_flow(StepFlow, root=str(tmp_path / "root"))

    assert isinstance(run, Run)
    assert root_of_run(run, None, None, settings()) == f"file://{tmp_path}/root/user-data/StepFlow/{run.id}"


def test_commands_take_them_for_no_flow_and_leave_them_alone(tmp_path):
    run = run_flow(StepFlow, root=tmp_path / "root")

    def said(*words):
        command = [sys.executable, "-m", "rayflow", *words, "--root", tmp_path / "root"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    told = [said("verify"), said("ls"), said("rm", "--yes", f"StepFlow/{run.id}"), said("gc", "--delete")]

    assert [each.returncode for each in told] == [0, 0, 0, 0]
    assert "user-data" not in "".join(each.stdout + each.stderr for each in told)
    assert (tmp_path / "root" / "user-data" / "StepFlow" / run.id / "kept").read_text() == "x"


def test_outside_a_run_there_is_no_self():
    with pytest.raises(RayflowS3URLException, match="run=Run"):
        S3(run=StepFlow(use_cli=False))


def test_what_is_no_run_is_named():
    with pytest.raises(RayflowS3URLException, match="'Flow/17'"):
        S3(run="Flow/17")


def test_in_a_step_the_missing_root_is_told_with_its_way_out(flow):
    with pytest.raises(RayflowS3URLException, match=r"Specify S3\(run=self\)"), S3() as s3:
        s3.get("x")
