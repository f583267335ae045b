"""Runs of what is deployed, started and found through its scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayflow.catalog.deployed import Deployed
from rayflow.catalog.deployments import read_deployment
from rayflow.model.errors import RayflowNotFound, UserError
from rayflow.model.ports import Store
from rayflow.submission.schedulers.live import Execution, Scheduler, checked


def scheduler_of(deployed: Deployed) -> Scheduler:
    """The scheduler that a deployment was applied to. UserError where it was exported only, or to one that is not asked."""
    facts = deployed.facts
    if not facts.get("is_applied"):
        raise UserError(
            f"'{deployed.name}' was exported for {deployed.scheduler}, which rayflow does not ask: use the scheduler's own means. "
            "Only what `create` applied itself, to Argo Workflows or Step Functions, is started, listed and stopped from here."
        )
    if deployed.scheduler == "argo-workflows":
        from rayflow.submission.schedulers.argo_live import ArgoCluster

        return ArgoCluster(facts.get("context"), facts["namespace"])
    from rayflow.submission.schedulers.stepfunctions_live import StepFunctions

    return StepFunctions(facts["region"])


def start(store: Store, deployed: Deployed, given: Mapping[str, Any]) -> Execution:
    """Has the scheduler start a run with these values, by the names of Parameters. UsageError for wrong names, UserError where the
    scheduler is not asked by rayflow."""
    deployment = read_deployment(store, deployed.flow, deployed.digest or "")
    return scheduler_of(deployed).start(deployed, checked(deployment, given))


def execution_of(deployed: Deployed, name: str) -> tuple[Scheduler, Execution]:
    """The execution of that id, or whose run has that id (with or without its flow), and who has it."""
    live = scheduler_of(deployed)
    run_id = name.removeprefix(f"{deployed.flow}/")
    for execution in live.executions(deployed):
        if name == execution.id or run_id == execution.run_id:
            return live, execution
    raise RayflowNotFound(f"{deployed.scheduler} knows no run '{name}' of '{deployed.name}'. See: {deployed.scheduler} list-runs.")
