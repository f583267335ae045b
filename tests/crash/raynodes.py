"""A Ray cluster of several nodes on loopback, each a process group of its own that a test can kill."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.world import eventually

HOST = "127.0.0.1"
_START = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", f"--node-ip-address={HOST}")
_IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}
"""Ray's own patience is a minute."""


class Nodes:
    """`head` and `add` start nodes of one CPU; `close` ends them all."""

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="rfn-")
        token = Path(self.directory) / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), **_IMPATIENT}
        self.nodes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as one, socket.socket() as other:
            one.bind((HOST, 0))
            other.bind((HOST, 0))
            port, agent = one.getsockname()[1], other.getsockname()[1]
        self.address = f"{HOST}:{port}"
        self._start(
            "--head",
            f"--port={port}",
            "--include-dashboard=false",
            f"--temp-dir={self.directory}",
            f"--dashboard-agent-listen-port={agent}",
        )
        assert eventually(self._is_listening, 60.0), "the head does not listen"

    def add(self) -> subprocess.Popen[bytes]:
        """Another node."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            agent = free.getsockname()[1]
        return self._start(f"--address={self.address}", f"--dashboard-agent-listen-port={agent}")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTHONDONTWRITEBYTECODE"))}
        with open(os.path.join(self.directory, f"node{len(self.nodes)}.txt"), "wb") as sink:
            node = subprocess.Popen(
                [*_START, "--num-cpus=1", *arguments], env={**outside, **self.environ}, stdout=sink, stderr=sink, start_new_session=True
            )
        self.nodes.append(node)
        return node

    def _is_listening(self) -> bool:
        host, _, port = self.address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    def wait_for(self, count: int) -> None:
        """Until so many nodes have joined."""
        program = (
            f"import ray, time; ray.init({self.address!r}, log_to_driver=False)\n"
            f"while sum(node['Alive'] for node in ray.nodes()) < {count}: time.sleep(0.1)"
        )
        subprocess.run([sys.executable, "-c", program], env={**os.environ, **self.environ}, capture_output=True, check=True, timeout=90)

    def kill_node(self, node: subprocess.Popen[bytes]) -> None:
        """As a machine goes: its raylet, its workers, all of it, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait(10)

    def kill_gcs(self) -> None:
        """The head's store of metadata."""
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
                if b"gcs_server" in command.split(b"\0")[0] and self.directory.encode() in command:
                    os.kill(int(pid), signal.SIGKILL)
                    return
        raise AssertionError("there is no gcs_server of this cluster")

    def close(self) -> None:
        for node in self.nodes:
            node.terminate()
        deadline = time.monotonic() + 15
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
            node.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)
