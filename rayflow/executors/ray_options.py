"""What Ray is told of a batch: its needs, its place, and the process that is to perform it."""

from __future__ import annotations

import os
from typing import Any

from rayflow.executors.entry import ENVIRONMENT_VARIABLES
from rayflow.model.errors import ClusterFault
from rayflow.model.ports import Interpreter, Work

_ISOLATED = "RAYFLOW_ISOLATED"


def is_of_this_machine(address: str | None) -> bool:
    """Whether a cluster at this address has no other machine: none could join it there."""
    return (address or "").rpartition(":")[0].rpartition("/")[2] in ("127.0.0.1", "localhost")


def options_of(work: Work, where: Any = None, *, is_elsewhere: bool) -> dict[str, Any]:
    """The options of the Ray task of a batch. `where` is the place of a gang's node; `is_elsewhere`: other machines than this one may
    perform it."""
    needs = work.resources
    options: dict[str, Any] = {"num_cpus": needs.cpus, "name": work.name, "max_retries": 0, "num_returns": "streaming"}
    if needs.gpus:
        options["num_gpus"] = needs.gpus
    if needs.memory_nbytes:
        options["memory"] = needs.memory_nbytes
    if needs.custom:
        options["resources"] = dict(needs.custom)
    if where is not None:
        options["scheduling_strategy"] = where
    runtime_env = _runtime_env(work, is_elsewhere)
    if runtime_env:
        options["runtime_env"] = runtime_env
    return options


def _runtime_env(work: Work, is_elsewhere: bool) -> dict[str, Any]:
    """Workers of another runtime environment are others."""
    variables, told = dict(work.environment), dict[str, Any]()
    if work.is_isolated:
        variables[_ISOLATED] = "1"  # after one call they end
    if work.python is not None:
        variables = {**ENVIRONMENT_VARIABLES, **variables}
        told["py_executable"] = work.python.command if is_elsewhere else _here(work.python)
    if variables:
        told["env_vars"] = variables
    return told


def _here(python: Interpreter) -> str:
    """Its path. ClusterFault where it is gone: Ray would wait in silence for a worker that never starts."""
    if not os.access(python.path, os.X_OK):
        raise ClusterFault(f"The Python of an environment, {python.path}, is gone. Start the run again: it is made again then.")
    return python.path
