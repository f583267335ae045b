"""A proxy on loopback that stands between a client and an HTTP server, and fails like a network: before a request arrives, or after."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

FAULTS = ("503", "500", "reset", "lost reply", "cut short", "slow")
"""What can happen to a request. `lost reply`: it was carried out, and the connection is reset. `cut short`: half of the reply arrives."""

_SLOW_S = 0.3


class Request(NamedTuple):
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Proxy:
    """`choose(method, path)` says what happens to a request: one of `FAULTS`, or None. `told` counts requests by method, `done` faults."""

    url: str
    choose: Callable[[str, str], str | None]
    drops_conditions: bool = False
    told: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)

    def forget(self) -> None:
        """Counts from here."""
        self.told.clear()
        self.done.clear()
        self.requests.clear()


def nothing(method: str, path: str) -> str | None:
    return None


def one_in(number: int, seed: int = 0, faults: tuple[str, ...] = FAULTS) -> Callable[[str, str], str | None]:
    """One request of `number`, at random."""
    rng, lock = random.Random(seed), threading.Lock()

    def choose(method: str, path: str) -> str | None:
        with lock:
            return rng.choice(faults) if rng.randrange(number) == 0 else None

    return choose


@contextmanager
def proxied(upstream: str, choose: Callable[[str, str], str | None] = nothing) -> Iterator[Proxy]:
    """A proxy in front of `upstream` (http://HOST:PORT), in threads of this process."""
    host, _, port = upstream.removeprefix("http://").partition(":")
    conditional = threading.Lock()
    """Moto looks for the object and writes it in two steps, where S3 does both in one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self._chunked()
            proxy.told[self.command] += 1
            proxy.requests.append(Request(self.command, self.path, dict(self.headers)))
            fault = proxy.choose(self.command, self.path)
            if fault:
                proxy.done[fault] += 1
            if fault in ("503", "500"):
                self._answer(int(fault), [("Content-Type", "application/xml")], _error(fault))
                return
            if fault == "reset":
                self._reset()
                return
            if fault == "slow":
                time.sleep(_SLOW_S)
            status, headers, content = self._forward(body)
            if fault == "lost reply":
                self._reset()
            elif fault == "cut short" and len(content) > 1:
                self._answer(status, headers, content, content[: len(content) // 2])
                self._reset()
            else:
                self._answer(status, headers, content)

        def _chunked(self) -> bytes:
            if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
                return b""
            parts: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("transfer-encoding", "connection")}
            if proxy.drops_conditions:
                headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
            headers["Content-Length"] = str(len(body))
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            with conditional if "If-None-Match" in headers else nullcontext(), closing(connection):
                connection.request(self.command, self.path, body, headers)
                reply = connection.getresponse()
                return reply.status, reply.getheaders(), reply.read()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, sent: bytes | None = None) -> None:
            self.send_response_only(status)
            length = None
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                elif name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            self.send_header("Content-Length", length if is_head and length is not None else str(len(content)))
            self.end_headers()
            if not is_head:
                self.wfile.write(content if sent is None else sent)
            self.wfile.flush()

        def _reset(self) -> None:
            """As a lost connection looks: not closed in good order."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def log_message(self, *arguments: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            return  # a connection that was reset on purpose

    server = Server(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}", choose)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _error(status: str) -> bytes:
    code = "SlowDown" if status == "503" else "InternalError"
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>asked for by a test</Message></Error>".encode()
