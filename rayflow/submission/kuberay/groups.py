"""The worker groups that the steps of a flow need: one for each distinct shape of a pod."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rayflow.flow.builtin import ACCELERATOR
from rayflow.model.errors import UserError
from rayflow.model.spec import Resources, StepSpec
from rayflow.submission.job import DriverJob
from rayflow.submission.kuberay.attributes import PodNeeds, pod_needs
from rayflow.submission.kuberay.options import DEFAULT_MAX_PODS, KubeOptions

_MIB = 1024 * 1024
_RAY_MB = 1024
"""What Ray's own processes on a node need beside the tasks."""
_LEAST_MB, _MB_PER_CPU = 4096, 2048
"""The memory of a pod whose steps ask for none."""
_OBJECTS, _LEAST_OBJECTS_MB, _MOST_OBJECTS_MB = 0.3, 256, 4096
"""The object store's part of the tasks' memory, which is Ray's own default, and its bounds."""
_MOST_TASKS_PER_POD = 8
_LARGEST = 16_777_216
"""Beyond all machines, whatever is counted (memory in MiB), so that no number that is made of it is out of bounds."""
_MAX_QUEUED_GROUPS = 7
"""Kueue admits at most eight sets of pods at once, and the head is one."""
_TAG_SHARE = 0.0001
"""The least amount of a resource that Ray counts: so many tasks may be in a pod that no other bound is hidden."""
_RESOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}")
_RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory", "node:")


@dataclass(frozen=True)
class PodSize:
    """What a pod has: `memory_mb` is what Ray gives out to tasks, `total_mb` with what Ray needs beside that, `objects_mb` its object store
    in shared memory, which is `shared_mb` in all. `custom` are resources of Ray."""

    cpus: float
    gpus: int
    memory_mb: int
    total_mb: int
    objects_mb: int
    shared_mb: int
    custom: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def offers(self) -> dict[str, float]:
        """What Ray gives out of such a pod to tasks."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory_mb * _MIB, **self.custom}


@dataclass(frozen=True)
class WorkerGroup:
    """The pods that the `steps` run in: at most `max_pods`. `tag` is a resource that only these pods have, and each of the steps asks for a
    little of; "" where any pod that is large enough will do."""

    name: str
    steps: tuple[str, ...]
    size: PodSize
    needs: PodNeeds
    max_pods: int
    tag: str = ""


def worker_groups(job: DriverJob, options: KubeOptions) -> tuple[WorkerGroup, ...]:
    """The groups, in the order of the first step of each. UserError for what no pod can have, or no queue admits."""
    specs = dict(job.specs) or {"start": StepSpec()}
    asked = {step: pod_needs(step, spec, options) for step, spec in specs.items()}
    shapes: dict[str, list[str]] = {}
    for step, spec in specs.items():
        _check_resources(step, spec.resources)
        _check_gpu_type(step, spec.resources, {**options.node_selector, **asked[step].node_selector})
        shapes.setdefault(_key(asdict(asked[step]), asdict(spec.resources), _is_gang(spec)), []).append(step)
    is_tagged = len({_key(asdict(needs)) for needs in asked.values()}) > 1 or any(spec.resources.cpus == 0 for spec in specs.values())
    if options.queue is not None:
        _check_queue(job, options, len(shapes))
    groups: list[WorkerGroup] = []
    for steps in shapes.values():
        spec, needs = specs[steps[0]], asked[steps[0]]
        name = _group_name(steps[0], {group.name for group in groups})
        tag = f"rayflow-pods-{name}" if is_tagged else ""
        tasks = _tasks_per_pod(spec, needs)
        groups.append(
            WorkerGroup(name, tuple(steps), _size(spec.resources, needs, tasks, tag), needs, _max_pods(job, options, spec, tasks), tag)
        )
    return tuple(groups)


def placements(groups: tuple[WorkerGroup, ...]) -> dict[str, dict[str, float]]:
    """By step, what its tasks ask of Ray beside what the flow says, so that they come into their own group's pods; {} where any
    pod will do."""
    return {step: {group.tag: _TAG_SHARE} for group in groups if group.tag for step in group.steps}


def head_size(options: KubeOptions) -> PodSize:
    """What the head has. It performs no tasks."""
    objects = _objects_mb(options.head_memory_mb - _RAY_MB)
    return PodSize(options.head_cpus, 0, 0, options.head_memory_mb, objects, objects)


def _key(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True, default=str)


def _is_gang(spec: StepSpec) -> bool:
    return any(decorator.name == "parallel" for decorator in spec.decorators)


def _tasks_per_pod(spec: StepSpec, needs: PodNeeds) -> int:
    """How many tasks share a pod: those that fit one GPU, or one CPU. The nodes of a gang are pods of their own."""
    cpus, gpus = spec.resources.cpus, spec.resources.gpus
    share = gpus if gpus else cpus
    if _is_gang(spec) or needs.extended or needs.port or not 0 < share < 1:
        return 1
    return math.floor(1 / max(share, 1 / _MOST_TASKS_PER_POD) + 1e-9)


def _size(resources: Resources, needs: PodNeeds, tasks: int, tag: str) -> PodSize:
    cpus = max(1, math.ceil(resources.cpus * tasks - 1e-9))
    if resources.memory_nbytes:
        memory = math.ceil(resources.memory_nbytes * tasks / _MIB)
        objects = _objects_mb(memory)
        total = memory + objects + _RAY_MB
    else:
        total = max(_LEAST_MB, _MB_PER_CPU * cpus)
        objects = _objects_mb(total - _RAY_MB)
        memory = total - objects - _RAY_MB
    total += needs.tmpfs_mb or 0
    custom = {name: math.ceil(amount * tasks - 1e-9) for name, amount in sorted(resources.custom.items()) if amount}
    if tag:
        custom[tag] = 1
    return PodSize(cpus, math.ceil(resources.gpus), memory, total, objects, objects + (needs.shared_mb or 0), custom)


def _objects_mb(memory_mb: int) -> int:
    return min(_MOST_OBJECTS_MB, max(_LEAST_OBJECTS_MB, int(memory_mb * _OBJECTS)))


def _max_pods(job: DriverJob, options: KubeOptions, spec: StepSpec, tasks: int) -> int:
    """A gang begins only when all of it has room, so that its group is not bounded by how many tasks may run."""
    for_tasks = None if job.max_workers is None else math.ceil(job.max_workers / tasks)
    if _is_gang(spec):
        return options.max_pods or max(for_tasks or 0, DEFAULT_MAX_PODS)
    return min(for_tasks or options.max_pods or DEFAULT_MAX_PODS, options.max_pods or for_tasks or DEFAULT_MAX_PODS)


def _group_name(step: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", step.lower()).strip("-")[:30].strip("-") or "steps"
    name = plain if plain[0].isalpha() else f"s-{plain}"
    number = 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _check_resources(step: str, resources: Resources) -> None:
    sizes = {"cpu": resources.cpus, "gpu": resources.gpus, "memory": (resources.memory_nbytes or 0) / _MIB, **resources.custom}
    for name, amount in sizes.items():
        if amount > _LARGEST:
            raise UserError(f"Step '{step}' asks for {name}={amount:g}, which no machine has. Lower its @resources.")
    for name in resources.custom:
        if not _RESOURCE_NAME.fullmatch(name) or name.startswith(_RAYS_OWN):
            raise UserError(
                f"Step '{step}' asks for the resource {name!r}, which no worker group can offer: letters and the like, "
                "and none of Ray's own. Use cpu, gpu and memory for those."
            )


def _check_gpu_type(step: str, resources: Resources, node_selector: Mapping[str, str]) -> None:
    """A pod says that it has that type, wherever it is: so it must be told where to be."""
    kind = next((name.removeprefix(ACCELERATOR) for name in resources.custom if name.startswith(ACCELERATOR)), None)
    if kind is not None and not node_selector:
        raise UserError(
            f"Step '{step}' asks for GPUs of type {kind}, and every Kubernetes labels its nodes in its own way: say which have them, with "
            "@kubernetes(node_selector={'LABEL': 'VALUE'}) of the step or --node-selector LABEL=VALUE."
        )


def _check_queue(job: DriverJob, options: KubeOptions, count: int) -> None:
    if options.max_pods is None and job.max_workers is None:
        raise UserError(
            f"The queue {options.queue} admits a run as a whole, which then cannot grow: say how large it is to be, with --max-pods "
            "(of each worker group) or --max-workers."
        )
    if count > _MAX_QUEUED_GROUPS:
        raise UserError(
            f"The steps need {count} kinds of pods, and a queue of Kueue admits {_MAX_QUEUED_GROUPS} beside the head. "
            "Give more steps equal needs, or submit without --queue."
        )
