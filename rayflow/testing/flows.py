"""A whole flow, run in this process into a directory of its own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.errors import TaskFailedException
from rayflow.model.records import Outcome
from rayflow.runtime.launch import RunResult, Settings
from rayflow.runtime.launch import run_flow as launch

if TYPE_CHECKING:
    from rayflow.client import Run


def run_flow(
    flow_class: type[FlowSpec],
    *,
    root: str | PathLike[str] | None = None,
    executor: str = "inline",
    check: bool = True,
    decospecs: tuple[str, ...] = (),
    tables: str | None = None,
    **params: Any,
) -> Run:
    """Runs the flow and returns the client's `Run`. `params` are by attribute name, `tables` is "arrow" or "parquet".

    `root`: a directory that keeps the run; by default one that is removed when the process ends. With `check`, a run
    that fails raises TaskFailedException, which says the first task that failed, and its traceback.
    """
    directory = fspath(root) if root is not None else _passing_directory()
    result = launch(define(flow_class, decospecs), params, Settings(root=directory, executor=executor, user="test", tables=tables))
    run = opened(directory, result)
    if check and result.outcome is not Outcome.SUCCEEDED:
        raise TaskFailedException(f"Run {result.run_id} of {result.flow} {result.outcome.value}.\n{_reason(directory, result)}")
    return run


def opened(root: str, result: RunResult) -> Run:
    """The client's object of a run that ended."""
    from rayflow.client import Run, open_pathspec

    run = open_pathspec(root, f"{result.flow}/{result.run_id}")
    assert isinstance(run, Run)
    return run


def _reason(root: str, result: RunResult) -> str:
    from rayflow.catalog.reading import open_run
    from rayflow.store import open_store

    ending = open_run(open_store(root), result.flow, result.run_id).ending
    if ending is None or ending.failure is None:
        return ending.why if ending is not None else ""
    step = ending.failed_key.step if ending.failed_key else "a step"
    return f"Step '{step}' failed:\n{ending.failure.traceback or ending.failure.message}"


def _passing_directory() -> str:
    directory = tempfile.mkdtemp(prefix="rayflow-test-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
