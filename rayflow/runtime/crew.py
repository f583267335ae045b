"""Which executor performs which batch.

`auto`: child processes of this machine, which perform branches and fan-outs in parallel, unless the flow asks for what only Ray
accounts for (`@resources`), or code that is loaded already uses Ray itself. Then Ray starts in the background, or the warm cluster is
joined, and what needs nothing special is performed by child processes until Ray's first worker is there. A fan-out moves to the warm
cluster where there is one, since that shares the machine's CPUs among all runs. `ray`, `process`, `inline`: everything there.

Why no fan-out starts Ray: on one machine it never paid. Whole processes, child processes beside a Ray cluster of the run's own,
interleaved on 2 busy cores: two branches of 2 s CPU 3.8 s beside 21 s, a foreach of 10 trivial splits 2.9 beside 13, of 100,000
7.8 beside 19, of 200 with 100 ms CPU 12 beside 22. The boot costs 4 CPU-seconds, which the splits want, and each worker 0.5 against 0.25.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from rayflow.executors.inline import InlineExecutor
from rayflow.executors.process import ProcessExecutor
from rayflow.executors.ray import RayExecutor
from rayflow.model.errors import ClusterFault, UserError
from rayflow.model.events import CapacityChanged
from rayflow.model.graph import Graph
from rayflow.model.ports import Executor, Work
from rayflow.model.reports import BatchOver, Report, WorkerDied
from rayflow.model.spec import Resources, StepSpec

ENTRY = "rayflow.runtime.worker:perform"
AHEAD = 2
"""Batches in flight beyond the slots, so that no worker waits for the driver."""


def needs_cluster(specs: Mapping[str, StepSpec]) -> bool:
    """Whether the flow asks for what only Ray accounts for: GPUs, memory, other resources, other than one CPU."""
    return any(not spec.resources.is_default for spec in specs.values())


def gains_from_cluster(graph: Graph, specs: Mapping[str, StepSpec]) -> bool:
    """Whether a run of the flow moves to a cluster that is there already."""
    return needs_cluster(specs) or any(node.is_foreach for node in graph)


def refuse_gangs(graph: Graph) -> None:
    """UserError for a flow with a gang: no executor can start the tasks of one together yet."""
    for node in graph:
        if node.num_parallel:
            raise UserError(
                f"Step '{node.name}' calls a gang (num_parallel), which this version of rayflow cannot run yet. Use a foreach over "
                "range(N) where the tasks need not run at the same time.",
                line=node.next_line or node.line,
                file=node.file,
            )


class Crew:
    """The executors of one run. Not thread-safe."""

    def __init__(
        self,
        graph: Graph,
        specs: Mapping[str, StepSpec],
        *,
        process: ProcessExecutor | None = None,
        ray: RayExecutor | None = None,
        inline: InlineExecutor | None = None,
        is_strict: bool = False,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._graph = graph
        self._specs = specs
        self._process = process
        self._ray = ray
        self._inline = inline
        self._is_strict = is_strict
        self._warn = warn
        self._where: dict[int, Executor] = {}
        self._needs: dict[str, Resources] = {step: spec.resources for step, spec in specs.items()}
        self._is_settled = False
        self._process_count = 0

    @property
    def is_inline(self) -> bool:
        return self._inline is not None

    @property
    def waits_for_ray(self) -> bool:
        """Whether Ray is still starting."""
        return self._ray is not None and not self._ray.is_ready

    def capacity(self) -> CapacityChanged | None:
        """How much fits where; None when nothing changed since the last call. ClusterFault when Ray did not start, or a need can
        never be met."""
        if self._ray is not None and self._ray.is_ready and not self._is_settled:
            self._is_settled = True
            self._settle_needs(self._ray)
            slots = {step: self._ray.slots(needs) for step, needs in self._needs.items()}
            return CapacityChanged(default=1, by_step=slots, ahead=AHEAD)
        return None

    def first_capacity(self) -> CapacityChanged:
        """What fits before any cluster is there."""
        if self._inline is not None:
            return CapacityChanged(default=1, by_step={}, ahead=0)
        if self._process is None:
            return CapacityChanged(default=0, by_step={}, ahead=0)
        slots: dict[str, int] = {}
        for node in self._graph:
            waits = self._ray is not None and not self._is_early(node.name)
            slots[node.name] = 0 if waits else self._process.slots(self._needs[node.name])
        return CapacityChanged(default=1, by_step=slots, ahead=0 if self._ray else AHEAD)

    def _is_early(self, step: str) -> bool:
        """Whether tasks of the step may run in child processes while Ray starts."""
        return self._specs[step].resources.is_default

    def _settle_needs(self, ray: RayExecutor) -> None:
        """Checks each step's needs against the cluster. On one that the run itself started, a need beyond the machine is cut."""
        for step, needs in self._needs.items():
            if ray.slots(needs) > 0:
                continue
            cut = ray.limit(needs)
            text = f"Step '{step}' needs {_spelled(needs)}, and the cluster has {_spelled(cut)} at most"
            if self._is_strict or ray.address is not None:
                raise ClusterFault(f"{text}. Lower its @resources, or give a cluster that has them by --address.")
            self._warn(f"{text}: it runs with that. `--strict-resources` refuses instead.")
            self._needs[step] = cut

    def submit(self, work: Work) -> None:
        executor = self._executor_for(work)
        self._where[work.batch.id] = executor
        if executor is self._ray:
            work = _with_needs(work, self._needs[work.batch.step])
        executor.submit(work)

    def _executor_for(self, work: Work) -> Executor:
        if self._inline is not None:
            return self._inline
        if self._ray is not None and (self._process is None or self._ray.is_ready):
            return self._ray
        assert self._process is not None
        return self._process

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports of all executors, waiting up to `timeout_s` for the first."""
        busy = list(dict.fromkeys(self._where.values()))
        if not busy:
            time.sleep(timeout_s)
            return ()
        if len(busy) == 1:
            reports = busy[0].poll(timeout_s)
        else:
            reports = [report for executor in busy for report in executor.poll(min(timeout_s, 0.01))]
        for report in reports:
            if isinstance(report, (BatchOver, WorkerDied)):
                self._where.pop(report.batch_id, None)
        return reports

    def cancel(self, batch_id: int, *, is_hard: bool) -> None:
        executor = self._where.get(batch_id)
        if executor is not None:
            executor.cancel(batch_id, is_hard=is_hard)

    def close(self) -> None:
        """Ends every process of the run."""
        for executor in (self._process, self._ray, self._inline):
            if executor is not None:
                executor.close()


def cpu_count() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _with_needs(work: Work, needs: Resources) -> Work:
    return Work(work.batch, work.payload, work.shared, work.shared_id, work.name, needs, work.environment, work.is_isolated)


def _spelled(needs: Resources) -> str:
    parts = [f"{needs.cpus:g} CPU"]
    if needs.gpus:
        parts.append(f"{needs.gpus:g} GPU")
    if needs.memory_nbytes:
        parts.append(f"{needs.memory_nbytes / 2**20:.0f} MB")
    return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in needs.custom.items())])
