"""Which executor performs which batch.

`auto`: Ray, started in the background when it pays, and child processes of this machine until its first worker is there. At once
where the flow asks for what only Ray accounts for (`@resources`), where code that is loaded already uses Ray itself, or where there is a
cluster to join (`--address`, `rayflow up`); else when a fan-out has gone on for `LONG_S` and tasks of it still wait. So branches, and
fan-outs of seconds, never wait for a boot, nor share their CPUs with one. `ray`, `process`, `inline`: everything there.

Why a fan-out does not start Ray at once: its boot takes 4 CPU-seconds, which the splits want. Whole processes, medians of three
interleaved rounds on 2 cores: a foreach of 10 trivial splits 1.2 s by child processes, 7.2 s with a Ray cluster of its own; of 100,000
2.4 and 7.6 s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rayflow.executors.inline import InlineExecutor
from rayflow.executors.process import ProcessExecutor
from rayflow.executors.ray import RayExecutor
from rayflow.executors.room import Room, cut_to
from rayflow.model.errors import ClusterFault
from rayflow.model.events import CapacityChanged
from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE
from rayflow.model.ports import Executor, Work
from rayflow.model.reports import BatchOver, Report, WorkerDied
from rayflow.model.spec import Resources, StepSpec

ENTRY = "rayflow.runtime.worker:perform"
AHEAD = 2
"""Batches in flight beyond the slots, so that no worker waits for the driver."""
LONG_S = 10.0
"""A fan-out that goes on for so long has used five times what Ray's boot costs on two cores, and is likely to go on."""

ROOM_S = 5.0
"""A gang that waits so long for room says what it waits for."""


def needs_cluster(specs: Mapping[str, StepSpec]) -> bool:
    """Whether the flow asks for what only Ray accounts for: GPUs, memory, other resources, other than one CPU."""
    return any(not spec.resources.is_default for spec in specs.values())


def gains_from_cluster(graph: Graph, specs: Mapping[str, StepSpec]) -> bool:
    """Whether a run of the flow moves to a cluster that is there already."""
    return needs_cluster(specs) or any(node.is_foreach for node in graph)


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
        spare: RayExecutor | None = None,
        is_strict: bool = False,
        patience_s: float = 0.0,
        warn: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ray` is starting or started; `spare` is not, and becomes `ray` when a fan-out turns out long. `patience_s`: for so long after
        it was joined a cluster may lack what a step needs, since its nodes are still to come."""
        self._graph = graph
        self._spare = spare
        self._clock = clock
        self._fanning_since: float | None = None
        self._specs = specs
        self._process = process
        self._ray = ray
        self._inline = inline
        self._is_strict = is_strict
        self._patience_s = patience_s
        self._joined_at: float | None = None
        self._warn = warn
        self._where: dict[int, Executor] = {}
        self._needs: dict[str, Resources] = {step: spec.resources for step, spec in specs.items()}
        self._room: Room | None = None
        self._warned: set[str] = set()
        self._gang = ""
        self._unbegun = ""
        self._unbegun_since: float | None = None

    @property
    def is_inline(self) -> bool:
        return self._inline is not None

    @property
    def waits_for_ray(self) -> bool:
        """Whether Ray is still starting."""
        return self._ray is not None and not self._ray.is_ready

    def consider(self, are_waiting: Callable[[], bool]) -> None:
        """Starts Ray where a fan-out has gone on for long, and `are_waiting()` says that tasks of it have not begun. Says so where a gang
        waits for room."""
        if self._gang and self._ray is not None and self._ray.gangs.longest_wait_s >= ROOM_S:
            self._warn_once(f"{self._gang} The cluster has no room for all of them now: they begin together when it has.")
        if self._unbegun_since is not None and self._clock() - self._unbegun_since >= ROOM_S and self._waits_for_nodes:
            self._warn_once(
                f"Tasks of step '{self._unbegun}' wait for room on the cluster: all of it is in use, or a node is still to come."
            )
        since = self._fanning_since
        if self._spare is not None and since is not None and self._clock() - since >= LONG_S and are_waiting():
            self._ray, self._spare = self._spare, None
            self._ray.start()

    def capacity(self) -> CapacityChanged | None:
        """How much fits where; None when nothing changed since the last call. ClusterFault when Ray did not start, or a need can
        never be met."""
        ray = self._ray
        if ray is None or not ray.is_ready or ray.room == self._room:
            return None
        if self._room is None:
            if self._is_patient and self._is_lacking(ray):
                return None
            self._settle_needs(ray)
        self._room = ray.room
        slots = {step: ray.slots(needs) for step, needs in self._needs.items()}
        return CapacityChanged(default=1, by_step=slots, ahead=AHEAD)

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

    @property
    def _waits_for_nodes(self) -> bool:
        """Whether what is not begun waits for a cluster that others use, or that grows."""
        return self._ray is not None and self._ray.address is not None and self._ray.is_ready

    def _is_early(self, step: str) -> bool:
        """Whether tasks of the step may run in child processes while Ray starts."""
        return self._specs[step].resources.is_default

    def _is_lacking(self, ray: RayExecutor) -> bool:
        """Whether there is a step that no node could perform, as far as is known now. It is spoken of when that lasts."""
        step = next((step for step, needs in self._needs.items() if ray.room.most(needs) <= 0), None)
        if step is not None and self._joined_s >= ROOM_S:
            text = f"No node of the cluster has what step '{step}' needs, {_spelled(self._needs[step])}, yet"
            self._warn_once(f"{text}: one is waited for, {self._patience_s:.0f} s at most.")
        return step is not None

    @property
    def _joined_s(self) -> float:
        """For how long the cluster is there."""
        if self._joined_at is None:
            self._joined_at = self._clock()
        return self._clock() - self._joined_at

    @property
    def _is_patient(self) -> bool:
        """Whether what the cluster lacks may still come."""
        return self._joined_s < self._patience_s

    def _settle_needs(self, ray: RayExecutor) -> None:
        """Checks each step's needs against the cluster. On one that the run itself started, a need beyond the machine is cut."""
        for step, needs in self._needs.items():
            if ray.room.most(needs) > 0:
                continue
            cut = cut_to(ray.room.largest(), needs)
            text = f"Step '{step}' needs {_spelled(needs)}, and {_largest(ray.room)} has {_spelled(cut)} at most"
            if self._is_strict or ray.address is not None:
                raise ClusterFault(f"{text}. Lower its @resources, or give a cluster that has them by --address.")
            self._warn(f"{text}: it runs with that. `--strict-resources` refuses instead.")
            self._needs[step] = cut

    def submit(self, works: Sequence[Work]) -> None:
        """Has these performed: one batch, or the nodes of a gang, which one executor performs."""
        step = works[0].batch.step
        if self._fanning_since is None and self._graph[step].space != ROOT_SPACE:
            self._fanning_since = self._clock()
        executor = self._executor()
        if not self._where:
            self._unbegun, self._unbegun_since = step, self._clock()
        needs = self._needs[step] if executor is self._ray else works[0].resources
        if len(works) > 1:
            needs = self._needs_of_gang(executor, step, needs, len(works))
        for work in works:
            self._where[work.batch.id] = executor
            lent = work.lent if not work.lent or executor.capabilities.can_lend else {}
            executor.submit(replace(work, resources=needs, lent=lent))

    def _needs_of_gang(self, executor: Executor, step: str, needs: Resources, size: int) -> Resources:
        """What each node of a gang is given: all of them run at the same time. ClusterFault where they can never."""
        if executor is self._inline:
            self._warn_once(f"The {size} nodes of step '{step}' run one after another, since --executor inline has one process.")
            return needs
        ray = self._ray
        if ray is None or executor is not ray:
            return needs
        self._gang = f"Step '{step}' calls {size} nodes that need {_spelled(needs)} each."
        if ray.room.most(needs) >= size or self._is_patient:
            return needs
        cut = cut_to(ray.room.largest(), needs, size)
        text = f"Step '{step}' calls {size} nodes that need {_spelled(needs)} each, and the cluster has {_spelled(cut)} for each"
        if ray.address is not None:
            text = f"Step '{step}' calls {size} nodes that need {_spelled(needs)} each, and the cluster has room for {ray.room.most(needs)}"
        if self._is_strict or ray.address is not None:
            raise ClusterFault(f"{text}. Lower num_parallel or @resources, or give a cluster that has them by --address.")
        self._warn_once(f"{text}: they run with that. `--strict-resources` refuses instead.")
        return cut

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)

    def _executor(self) -> Executor:
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
            self._unbegun_since = None
            if isinstance(report, (BatchOver, WorkerDied)):
                self._where.pop(report.batch_id, None)
        return reports

    @property
    def is_busy(self) -> bool:
        """Whether reports of any batch are still to come."""
        return bool(self._where)

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


def _largest(room: Room) -> str:
    return "the largest node of the cluster" if len(room.nodes) + len(room.kinds) > 1 else "the cluster"


def _spelled(needs: Resources) -> str:
    parts = [f"{needs.cpus:g} CPU"]
    if needs.gpus:
        parts.append(f"{needs.gpus:g} GPU")
    if needs.memory_nbytes:
        parts.append(f"{needs.memory_nbytes / 2**20:.0f} MB")
    return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in needs.custom.items())])
