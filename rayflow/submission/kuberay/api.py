"""The few routes of the API server that are used, by the `kubernetes` client, which is imported when something is first asked.

What may be asked again safely (all of it: creating what exists is told, and looked at) is asked again while the server is overloaded or
does not answer, for some seconds; then it is a ClusterFault.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

from rayflow.model.errors import ClusterFault, UserError

T = TypeVar("T")

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayjobs"
_TIMEOUT_S = (5, 15)
"""To connect, and to be answered."""
_TRIES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 4, 0.2, 2.0
_PASSING = (408, 429, 500, 502, 503, 504)
_RIGHTS = "create, get, list and delete on rayjobs (ray.io), in the namespace"
_SERVICE_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class Exists(ClusterFault):
    """An object of that name is there already."""


class Missing(ClusterFault):
    """There is no object of that name."""


@dataclass(frozen=True)
class Access:
    """A client of one API server. `context` is the kubeconfig's that it came from, "" inside a cluster; `namespace` its own."""

    client: Any
    context: str
    namespace: str


@dataclass(frozen=True)
class RayJobApi:
    """RayJobs in one namespace. None: that of `context`; that is the current one where it is None or "", or that of the pod."""

    context: str | None = None
    stated_namespace: str | None = None

    @property
    def namespace(self) -> str:
        return self.stated_namespace or self.access.namespace

    @cached_property
    def access(self) -> Access:
        """How the server is reached: by the kubeconfig, or as what runs inside a cluster. UserError where neither is there."""
        return _access(self.context or None)

    def create(self, manifest: Mapping[str, Any], *, is_trial: bool = False) -> None:
        """Creates the object; a trial checks it as if. Exists where there is one of that name; UserError for what the server refuses."""
        extra = {"dry_run": "All"} if is_trial else {}
        self._asked(
            lambda api: api.create_namespaced_custom_object(
                _GROUP, _VERSION, self.namespace, _PLURAL, dict(manifest), field_validation="Strict", _request_timeout=_TIMEOUT_S, **extra
            )
        )

    def get(self, name: str) -> Mapping[str, Any]:
        """The object; Missing where there is none."""
        return self._asked(
            lambda api: api.get_namespaced_custom_object(_GROUP, _VERSION, self.namespace, _PLURAL, name, _request_timeout=_TIMEOUT_S)
        )

    def delete(self, name: str) -> None:
        """Has the object deleted, and its cluster with it; Missing where there is none."""
        self._asked(
            lambda api: api.delete_namespaced_custom_object(
                _GROUP, _VERSION, self.namespace, _PLURAL, name, propagation_policy="Background", _request_timeout=_TIMEOUT_S
            )
        )

    def pods(self, selector: str) -> list[Mapping[str, Any]]:
        """The pods of these labels; [] where one may not look at pods."""
        found = self._plain(f"/api/v1/namespaces/{self.namespace}/pods", {"labelSelector": selector, "limit": "50"})
        return cast(list[Mapping[str, Any]], json.loads(found).get("items") or []) if found else []

    def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines of what a container printed; "" where there are none, or one may not look."""
        return self._plain(f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log", {"container": container, "tailLines": str(lines)})

    def _plain(self, path: str, query: Mapping[str, str]) -> str:
        """What the server answers; "" where it refuses: what is asked for in this way only adds to what is known. The client's class for
        pods is not used: to import it takes seconds, and its forms differ between versions."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        client = self.access.client
        bearer = client.configuration.auth_settings().get("BearerToken")
        try:
            response = client.rest_client.pool_manager.request(
                "GET",
                f"{client.configuration.host}{path}",
                fields=dict(query),
                headers={bearer["key"]: bearer["value"]} if bearer and bearer["value"] else {},
                timeout=Timeout(*_TIMEOUT_S),
                retries=False,
            )
        except HTTPError:
            logging.getLogger(__name__).debug("what pods do is not told", exc_info=True)
            return ""
        return response.data.decode("utf-8", "replace") if response.status == 200 else ""

    def _asked(self, ask: Callable[[Any], T]) -> T:
        from kubernetes.client.api.custom_objects_api import CustomObjectsApi
        from kubernetes.client.exceptions import ApiException
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
        from urllib3.exceptions import HTTPError

        api = CustomObjectsApi(self.access.client)
        again = Retrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_attempt(_TRIES),
            wait=wait_random_exponential(_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
            reraise=True,
        )
        try:
            return again(functools.partial(ask, api))
        except (ApiException, HTTPError) as fault:
            raise self._told(fault) from fault

    def _told(self, fault: Exception) -> Exception:
        status, said = getattr(fault, "status", None), _said(fault)
        where = f"the Kubernetes API at {self.access.client.configuration.host}"
        match status:
            case 409:
                return Exists(f"There is such a RayJob in the namespace {self.namespace} already: {said}")
            case 404 if "not found" in said and '"' in said:
                return Missing(f"In the namespace {self.namespace}: {said}")
            case 404:
                return ClusterFault(f"KubeRay is not installed at {where}: it knows no rayjobs of ray.io/v1. Install the operator there.")
            case 401:
                return ClusterFault(f"Access to {where} was refused. Log in again, or say another --kube-context: {said}")
            case 403:
                return ClusterFault(f"You may not do this at {where}. It takes {_RIGHTS} {self.namespace}: {said}")
            case 400 | 422:
                return UserError(f"This RayJob is not taken by {where}: {said}")
            case int() if status:
                return ClusterFault(f"{where[0].upper()}{where[1:]} answered {status}, {_TRIES} times if that could pass: {said}")
            case _:
                return ClusterFault(f"Nobody answers for {where}. Check that it is up, and the context ({self.access.context}): {said}")


def _is_passing(fault: BaseException) -> bool:
    """Whether asking again may help: the server is busy, or did not answer."""
    from urllib3.exceptions import HTTPError

    status = getattr(fault, "status", None)
    return status in _PASSING or isinstance(fault, HTTPError)


def _said(fault: Exception) -> str:
    """The server's own message, else the client's."""
    try:
        text = str(json.loads(getattr(fault, "body", None) or "").get("message") or "")
    except (ValueError, AttributeError, TypeError):
        text = ""
    return " ".join((text or str(getattr(fault, "reason", None) or fault)).split())[:800]


def _access(context: str | None) -> Access:
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ImportError:
        raise UserError("The `kubernetes` client, which talks to KubeRay, is not installed: pip install 'rayflow[kuberay]'") from None
    configuration = client.Configuration()
    try:
        name, namespace = _of_kubeconfig(config, configuration, context)
    except ConfigException as fault:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except ConfigException:
            raise UserError(
                f"No Kubernetes cluster is configured: {' '.join(str(fault).split())} Say --kube-context, set KUBECONFIG to the file "
                "that has it, or submit from a pod whose service account may create rayjobs."
            ) from fault
        name, namespace = "", _namespace_of_pod()
    configuration.retries = False  # they are ours
    return Access(client.ApiClient(configuration), name, namespace)


def _of_kubeconfig(config: Any, configuration: Any, context: str | None) -> tuple[str, str]:
    file = os.environ.get("KUBECONFIG") or None  # the client reads it once, when it is imported
    contexts, active = config.list_kube_config_contexts(config_file=file)
    if context is not None and context not in [each["name"] for each in contexts]:
        raise UserError(f"The kubeconfig has no context {context!r}. It has {', '.join(each['name'] for each in contexts) or 'none'}.")
    chosen = active if context is None else next(each for each in contexts if each["name"] == context)
    config.load_kube_config(config_file=file, context=chosen["name"], client_configuration=configuration)
    return str(chosen["name"]), str(chosen.get("context", {}).get("namespace") or "default")


def _namespace_of_pod() -> str:
    try:
        with open(_SERVICE_NAMESPACE, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "default"
