"""A Kubernetes API server on loopback, as far as RayJobs are concerned: what it takes, refuses, keeps and tells.

It checks objects by KubeRay's schema, as the real one does with `fieldValidation=Strict`, and keeps an object that is deleted until its
operator lets it go. It can be told to fail: see `Faults`. What was asked of it is in `asked`.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from rayflow.submission.kuberay.schema import schema_faults

TOKEN = "token-of-the-test"
Object = dict[str, Any]


@dataclass
class Faults:
    """What goes wrong with the next requests, one entry each: a status to answer with; `hang`, no answer for `hang_s`; `lost`, the
    request is served, and its answer lost; `drop`, the connection is closed at once."""

    next: list[int | str] = field(default_factory=list)
    hang_s: float = 3.0


@dataclass
class ApiServer:
    """`jobs` are the RayJobs by namespace and name; `pods` and `logs` are what the operator says of pods."""

    url: str = ""
    namespaces: set[str] = field(default_factory=lambda: {"default", "science"})
    has_kuberay: bool = True
    jobs: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: list[Object] = field(default_factory=list)
    logs: dict[tuple[str, str], Callable[[], str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = 0

    def create(self, namespace: str, manifest: Object, is_trial: bool) -> Object:
        """The object as it is kept. Refusal where it is not taken."""
        if namespace not in self.namespaces:
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        faults = schema_faults(manifest)
        if faults:
            raise Refusal(422, "Invalid", f"RayJob.ray.io is invalid: {'; '.join(faults)}")
        name = manifest["metadata"]["name"]
        with self.changed:
            if (namespace, name) in self.jobs:
                raise Refusal(409, "AlreadyExists", f'rayjobs.ray.io "{name}" already exists')
            kept = deepcopy(manifest)
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            kept["metadata"] |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now, "generation": 1}
            if not is_trial:
                self._keep(kept)
            return kept

    def get(self, namespace: str, name: str) -> Object:
        found = self.jobs.get((namespace, name))
        if found is None:
            raise Refusal(404, "NotFound", f'rayjobs.ray.io "{name}" not found')
        return deepcopy(found)

    def change(self, namespace: str, name: str, patch: Object) -> Object:
        """Merges the patch in, as the operator does with a status, and others with metadata."""
        with self.changed:
            kept = merged(self.get(namespace, name), patch)
            self._keep(kept)
            return kept

    def delete(self, namespace: str, name: str) -> Object:
        """Marks the object as deleted where an operator has a finalizer on it; else it is gone."""
        with self.changed:
            kept = self.get(namespace, name)
            if kept["metadata"].get("finalizers"):
                kept["metadata"].setdefault("deletionTimestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
                self._keep(kept)
            else:
                self.forget(namespace, name)
            return kept

    def forget(self, namespace: str, name: str) -> None:
        with self.changed:
            self.jobs.pop((namespace, name), None)
            self.version += 1
            self.changed.notify_all()

    def listed(self, namespace: str, selector: str) -> list[Object]:
        found = [deepcopy(job) for (where, _), job in self.jobs.items() if where == namespace]
        return [job for job in found if _is_selected(job, selector)]

    def _keep(self, kept: Object) -> None:
        self.version += 1
        kept["metadata"]["resourceVersion"] = str(self.version)
        self.jobs[kept["metadata"]["namespace"], kept["metadata"]["name"]] = kept
        self.changed.notify_all()


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    @property
    def status(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


def merged(base: Object, patch: Object) -> Object:
    """A merge patch (RFC 7386)."""
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key) or {}, value) if isinstance(value, dict) else value
    return result


@contextlib.contextmanager
def api_server() -> Iterator[ApiServer]:
    """One that listens on loopback."""
    server = ApiServer()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_side": server}))
    listening.daemon_threads = True
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), name="api-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def kubeconfig(directory: Path, url: str, token: str = TOKEN, namespace: str = "science") -> str:
    """The path of a kubeconfig whose context `standin` is at this URL."""
    path = directory / "kubeconfig"
    context = {"name": "standin", "context": {"cluster": "standin", "user": "ada", "namespace": namespace}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "standin",
        "clusters": [{"name": "standin", "cluster": {"server": url}}],
        "users": [{"name": "ada", "user": {"token": token}}],
        "contexts": [context],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def _is_selected(thing: Object, selector: str) -> bool:
    labels = thing["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, _, value in (each.partition("=") for each in selector.split(",") if each))


class _Handler(BaseHTTPRequestHandler):
    """The routes. Everything is answered in JSON, save for logs."""

    protocol_version = "HTTP/1.1"
    server_side: ApiServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_GET

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        side = self.server_side
        side.asked.append(f"{self.command} {self.path}")
        fault = side.faults.next.pop(0) if side.faults.next else None
        if fault == "hang":
            time.sleep(side.faults.hang_s)
        if fault in ("hang", "drop"):
            self.close_connection = True
            return
        try:
            if isinstance(fault, int):
                raise Refusal(fault, "Injected", f"refused with {fault} by the test")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refusal(401, "Unauthorized", "Unauthorized")
            answer = self._routed(json.loads(body) if body else {})
        except Refusal as refusal:
            self._answer(refusal.code, refusal.status)
            return
        if fault == "lost":
            self.close_connection = True
            return
        if answer is not None:
            self._answer(201 if self.command == "POST" else 200, answer)

    def _routed(self, body: Object) -> Object | str | None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        side = self.server_side
        match parts.path.strip("/").split("/"):
            case ["apis", "ray.io", "v1", "namespaces", namespace, "rayjobs", *rest] if side.has_kuberay:
                return self._of_jobs(namespace, rest, query, body)
            case ["api", "v1", "namespaces", _, "pods"]:
                return {"kind": "PodList", "items": [pod for pod in side.pods if _is_selected(pod, query.get("labelSelector", ""))]}
            case ["api", "v1", "namespaces", _, "pods", pod, "log"]:
                return side.logs[pod, query["container"]]()
            case _:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")

    def _of_jobs(self, namespace: str, rest: list[str], query: dict[str, str], body: Object) -> Object | None:
        side = self.server_side
        match self.command, rest:
            case "POST", []:
                return side.create(namespace, body, is_trial=query.get("dryRun") == "All")
            case "GET", [] if query.get("watch") in ("true", "1"):
                self._watch(namespace, query)
                return None
            case "GET", []:
                items = side.listed(namespace, query.get("labelSelector", ""))
                return {"kind": "RayJobList", "apiVersion": "ray.io/v1", "metadata": {"resourceVersion": str(side.version)}, "items": items}
            case "GET", [name]:
                return side.get(namespace, name)
            case "PATCH", [name] | [name, "status"]:
                return side.change(namespace, name, body)
            case "DELETE", [name]:
                return side.delete(namespace, name)
            case _:
                raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _watch(self, namespace: str, query: dict[str, str]) -> None:
        """Events of what changes, as lines, until the time that was asked for is over."""
        side = self.server_side
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        known: dict[str, str] = {}
        deadline = time.monotonic() + float(query.get("timeoutSeconds", "30"))
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                with side.changed:
                    found = {job["metadata"]["name"]: job for job in side.listed(namespace, query.get("labelSelector", ""))}
                    events = [("DELETED", {"metadata": {"name": name}}) for name in known if name not in found]
                    events += [
                        ("MODIFIED" if name in known else "ADDED", job)
                        for name, job in found.items()
                        if known.get(name) != job["metadata"]["resourceVersion"]
                    ]
                    known = {name: job["metadata"]["resourceVersion"] for name, job in found.items()}
                    if not events:
                        side.changed.wait(min(0.5, max(0.0, deadline - time.monotonic())))
                for kind, job in events:
                    self.wfile.write(json.dumps({"type": kind, "object": job}).encode() + b"\n")
                self.wfile.flush()

    def _answer(self, code: int, answer: Object | str) -> None:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        payload = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
