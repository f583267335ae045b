"""What a driver sends its workers. Pickled; a value here is read by the same version of rayflow that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rayflow.catalog.run import RunRecord
from rayflow.catalog.scope import Scope
from rayflow.model.records import Segment
from rayflow.model.spec import StepSpec
from rayflow.package.gathering import PackedFiles
from rayflow.runtime.cells import Cell


@dataclass(frozen=True, slots=True)
class FlowSource:
    """Where a worker finds the flow class: `class_name` in the file `path`, imported as module `module` with `sys_path` in front.

    A worker on another machine, or one that finds the file changed (`digest`, hex BLAKE3) or another of the `files` of the code package,
    takes that package (`code`) instead: all workers of a run have the same code. A class without a file (a notebook's) travels as
    `pickled`, and `cells` say where its code was written. `compat` is the mode of `rayflow.runtime.compat` that it is loaded in.
    """

    class_name: str
    module: str
    path: str = ""
    digest: str = ""
    sys_path: tuple[str, ...] = ()
    code: str | None = None
    files: PackedFiles | None = None
    pickled: bytes | None = None
    cells: tuple[Cell, ...] = ()
    compat: str | None = None


@dataclass(frozen=True)
class Shared:
    """What all batches of a step have in common. `outer` are the committed lone tasks that its tasks can reach.

    `environ` is the launcher's whole environment for workers that did not inherit it; None for those that did. `is_inline`: this
    process is the launcher's own, so output is copied to the log instead of redirected, and nothing may end the process.
    """

    root: str
    record: RunRecord
    source: FlowSource
    specs: Mapping[str, StepSpec]
    outer: tuple[Segment, ...] = ()
    cwd: str = ""
    environ: Mapping[str, str] | None = None
    max_log_nbytes: int = 10 << 20
    max_num_splits: int | None = None
    tables: str | None = None
    is_inline: bool = False
    keeps_logs: bool = True
    progress_dir: str = ""


@dataclass(frozen=True)
class Assignment:
    """What is particular to one batch: what its tasks may read besides `Shared.outer`."""

    scope: Scope = field(default_factory=lambda: Scope((), ()))
