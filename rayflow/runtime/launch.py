"""The composition root: puts store, catalog, executors, engine and conductor together for one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.flow.definition import FlowDefinition
from rayflow.model.records import Outcome
from rayflow.runtime.notices import Reporter, Silent


@dataclass(frozen=True)
class Settings:
    """What a run needs to know that the flow does not say. Read once, by the entry point.

    `root` is a directory or any fsspec URL. `executor` is `auto`, `ray`, `process` or `inline`. `environ` is what parameters and
    callables may see of the environment.
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
    is_strict: bool = False
    """`--strict-resources`: a need beyond the machine is refused instead of clamped."""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; `exit_code` as DESIGN 5: 0, 1, 130 (SIGINT) or 143 (SIGTERM)."""

    flow: str
    run_id: str
    outcome: Outcome
    exit_code: int


def run_flow(definition: FlowDefinition, given: Mapping[str, Any], settings: Settings, reporter: Reporter | None = None) -> RunResult:
    """Runs the flow to its end; with `settings.run_id` of an existing unfinished run of the same code and parameters it re-attaches.

    `given` are parameter values by option name, as text or converted. Raises UserError for what is wrong before the run exists.
    """
    raise NotImplementedError


def resume_flow(
    definition: FlowDefinition,
    settings: Settings,
    reporter: Reporter | None = None,
    *,
    origin_run_id: str | None = None,
    step: str | None = None,
    is_fork: bool = False,
) -> RunResult:
    """Continues `origin_run_id` (default: the newest run or resume of this flow by this user) in a new run.

    `step`: run it and what follows again. `is_fork`: free of the claim on an unfinished origin. RunOwnedElsewhere when another
    driver is running the origin or already continues it.
    """
    raise NotImplementedError
