"""A warm Ray cluster of this machine, for all programs of a benchmark: started when the first asks for it.

A head on loopback with ports, a directory and a token of its own, so that it neither joins nor disturbs a cluster that is there already.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping

_HOST = "127.0.0.1"
_PORTS = ("--port", "--dashboard-agent-listen-port", "--dashboard-port")
_LIMIT_S = 90.0


class WarmCluster:
    """`address` starts it where it does not run; `close` ends it, and may be called at any time."""

    def __init__(self, python: str, cpus: int) -> None:
        self.python, self.cpus = python, cpus
        self._head: subprocess.Popen[bytes] | None = None
        self._address = self._directory = self._fault = ""

    @property
    def address(self) -> str:
        """`HOST:PORT`. RuntimeError where Ray does not start."""
        if self._fault:
            raise RuntimeError(self._fault)  # it would not start the next time either, and take as long to say so
        if self._head is None:
            self._start()
        return self._address

    @property
    def is_up(self) -> bool:
        return self._head is not None

    @property
    def environ(self) -> Mapping[str, str]:
        """What a program needs to be let in. Connecting does not enable token authentication by itself."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": os.path.join(self._directory, "token")}

    def _start(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="rfb-")
        with open(os.open(os.path.join(self._directory, "token"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        ports = _free_ports(len(_PORTS))
        self._address = f"{_HOST}:{ports[0]}"
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONDONTWRITEBYTECODE", "RAY_"))}
        with open(os.path.join(self._directory, "head.txt"), "wb") as sink:
            self._head = subprocess.Popen(
                [
                    *(self.python, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
                    *(f"{name}={port}" for name, port in zip(_PORTS, ports, strict=True)),
                    *(
                        f"--node-ip-address={_HOST}",
                        f"--num-cpus={self.cpus}",
                        f"--temp-dir={self._directory}",
                        "--include-dashboard=false",
                    ),
                ],
                env={**outside, **self.environ},
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        """Until a program was let in: what the first one waits for, beyond its own start, is not measured."""
        assert self._head is not None
        deadline = time.monotonic() + _LIMIT_S
        while self._head.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
            if self._is_listening() and self._answers():
                return
        with open(os.path.join(self._directory, "head.txt"), encoding="utf-8", errors="replace") as file:
            self._fault = "The warm Ray cluster did not start: " + " ".join(file.read().split()[-40:])
        self.close()
        raise RuntimeError(self._fault)

    def _is_listening(self) -> bool:
        host, _, port = self._address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    def _answers(self) -> bool:
        program = f"import ray; ray.init({self._address!r}, log_to_driver=False); ray.get(ray.remote(lambda: 1).remote())"
        environ = {**os.environ, **self.environ}
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked = subprocess.run([self.python, "-c", program], env=environ, capture_output=True, check=False, timeout=_LIMIT_S)
            return asked.returncode == 0
        return False

    def close(self) -> None:
        head, self._head = self._head, None
        if head is None:
            return
        head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)  # what it has left: all are of its process group
        head.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_HOST, 0))
        return [each.getsockname()[1] for each in sockets]
