"""Argo Workflows by the Kubernetes API, through the `kubernetes` client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from urllib.parse import urlencode

from rayflow.catalog.deployed import Deployed
from rayflow.model.errors import ClusterFault, RayflowNotFound, UserError
from rayflow.submission.kuberay.api import RayJobApi
from rayflow.submission.schedulers.argo import API, run_id_of
from rayflow.submission.schedulers.live import Execution, as_text
from rayflow.submission.schedulers.shipment import Export

_PLURALS = {
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "CronWorkflow": "cronworkflows",
    "EventSource": "eventsources",
    "RayCronJob": "raycronjobs",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Sensor": "sensors",
    "ServiceAccount": "serviceaccounts",
    "WorkflowTemplate": "workflowtemplates",
}
_TIMEOUT_S = (5, 15)
_MANAGER = "rayflow"


@dataclass(frozen=True)
class KubernetesApi:
    """Objects in one namespace, by plain requests. `context` and `stated_namespace` as those of `RayJobApi`."""

    context: str | None = None
    stated_namespace: str | None = None

    @cached_property
    def _rayjobs(self) -> RayJobApi:
        return RayJobApi(self.context, self.stated_namespace)

    @property
    def namespace(self) -> str:
        return self._rayjobs.namespace

    def path(self, api_version: str, plural: str, name: str = "") -> str:
        """Where such objects are, or one of them."""
        group = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        return f"{group}/namespaces/{self.namespace}/{plural}{'/' if name else ''}{name}"

    def apply(self, document: Mapping[str, Any]) -> None:
        """Creates the object, or makes it what the document says."""
        path = self.path(document["apiVersion"], _PLURALS[document["kind"]], document["metadata"]["name"])
        query = [("fieldManager", _MANAGER), ("force", "true")]
        body = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        self.ask("PATCH", path, query, body, "application/apply-patch+yaml")

    def ask(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Mapping[str, Any]:
        """The answer. RayflowNotFound for 404, UserError for what the server refuses, ClusterFault for the rest."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        client = self._rayjobs.access.client
        host = client.configuration.host
        bearer = client.configuration.auth_settings().get("BearerToken")
        headers = {"Accept": "application/json", "Content-Type": content_type}
        if bearer and bearer["value"]:
            headers[bearer["key"]] = bearer["value"]
        url = f"{host}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = None if body is None else json.dumps(body).encode()
        pool = client.rest_client.pool_manager  # the client's own call has another signature in each version
        try:
            response = pool.request(method, url, body=sent, headers=headers, timeout=Timeout(*_TIMEOUT_S), retries=False)
        except HTTPError as fault:
            raise ClusterFault(f"Nobody answers for the Kubernetes API at {host}: {fault}") from fault
        answer = _read(response.data)
        if response.status >= 300:
            raise _told(response.status, str(answer.get("message") or response.reason), host)
        return answer


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return cast(Mapping[str, Any], found) if isinstance(found, dict) else {}


def _told(status: int, said: str, host: str) -> Exception:
    match status:
        case 404:
            return RayflowNotFound(f"The Kubernetes API at {host} has no such object: {said}")
        case 400 | 409 | 422:
            return UserError(f"The Kubernetes API at {host} does not take this: {said}")
        case 401 | 403:
            return ClusterFault(f"You may not do this at the Kubernetes API at {host}: {said}")
        case _:
            return ClusterFault(f"The Kubernetes API at {host} answered {status}: {said}")


def remove_documents(api: KubernetesApi, documents: list[tuple[str, str, str]]) -> None:
    """Deletes objects, given as (apiVersion, kind, name), as far as they are there."""
    for api_version, kind, name in documents:
        try:
            api.ask("DELETE", api.path(api_version, _PLURALS[kind], name))
        except RayflowNotFound:
            continue


@dataclass(frozen=True)
class ArgoCluster:
    """Argo in one namespace."""

    context: str | None = None
    namespace: str | None = None

    @cached_property
    def _api(self) -> KubernetesApi:
        return KubernetesApi(self.context, self.namespace)

    def apply(self, export: Export) -> Mapping[str, Any]:
        documents: list[dict[str, Any]] = export.content["items"]
        for document in documents:
            self._api.apply(document)
        kinds = {document["kind"] for document in documents}
        stale = [kind for kind in ("Sensor", "EventSource", "CronWorkflow") if kind not in kinds]
        remove_documents(self._api, [(API, kind, export.name) for kind in stale])
        return {"is_applied": True, "context": self.context, "namespace": self._api.namespace}

    def start(self, deployed: Deployed, given: Mapping[str, Any]) -> Execution:
        name = deployed.facts["id"]
        values = [{"name": parameter, "value": as_text(value)} for parameter, value in given.items()]
        workflow = {
            "apiVersion": API,
            "kind": "Workflow",
            "metadata": {
                "generateName": f"{name}-",
                "namespace": self._api.namespace,
                "labels": {"rayflow.dev/template": name, "rayflow.dev/flow": deployed.flow[:63]},
            },
            "spec": {"workflowTemplateRef": {"name": name}, "arguments": {"parameters": values}},
        }
        return _execution(self._api.ask("POST", self._api.path(API, "workflows"), body=workflow))

    def execution(self, deployed: Deployed, execution_id: str) -> Execution:
        return _execution(self._api.ask("GET", self._api.path(API, "workflows", execution_id)))

    def executions(self, deployed: Deployed) -> list[Execution]:
        query = [("labelSelector", f"rayflow.dev/template={deployed.facts['id']}")]
        items = self._api.ask("GET", self._api.path(API, "workflows"), query).get("items", ())
        newest_first = sorted(items, key=lambda item: item["metadata"].get("creationTimestamp", ""), reverse=True)
        return [_execution(item) for item in newest_first]

    def stop(self, deployed: Deployed, execution: Execution) -> None:
        """The RayJob goes too: Argo would leave it at work."""
        path = self._api.path(API, "workflows", execution.id)
        self._api.ask("PATCH", path, body={"spec": {"shutdown": "Terminate"}}, content_type="application/merge-patch+json")
        jobs = self._api.path("ray.io/v1", "rayjobs")
        found = self._api.ask("GET", jobs, [("labelSelector", f"rayflow.dev/run-id={execution.run_id}")])
        for job in found.get("items", ()):
            self._api.ask("DELETE", f"{jobs}/{job['metadata']['name']}")

    def remove(self, deployed: Deployed) -> None:
        kinds = ("Sensor", "EventSource", "CronWorkflow", "WorkflowTemplate")
        remove_documents(self._api, [(API, kind, deployed.facts["id"]) for kind in kinds])


def _execution(workflow: Mapping[str, Any]) -> Execution:
    phase = (workflow.get("status") or {}).get("phase") or "Pending"
    return Execution(workflow["metadata"]["name"], run_id_of(workflow["metadata"]["uid"]), phase)
