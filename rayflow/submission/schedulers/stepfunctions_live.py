"""Step Functions and EventBridge Scheduler, by botocore, with the credentials that it finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rayflow.catalog.deployed import Deployed
from rayflow.model.errors import ClusterFault, RayflowNotFound, UserError
from rayflow.submission.schedulers.live import Execution
from rayflow.submission.schedulers.shipment import Export
from rayflow.submission.schedulers.stepfunctions import ARN, run_id_of


@dataclass(frozen=True)
class StepFunctions:
    """State machines in one region. `role` is the ARN of what they run as; `region` None: that of the AWS configuration."""

    region: str | None = None
    role: str | None = None

    def apply(self, export: Export) -> Mapping[str, Any]:
        schedule = export.content.get("schedule")
        if self.role is None:
            raise UserError("A state machine needs --role ARN: what it runs as, which may start RayJobs on the EKS cluster.")
        if schedule is not None and not schedule["Target"]["RoleArn"].startswith("arn:"):
            raise UserError("The @schedule needs --scheduler-role ARN: by which EventBridge Scheduler starts executions.")
        arn = self._machine(export.name, json.dumps(export.content["definition"]))
        if schedule is None:
            self._unschedule(export.name)
        else:
            self._schedule({**schedule, "Target": {**schedule["Target"], "Arn": schedule["Target"]["Arn"].replace(ARN, arn)}})
        return {"is_applied": True, "arn": arn, "region": self._states.meta.region_name}

    def start(self, deployed: Deployed, given: Mapping[str, Any]) -> Execution:
        sent = json.dumps({"parameters": dict(given)})
        answer = _asked(lambda: self._states.start_execution(stateMachineArn=deployed.facts["arn"], input=sent))
        return Execution(answer["executionArn"], run_id_of(answer["executionArn"]), "RUNNING")

    def execution(self, deployed: Deployed, execution_id: str) -> Execution:
        found = _asked(lambda: self._states.describe_execution(executionArn=execution_id))
        return Execution(execution_id, run_id_of(execution_id), found["status"])

    def executions(self, deployed: Deployed) -> list[Execution]:
        found = _asked(lambda: self._states.list_executions(stateMachineArn=deployed.facts["arn"], maxResults=100))
        newest_first = sorted(found["executions"], key=lambda each: each["startDate"], reverse=True)
        return [Execution(each["executionArn"], run_id_of(each["executionArn"]), each["status"]) for each in newest_first]

    def stop(self, deployed: Deployed, execution: Execution) -> None:
        """Not promised: that the RayJob ends; Step Functions leaves it at work."""
        _asked(lambda: self._states.stop_execution(executionArn=execution.id, error="RunStopped", cause="stopped by rayflow"))

    def remove(self, deployed: Deployed) -> None:
        self._unschedule(deployed.facts["id"])
        _asked(lambda: self._states.delete_state_machine(stateMachineArn=deployed.facts["arn"]))

    @cached_property
    def _states(self) -> Any:
        return _client("stepfunctions", self.region)

    @cached_property
    def _scheduler(self) -> Any:
        return _client("scheduler", self.region)

    def _machine(self, name: str, definition: str) -> str:
        pages = _asked(lambda: list(self._states.get_paginator("list_state_machines").paginate()))
        known = {each["name"]: each["stateMachineArn"] for page in pages for each in page["stateMachines"]}
        if name in known:
            _asked(lambda: self._states.update_state_machine(stateMachineArn=known[name], definition=definition, roleArn=self.role))
            return known[name]
        return _asked(lambda: self._states.create_state_machine(name=name, definition=definition, roleArn=self.role))["stateMachineArn"]

    def _schedule(self, schedule: Mapping[str, Any]) -> None:
        try:
            _asked(lambda: self._scheduler.update_schedule(**schedule))
        except RayflowNotFound:
            _asked(lambda: self._scheduler.create_schedule(**schedule))

    def _unschedule(self, name: str) -> None:
        try:
            _asked(lambda: self._scheduler.delete_schedule(Name=name[:64]))
        except RayflowNotFound:
            return


def _client(service: str, region: str | None) -> Any:
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        return botocore.session.get_session().create_client(service, region_name=region)
    except BotoCoreError as fault:
        raise UserError(f"AWS cannot be asked: {fault} Set AWS_DEFAULT_REGION, or say --region.") from fault


def _asked(ask: Callable[[], Any]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as fault:
        code = fault.response.get("Error", {}).get("Code", "")
        if code in ("ResourceNotFoundException", "ExecutionDoesNotExist", "StateMachineDoesNotExist"):
            raise RayflowNotFound(f"AWS does not know it: {fault}") from fault
        if code in ("InvalidDefinition", "InvalidArn", "ValidationException", "InvalidName", "InvalidExecutionInput"):
            raise UserError(f"AWS does not take this: {fault}") from fault
        raise ClusterFault(f"AWS refused: {fault}") from fault
    except BotoCoreError as fault:
        raise ClusterFault(f"AWS could not be asked: {fault}") from fault
