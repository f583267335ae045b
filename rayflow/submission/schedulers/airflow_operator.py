# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""The body of a file for Airflow: `airflow.export` fills in DEPLOYED. It is no part of the program, which has no Airflow."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import timedelta
from typing import Any

import pendulum
from airflow.exceptions import AirflowException

try:  # Airflow 3
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import DAG, BaseOperator, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models import BaseOperator
    from airflow.models.param import Param
    from airflow.triggers.temporal import TimeDeltaTrigger

DEPLOYED: dict[str, Any] = {}


def has_failed(status: dict[str, Any]) -> bool:
    """Whether the RayJob has ended without success, which is both words: a job that was stopped is complete, too."""
    deployment, job = status.get("jobDeploymentStatus"), status.get("jobStatus")
    return job == "STOPPED" or deployment in ("Failed", "ValidationFailed") or (deployment == "Complete" and job != "SUCCEEDED")


def rayjobs() -> Any:
    """The RayJobs of the cluster that Airflow runs in, else of the one that the kubeconfig names."""
    from kubernetes import client, config

    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return client.CustomObjectsApi()


class RayJobOperator(BaseOperator):
    """Starts a run as a RayJob, and waits until it has ended. The run's id is made of those of DAG and DAG run: whoever tries again goes
    on with the same run, and with the same RayJob as long as that has not ended."""

    def __init__(self, *, deployed: dict[str, Any], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.deployed = deployed

    def execute(self, context: Any) -> None:
        run_id = self._run_id(context)
        newest = self._newest(run_id)
        if newest is None or has_failed(newest.get("status") or {}):
            self._create(run_id, f"rayflow-{run_id}-{context['ti'].try_number}", context["params"])
        self.log.info("The run is %s.", run_id)
        self._wait()

    def look(self, context: Any, event: Any = None) -> None:
        """Whether the RayJob has ended; else it is waited for again."""
        found = self._newest(self._run_id(context))
        if found is None:
            raise AirflowException("The RayJob was deleted before it had ended. The run can be resumed.")
        name, status = found["metadata"]["name"], found.get("status") or {}
        deployment, job = status.get("jobDeploymentStatus"), status.get("jobStatus")
        if has_failed(status):
            why = status.get("message") or status.get("reason") or "`rayflow errors` tells why"
            raise AirflowException(f"RayJob {name} ended as {deployment}, {job}: {why}")
        if deployment != "Complete":
            self._wait()

    def _wait(self) -> None:
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=self.deployed["poll_s"])), method_name="look")

    def _run_id(self, context: Any) -> str:
        identity = f"{context['dag'].dag_id}/{context['run_id']}"
        return "af-" + hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()

    def _place(self) -> dict[str, str]:
        group, _, version = self.deployed["manifest"]["apiVersion"].partition("/")
        namespace = self.deployed["manifest"]["metadata"].get("namespace") or "default"
        return {"group": group, "version": version, "namespace": namespace, "plural": "rayjobs"}

    def _newest(self, run_id: str) -> dict[str, Any] | None:
        """The last RayJob of the run: of this try, or of an earlier one that lost its worker, and may go on."""
        found = rayjobs().list_namespaced_custom_object(**self._place(), label_selector=f"rayflow.dev/run-id={run_id}")
        jobs = found.get("items") or []
        return max(jobs, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]), default=None)

    def _create(self, run_id: str, name: str, params: Any) -> None:
        from kubernetes.client.exceptions import ApiException

        defaults = {name: each.get("default") for name, each in self.deployed["parameters"].items()}
        given = {name: params[name] for name in defaults if name in params and params[name] != defaults[name]}
        body = json.loads(json.dumps(self.deployed["manifest"]).replace(self.deployed["run_id"], run_id))
        body["metadata"]["name"] = name
        for variable in body["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] == "RAYFLOW_PARAMETERS":
                variable["value"] = json.dumps(given)
        try:
            rayjobs().create_namespaced_custom_object(**self._place(), body=body)
        except ApiException as error:
            if error.status != 409:  # ours: it was created, and the answer was lost
                raise


def made(deployed: dict[str, Any]) -> DAG:
    """The DAG of what is deployed."""
    dag = DAG(
        dag_id=deployed["dag_id"],
        schedule=deployed["schedule"],
        start_date=pendulum.datetime(2024, 1, 1, tz=deployed["timezone"]),
        catchup=False,
        max_active_runs=1,
        tags=deployed["tags"],
        params={name: Param(**copy.deepcopy(described)) for name, described in deployed["parameters"].items()},
        default_args={"owner": deployed["owner"]},
    )
    RayJobOperator(
        task_id="run",
        dag=dag,
        deployed=deployed,
        retries=deployed["retries"],
        retry_delay=timedelta(seconds=deployed["retry_delay_s"]),
    )
    return dag


dag = made(DEPLOYED)
