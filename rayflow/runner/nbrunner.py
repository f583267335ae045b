"""`NBRunner`: a flow of a notebook, run as if it were a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from importlib.util import cache_from_source
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import UserError
from rayflow.runner.cell import flow_script
from rayflow.runner.executing import ExecutingRun
from rayflow.runner.runner import Runner

if TYPE_CHECKING:
    from rayflow.client import Run
    from rayflow.flow.flowspec import FlowSpec


class NBRunnerInitializationError(UserError):
    """`NBRunner` or `NBDeployer` was made outside IPython."""

    headline = "NBRunner requires an interactive Python environment"


class NBRunner:
    """Runs a flow class that is defined in a notebook: `run = NBRunner(MyFlow).nbrun(alpha=0.5)`.

    The cell that defines the class, and what it uses of other cells (imports, functions, classes, plain values), is written to a file in
    `base_dir` (default: the working directory), where the flow runs too. `cleanup` removes it; `nbrun` and `nbresume` do so by themselves.
    The other arguments are those of `Runner`.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        base_dir: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **top_level_options: Any,
    ) -> None:
        self.flow = flow
        self.base_dir = os.path.abspath(base_dir or os.getcwd())
        self._path = cell_file(flow, self.base_dir, "NBRunner", "Runner('FLOW.py')")
        self.runner = Runner(
            self._path,
            show_output=show_output,
            profile=profile,
            env={"JPY_PARENT_PID": "", **(env or {})},  # by which what runs in a kernel knows its kernel
            cwd=self.base_dir,
            file_read_timeout=file_read_timeout,
            **top_level_options,
        )

    def nbrun(self, **arguments: Any) -> Run:
        """Runs the flow to its end, in whatever way, cleans up, and returns the client's `Run`."""
        try:
            return self.run(**arguments).run
        finally:
            self.cleanup()

    def nbresume(self, **arguments: Any) -> Run:
        """The same for a run that continues an earlier one."""
        try:
            return self.resume(**arguments).run
        finally:
            self.cleanup()

    def run(self, **arguments: Any) -> ExecutingRun:
        """As `Runner.run`; to be followed by `cleanup`."""
        return self.runner.run(**arguments)

    def resume(self, **arguments: Any) -> ExecutingRun:
        """As `Runner.resume`; to be followed by `cleanup`."""
        return self.runner.resume(**arguments)

    async def async_run(self, **arguments: Any) -> ExecutingRun:
        """As `Runner.async_run`; to be followed by `cleanup`."""
        return await self.runner.async_run(**arguments)

    async def async_resume(self, **arguments: Any) -> ExecutingRun:
        """As `Runner.async_resume`; to be followed by `cleanup`."""
        return await self.runner.async_resume(**arguments)

    def cleanup(self) -> None:
        """Ends what still runs, and removes the flow's file and those with the output."""
        self.runner.cleanup()
        remove_cell_file(self._path)


def cell_file(flow: type[FlowSpec], base_dir: str, who: str, instead: str) -> str:
    """Writes the flow of a notebook to a file in `base_dir`, and returns its path. NBRunnerInitializationError outside IPython, where `who`
    is of no use, and `instead` is."""
    script = flow_script(flow, _shell(who, instead).user_ns)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix=f"{flow.__name__}_", suffix=".py", dir=base_dir, delete=False) as file:
        file.write(script)
    return file.name


def remove_cell_file(path: str) -> None:
    """Removes it, and what Python compiled of it."""
    compiled = cache_from_source(path)
    for each in (path, compiled):
        with contextlib.suppress(OSError):
            os.remove(each)
    with contextlib.suppress(OSError):  # not empty: others compiled there too
        os.rmdir(os.path.dirname(compiled))


def _shell(who: str, instead: str) -> Any:
    """The running IPython."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        shell = None
    else:
        shell = get_ipython()
    if shell is None:
        raise NBRunnerInitializationError(
            f"'{who}' is for flows that are defined in a notebook or in IPython, and neither is running. For a flow in a file there is "
            f"{instead}."
        )
    return shell
