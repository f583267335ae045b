"""The decorators that come with rayflow: retry, catch, timeout, resources, environment, isolated, checkpoint,
parallel, kubernetes, batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rayflow.flow.decorators import DecoratorKind, register
from rayflow.model.errors import BadStepDecoratorException, InvalidDecoratorAttribute
from rayflow.model.graph import Node
from rayflow.model.spec import MAX_RETRIES, Catch, Resources, Retry, StepDecorator, StepSpec

_MIB = 1024 * 1024
_BEYOND = 1e18
"""No machine has so much of anything, and bytes of so many megabytes are still a number."""
ACCELERATOR, ACCELERATOR_SHARE = "accelerator_type:", 0.001
"""Ray's resource of a type of GPU, and how much of it a task asks for, so that any number of tasks may."""


def _where(node: Node, decorator: StepDecorator) -> str:
    return f"@{decorator.name} on step '{node.name}' ({node.file}:{node.line})"


def _number(node: Node, decorator: StepDecorator, attribute: str) -> float | None:
    """The attribute as a finite number >= 0, given as a number or in digits; None when it is None."""
    value = decorator.attributes[attribute]
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < _BEYOND:
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has {attribute}={value!r}. Give a number that is not negative, such as {attribute}=1."
        )
    return number


def _compile_retry(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    times = _number(node, decorator, "times") or 0
    minutes = _number(node, decorator, "minutes_between_retries") or 0
    if times != int(times):
        raise InvalidDecoratorAttribute(f"{_where(node, decorator)} has times={times}. Give a whole number.")
    if times > MAX_RETRIES:
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} asks for {times:.0f} retries. The maximum number of retries is @retry(times={MAX_RETRIES})."
        )
    return replace(spec, retry=Retry(int(times), minutes * 60, "minutes_between_retries" in decorator.stated))


def _compile_catch(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    if node.is_foreach:
        raise BadStepDecoratorException(
            f"@catch is not supported in foreach split steps, and step '{node.name}' ({node.file}:{node.line}) is one: had it failed, "
            "there would be nothing to fan out over. Put @catch on the steps that it leads to, or use try in its body."
        )
    if node.is_switch:
        raise BadStepDecoratorException(
            f"@catch is not supported in conditional switch steps, and step '{node.name}' ({node.file}:{node.line}) is one: had it "
            "failed, there would be no case to follow. Use try in its body."
        )
    var = decorator.attributes["var"]
    if var is not None and not (isinstance(var, str) and var.isidentifier()):
        raise InvalidDecoratorAttribute(f"{_where(node, decorator)} has var={var!r}. Give the name of an artifact, such as 'failure'.")
    return replace(spec, catch=Catch(var, bool(decorator.attributes["print_exception"])))


def _compile_timeout(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    units = {"seconds": 1, "minutes": 60, "hours": 3600}
    timeout_s = sum((_number(node, decorator, unit) or 0) * factor for unit, factor in units.items())
    if not timeout_s:
        raise InvalidDecoratorAttribute(
            f"Specify a duration for @timeout on step '{node.name}' ({node.file}:{node.line}), such as @timeout(minutes=5)."
        )
    return replace(spec, timeout_s=timeout_s)


def _custom_resources(node: Node, decorator: StepDecorator) -> dict[str, float]:
    custom = decorator.attributes.get("resources") or {}
    if not isinstance(custom, Mapping):
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has resources={custom!r}. Give a mapping of Ray resource names to numbers."
        )
    asked = replace(decorator, attributes=custom)
    return {str(name): _number(node, asked, name) or 0 for name in custom}


def _compile_resources(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    """@resources and @kubernetes together: the larger of each need. A default counts only where nobody stated the need."""
    asking = [other for other in spec.decorators if other.name in ("resources", "kubernetes")]
    custom: dict[str, float] = {}
    for other in asking:
        for name, amount in _custom_resources(node, other).items():
            custom[name] = max(amount, custom.get(name, 0))
    gpus = _largest(node, asking, "gpu") or 0
    for other in asking:
        if other.attributes.get("gpu_type") is not None:
            custom[_accelerator(node, other, gpus)] = ACCELERATOR_SHARE
    if gpus > 1 and gpus != int(gpus):
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has gpu={gpus}. A fraction shares one GPU (0 < gpu < 1); more than one are counted whole."
        )
    cpus, memory_mb = _largest(node, asking, "cpu"), _largest(node, asking, "memory")
    needs = Resources(
        cpus=1.0 if cpus is None else cpus,
        gpus=gpus,
        memory_nbytes=None if memory_mb is None else int(memory_mb * _MIB),
        custom=custom,
    )
    return replace(spec, resources=needs)


def _accelerator(node: Node, decorator: StepDecorator, gpus: float) -> str:
    """The resource by which Ray finds nodes with that type of GPU: it gives every such node one of it."""
    gpu_type = decorator.attributes["gpu_type"]
    if not isinstance(gpu_type, str) or not gpu_type or not gpus:
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has gpu_type={gpu_type!r}. Give Ray's name of the type, and how many: gpu=1, gpu_type='A100'."
        )
    return f"{ACCELERATOR}{gpu_type}"


def _largest(node: Node, asking: list[StepDecorator], attribute: str) -> float | None:
    stated = [_number(node, other, attribute) for other in asking if attribute in other.stated]
    return max((amount for amount in stated if amount is not None), default=None)


def _compile_environment(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    variables: Any = decorator.attributes["vars"]
    if not isinstance(variables, Mapping):
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has vars={variables!r}. Give a mapping, such as vars={{'LEVEL': 'debug'}}."
        )
    for name in variables:
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InvalidDecoratorAttribute(f"{_where(node, decorator)} names a variable {name!r}. Give a text without '='.")
    return replace(spec, environment={name: str(value) for name, value in variables.items()})


def _compile_isolated(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    return replace(spec, is_isolated=True)


def _compile_checkpoint(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    keep = _number(node, decorator, "keep")
    if keep is None or keep < 1 or keep != int(keep):
        raise InvalidDecoratorAttribute(
            f"{_where(node, decorator)} has keep={decorator.attributes['keep']!r}. Give a whole number from 1 on."
        )
    return replace(spec, checkpoints_kept=int(keep))


def _refuse_batch(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    raise BadStepDecoratorException(
        f"@batch on step '{node.name}' ({node.file}:{node.line}) asks for AWS Batch, which rayflow does not use: steps run on Ray. "
        "Say what the step needs with @resources(cpu=..., gpu=..., memory=...), and start the run with --address of a cluster."
    )


# fmt: off
_KUBERNETES_ONLY = (
    "image", "image_pull_policy", "image_pull_secrets", "service_account", "secrets", "node_selector", "namespace", "gpu_vendor",
    "tolerations", "labels", "annotations", "use_tmpfs", "tmpfs_tempdir", "tmpfs_size", "tmpfs_path", "persistent_volume_claims",
    "disk", "shared_memory", "port", "compute_pool", "executable", "hostname_resolution_timeout", "qos", "extended_resources",
    "security_context",
)
# fmt: on
_NEEDS: dict[str, Any] = {"cpu": 1, "gpu": None, "memory": None, "disk": None, "shared_memory": None}

retry = register(DecoratorKind("retry", {"times": 3, "minutes_between_retries": 2}, _compile_retry))
"""Up to `times` further attempts after a failure; `minutes_between_retries` is waited for when it is written."""

catch = register(DecoratorKind("catch", {"var": None, "print_exception": True}, _compile_catch))
"""When all attempts failed the flow goes on, and the artifact `var` holds what happened (None after a success)."""

timeout = register(DecoratorKind("timeout", {"seconds": 0, "minutes": 0, "hours": 0}, _compile_timeout))
"""Each attempt may take the sum of the three; then `TimeoutException` is raised in the step."""

resources = register(DecoratorKind("resources", {**_NEEDS, "gpu_type": None, "resources": None}, _compile_resources))
"""What a task needs: `cpu`, `gpu` (fractions too), `gpu_type` (as Ray names it: "A100"), `memory` in MB, and `resources`, a mapping of
custom Ray resources."""

environment = register(DecoratorKind("environment", {"vars": {}}, _compile_environment))
"""Environment variables of the step's process."""

isolated = register(DecoratorKind("isolated", {}, _compile_isolated))
"""Every task gets a process of its own, so that module state starts afresh."""

checkpoint = register(DecoratorKind("checkpoint", {"keep": 2}, _compile_checkpoint))
"""The step has `current.checkpoint`: what it saves there is found by its next attempt, and by a resume; `keep` of each name stay."""

parallel = register(DecoratorKind("parallel"))
"""The step is a gang, called with `self.next(self.train, num_parallel=N)`."""

kubernetes = register(DecoratorKind("kubernetes", {**dict.fromkeys(_KUBERNETES_ONLY), **_NEEDS}, _compile_resources))
"""Its `cpu`, `gpu` and `memory` count like those of `@resources`; the rest is what the step's pods have on KubeRay."""

batch = register(
    DecoratorKind(
        "batch", dict.fromkeys([*_NEEDS, "image", "queue", "iam_role", "execution_role", "max_swap", "swappiness"]), _refuse_batch
    )
)
"""Importable, so that a flow can be read; running it says what to use instead."""
