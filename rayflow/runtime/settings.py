"""What a run is started with, and how it ended: the two values that everybody above the runtime exchanges with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.model.records import Outcome


@dataclass(frozen=True)
class Settings:
    """What a run needs to know that the flow does not say. Read once, by the entry point.

    `root` is a directory or any fsspec URL. `executor` is `auto`, `ray`, `process` or `inline`. `tables` is `arrow` or
    `parquet`; None: Arrow on a local root, Parquet elsewhere. `environ` is what parameters and
    callables may see of the environment. `address` is a cluster's, or `local`: one of the run's own; None: the warm cluster of `state_dir`
    (empty: none), else one of the run's own. `branch` and `is_production` are about the flow's project; `triggers` are the pathspecs of
    runs whose end started this one. `is_strict`: a need beyond the machine is refused instead of cut (`--strict-resources`).
    `environment` says who makes the Pythons of steps that ask for one: `local` (nobody), `pypi`, `conda` or `uv`; None: as the run that
    is continued, else `local`; `environments_dir` is where they are kept. `compat` is the mode in which the flow was loaded (see
    `rayflow.runtime.compat`). `decospecs` are what was added to the flow's steps by `--with` and the like, for the record. `platform` is
    where the driver is to be started (see `rayflow.submission`), as it is noted; empty: this process is the driver. `code`: the digest of a
    code package of this flow under the root, which the driver itself runs from; None: the run's package is made of the files at hand, with
    files that end with `package_suffixes`, and with `package_modules` from elsewhere. `patience_s`:
    for so long a cluster that was joined may lack what a step needs, its nodes being still to come. `node_kinds`: what nodes its autoscaler
    may add, as (resources, how many there may be).
    """

    root: str = ".rayflow"
    executor: str = "auto"
    address: str | None = None
    max_workers: int | None = None
    max_num_splits: int | None = None
    max_log_mb: int = 10
    user: str = ""
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    run_id_file: str | None = None
    runner_attribute_file: str | None = None
    namespace: str | None = None
    tables: str | None = None
    is_strict: bool = False
    state_dir: str = ""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    branch: str | None = None
    is_production: bool = False
    triggers: tuple[str, ...] = ()
    environment: str | None = None
    environments_dir: str = ""
    compat: str | None = None
    decospecs: tuple[str, ...] = ()
    platform: Mapping[str, Any] = field(default_factory=dict[str, Any])
    patience_s: float = 0.0
    node_kinds: tuple[tuple[Mapping[str, float], int], ...] = ()
    code: str | None = None
    package_suffixes: tuple[str, ...] = ()
    package_modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; `exit_code` as DESIGN 5: 0, 1, 130 (SIGINT) or 143 (SIGTERM)."""

    flow: str
    run_id: str
    outcome: Outcome
    exit_code: int
