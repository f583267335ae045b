"""What Ray is told of a batch, without Ray."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from rayflow.executors.ray_options import is_of_this_machine, options_of
from rayflow.model.commands import Batch
from rayflow.model.errors import ClusterFault
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Interpreter, Work
from rayflow.model.spec import Resources

WORK = Work(Batch(1, "a", IndexSet.single(0)), b"", b"", "", "a")
PYTHON = Interpreter(sys.executable, "bash -c '...'")
ALWAYS = {"num_cpus": 1.0, "name": "a", "max_retries": 0, "num_returns": "streaming"}


def test_needs_are_told_where_there_are_any():
    needs = Resources(2, 0.5, 1 << 20, {"TPU": 1})

    assert options_of(WORK, is_elsewhere=False) == ALWAYS
    assert options_of(replace(WORK, resources=needs), "there", is_elsewhere=True) == {
        **ALWAYS,
        "num_cpus": 2,
        "num_gpus": 0.5,
        "memory": 1 << 20,
        "resources": {"TPU": 1},
        "scheduling_strategy": "there",
    }


def test_workers_of_another_environment_are_others():
    own, isolated = replace(WORK, environment={"LEVEL": "debug"}, python=PYTHON), replace(WORK, is_isolated=True)
    variables = {"PYTHONNOUSERSITE": "1", "LEVEL": "debug"}

    assert options_of(isolated, is_elsewhere=True)["runtime_env"] == {"env_vars": {"RAYFLOW_ISOLATED": "1"}}
    assert options_of(own, is_elsewhere=False)["runtime_env"] == {"py_executable": sys.executable, "env_vars": variables}
    assert options_of(own, is_elsewhere=True)["runtime_env"] == {"py_executable": "bash -c '...'", "env_vars": variables}


def test_a_python_that_is_gone_is_no_silent_wait():
    with pytest.raises(ClusterFault, match="/nowhere/python, is gone"):
        options_of(replace(WORK, python=Interpreter("/nowhere/python", "")), is_elsewhere=False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:6379", True), ("ray://localhost:10001", True), ("10.0.0.1:6379", False), ("auto", False), (None, False)],
)
def test_a_loopback_address_is_of_this_machine(address, expected):
    assert is_of_this_machine(address) is expected
