"""A real Ray cluster of this machine whose nodes are processes of their own: each can be killed by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rayflow.executors.guard import kill_bearers
from rayflow.executors.local import write_token

RAY = os.path.join(os.path.dirname(sys.executable), "ray")
_OWN = ("PYTHONDONTWRITEBYTECODE", "RAY_ADDRESS", "RAYFLOW_ROOT")


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class Node:
    """A node: `ray start --block`, and all that it starts."""

    process: subprocess.Popen[bytes]
    mark: str

    def kill(self) -> None:
        """As a machine that loses its power: everything at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while kill_bearers(self.mark):
            time.sleep(0.02)


@dataclass
class Cluster:
    """`address` is the GCS, `dashboard` the URL of the Jobs API; `environ` what whoever talks to it has to have."""

    directory: str
    environ: dict[str, str]
    address: str = ""
    dashboard: str = ""
    nodes: list[Node] = field(default_factory=list[Node])

    def start_head(self, num_cpus: int = 0, *options: str) -> None:
        gcs, dashboard, agent, client = free_ports(4)
        self.address, self.dashboard = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
        arguments = ["--head", f"--port={gcs}", f"--num-cpus={num_cpus}", f"--temp-dir={self.directory}/ray", *options]
        arguments += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        arguments += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"]
        self._start(arguments)
        _wait_for(self.dashboard, self.environ)

    def add_node(self, num_cpus: int = 1, *options: str) -> Node:
        agent = free_ports(1)[0]
        arguments = [f"--address={self.address}", f"--num-cpus={num_cpus}", f"--dashboard-agent-listen-port={agent}", *options]
        return self._start(arguments)

    def _start(self, arguments: list[str]) -> Node:
        mark = os.urandom(12).hex()
        command = [RAY, "start", "--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats", "--object-store-memory=100000000"]
        log = f"{self.directory}/node-{len(self.nodes)}.log"
        with open(log, "wb") as said:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**self.environ, **{f"RF_TEST_NODE_{number}": mark for number in range(4)}},
                start_new_session=True,
            )
        self.nodes.append(Node(process, mark))
        _wait_until_said(log, "Ray runtime started")  # two that start at once on one machine take each other's ports
        return self.nodes[-1]

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.kill()


@contextmanager
def ray_cluster(environ: Mapping[str, str], **more: str) -> Iterator[Cluster]:
    """A cluster without nodes yet. Its nodes have `environ`, with the Python of this process first on their path, and `more`."""
    with tempfile.TemporaryDirectory(prefix="rfc-", ignore_cleanup_errors=True) as directory:
        kept = {name: value for name, value in environ.items() if name not in _OWN}
        token = write_token(os.path.join(directory, "token"))
        own = {
            "PATH": f"{os.path.dirname(sys.executable)}:{environ.get('PATH', '')}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": token,
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
        }
        cluster = Cluster(directory, {**kept, **own, **more})
        try:
            yield cluster
        finally:
            cluster.close()


def _wait_until_said(log: str, words: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(log, encoding="utf-8", errors="replace") as file:
            if words in file.read():
                return
        time.sleep(0.1)
    raise TimeoutError(f"{log} does not say {words!r}.")


def _wait_for(url: str, environ: Mapping[str, str]) -> None:
    with open(environ["RAY_AUTH_TOKEN_PATH"], encoding="ascii") as file:
        request = urllib.request.Request(f"{url}/api/version", headers={"Authorization": f"Bearer {file.read()}"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(request, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"The dashboard at {url} did not start.")
