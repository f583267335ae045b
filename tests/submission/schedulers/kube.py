"""A Kubernetes API server on loopback that keeps objects of any kind, as far as `create`, `trigger` and `delete` need it."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.submission.kuberay.apiserver import TOKEN, merged

Object = dict[str, Any]


@dataclass
class Kube:
    """`objects` by their paths; `refuses` is a status that every request gets instead."""

    url: str = ""
    objects: dict[str, Object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: int | None = None

    def named(self, plural: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.objects if path.split("/")[-2] == plural)

    def change(self, plural: str, name: str, patch: Object) -> None:
        path = next(path for path in self.objects if path.endswith(f"/{plural}/{name}"))
        self.objects[path] = merged(self.objects[path], patch)

    def answer(self, method: str, path: str, query: dict[str, str], body: Object, kind: str) -> tuple[int, Object]:
        if self.refuses is not None:
            return self.refuses, {"message": "refused by the test"}
        if method == "POST":
            name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{uuid.uuid4().hex[:5]}"
            about = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": f"2026-11-28T10:00:{len(self.objects):02d}Z"}
            self.objects[f"{path}/{name}"] = {**body, "metadata": {**body["metadata"], **about}}
            return 201, self.objects[f"{path}/{name}"]
        if method == "PATCH" and kind == "application/apply-patch+yaml":
            self.objects[path] = merged(self.objects.get(path, {}), body)
            return 200, self.objects[path]
        if method == "GET" and path.split("/")[-3] == "namespaces":  # of a kind, not of one object
            found = [each for where, each in self.objects.items() if where.rpartition("/")[0] == path and _is_selected(each, query)]
            return 200, {"items": found}
        if path not in self.objects:
            return 404, {"message": f'"{path.rpartition("/")[2]}" not found'}
        if method == "PATCH":
            self.objects[path] = merged(self.objects[path], body)
        return 200, self.objects.pop(path) if method == "DELETE" else self.objects[path]


def _is_selected(thing: Object, query: dict[str, str]) -> bool:
    labels = thing["metadata"].get("labels") or {}
    wanted = [each.partition("=") for each in query.get("labelSelector", "").split(",") if each]
    return all(labels.get(key) == value for key, _, value in wanted)


class _Handler(BaseHTTPRequestHandler):
    kube: Kube

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.kube.asked.append(f"{self.command} {parts.path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            code, answer = 401, {"message": "Unauthorized"}
        else:
            kind = self.headers.get("Content-Type", "")
            code, answer = self.kube.answer(self.command, parts.path, query, json.loads(body or b"{}"), kind)
        payload = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_POST = do_PATCH = do_DELETE = do_GET


@contextlib.contextmanager
def kube() -> Iterator[Kube]:
    made = Kube()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kube": made}))
    listening.daemon_threads = True
    made.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
