"""A stand-in for the Jobs API of a Ray head, on loopback: remembers jobs, starts none, and answers as it is told to."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import ray


@dataclass
class JobsApi:
    """`refusals`: what the next requests that change something are answered, before they are served. `token`: asked for, unless empty."""

    url: str = ""
    ray_version: str = ray.__version__
    python_version: str = field(default_factory=platform.python_version)
    token: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    packages: dict[str, int] = field(default_factory=dict[str, int])
    refusals: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    loses_answers: bool = False

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        self.requests.append((method, path))
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["api", "version"]:
                return 200, {"version": "4", "ray_version": self.ray_version, "ray_commit": "", "session_name": ""}
            case "GET", ["api", "v0", "cluster_metadata"]:
                return 200, {"result": True, "data": {"rayVersion": self.ray_version, "pythonVersion": self.python_version}}
            case "GET", ["api", "packages", _, name]:
                return (200, {}) if name in self.packages else (404, "no such package")
            case "PUT", ["api", "packages", _, name]:
                self.packages[name] = len(body)
                return 200, {}
            case "POST", ["api", "jobs"]:
                return self._submitted(json.loads(body))
            case _, ["api", "jobs", job, *rest] if job in self.jobs:
                return self._of_job(method, job, rest)
            case _:
                return 404, f"Job {parts[-1]} does not exist"

    def _submitted(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if self.refusals:
            return self.refusals.pop(0)
        self.jobs[asked["submission_id"]] = {**asked, "status": "PENDING", "message": "waiting", "type": "SUBMISSION"}
        if self.loses_answers:
            return 502, "Bad gateway"
        return 200, {"job_id": asked["submission_id"], "submission_id": asked["submission_id"]}

    def _of_job(self, method: str, job: str, rest: list[str]) -> tuple[int, Any]:
        match method, rest:
            case "GET", []:
                return 200, self.jobs[job]
            case "GET", ["logs"]:
                return 200, {"logs": "No module named rayflow\n"}
            case "POST", ["stop"]:
                self.jobs[job]["status"] = "STOPPED"
                return 200, {"stopped": True}
            case _:
                del self.jobs[job]
                return 200, {"deleted": True}


@contextmanager
def jobs_api(**options: Any) -> Iterator[JobsApi]:
    api = JobsApi(**options)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = api.answer(self.command, self.path, body) if self._is_admitted() else (401, "Unauthorized")
            answer = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _is_admitted(self) -> bool:
            return not api.token or api.token in (self.headers.get("Authorization") or "")

        def log_message(self, *_: Any) -> None:
            return

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
