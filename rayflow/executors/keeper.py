"""The program that keeps the warm cluster (see `warm`): starts Ray, watches it, and ends it.

    python -m rayflow.executors.keeper <what is asked for, as JSON>

It ends the cluster when it is told to (SIGTERM), when a process of the cluster dies, when no run has used it for the time asked for, and
when the state file is not its own any more, since nobody could find the cluster then. If it is killed, its guard ends the cluster.

It polls once a second and imports no Ray: 20 MB. `ray start --block` is Ray's own watch over its processes: it ends them when it
is told to, or when one of them dies. Without monitor, dashboard agent port and log monitor, nothing of the cluster listens anywhere
but on the loopback device (Ray's switch for that has the name of Windows, and holds on Linux too).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType
from typing import Any

from rayflow.executors.guard import kill_bearers
from rayflow.executors.scratch import Scratch
from rayflow.executors.signature import signature
from rayflow.executors.warm import WarmCluster, versions

LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable: "0" lets it use 127.0.0.1, and is needed by whoever connects, too."""
LOOK_S = 1.0
_PATIENCE_S = 5.0


class _Told(Exception):  # noqa: N818 - no error: SIGTERM
    """The keeper is to end."""


@dataclass
class Idleness:
    """How long nobody used the cluster. `users` is locked by those who do, and touched by those who did since the last look."""

    users: int
    since: float
    _touched_ns: int = 0

    def seconds(self, now: float) -> float:
        """At the monotonic time `now`. The lock is held for a moment only."""
        touched_ns = os.fstat(self.users).st_mtime_ns
        if touched_ns != self._touched_ns or not self.take():
            self.since, self._touched_ns = now, touched_ns
        else:
            fcntl.flock(self.users, fcntl.LOCK_UN)
        return now - self.since

    def take(self) -> bool:
        """Locks out new users, unless there is one."""
        try:
            fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def main(text: str) -> None:
    asked = json.loads(text)
    signal.signal(signal.SIGTERM, _tell)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    scratch = Scratch()
    process = subprocess.Popen(_command(asked, scratch.path), stdin=subprocess.DEVNULL, env=_environ(asked, scratch), cwd="/")
    state = State(asked["paths"]["state"])
    os.chdir("/")
    try:
        address = _address(process, scratch.path)
        state.write(_described(asked, address, scratch.path))
        keep(process, asked, state)
    except _Told:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        state.remove()
        _end(process)
        while kill_bearers(next(iter(scratch.environ.values()))):  # agents, and what user code detached
            time.sleep(0.05)
        scratch.end()


def _tell(_number: int, _frame: FrameType | None) -> None:
    raise _Told


def _command(asked: dict[str, Any], directory: str) -> list[str]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--node-ip-address=127.0.0.1"]
    command += [f"--temp-dir={directory}", "--include-dashboard=false", "--dashboard-agent-listen-port=0"]
    command += ["--no-monitor", "--include-log-monitor=false", "--disable-usage-stats"]
    if find_spec("grpc") is not None:  # then Ray starts its client server too, always at the same port
        command.append(f"--ray-client-server-port={_free_port()}")
    command += [f"--num-{kind}={asked[f'num_{kind}']}" for kind in ("cpus", "gpus") if asked[f"num_{kind}"] is not None]
    return command


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _environ(asked: dict[str, Any], scratch: Scratch) -> dict[str, str]:
    """Ray's children would compile their imports at every start with PYTHONDONTWRITEBYTECODE."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "RAY_ADDRESS", "RAY_AUTH_TOKEN")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": asked["paths"]["token"], LOOPBACK: "0"}
    return {**kept, **own, **scratch.environ}


def _address(process: subprocess.Popen[bytes], directory: str) -> str:
    """Waits until Ray has written its address, which it does last."""
    path = os.path.join(directory, "ray_current_cluster")
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
            address = file.read().strip()
            if address:
                return address
        time.sleep(0.05)
    sys.exit(f"ray start ended with exit code {process.returncode}")


def _described(asked: dict[str, Any], address: str, directory: str) -> WarmCluster:
    return WarmCluster(
        address=address,
        keeper=signature(os.getpid()),
        token_path=asked["paths"]["token"],
        directory=directory,
        versions=versions(),
        num_cpus=asked["num_cpus"] if asked["num_cpus"] is not None else os.cpu_count() or 1,
        num_gpus=asked["num_gpus"] or 0,
        idle_min=asked["idle_min"],
        started_us=time.time_ns() // 1000,
    )


@dataclass
class State:
    """The state file, as long as it is ours."""

    path: str
    _written: str | None = None

    def write(self, cluster: WarmCluster) -> None:
        temporary = f"{self.path}.{os.getpid()}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(cluster.to_json())
        os.replace(temporary, self.path)
        self._written = cluster.to_json()

    @property
    def is_ours(self) -> bool:
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.read() == self._written
        except OSError:
            return False

    def remove(self) -> None:
        if self.is_ours:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def keep(process: subprocess.Popen[bytes], asked: dict[str, Any], state: State) -> None:
    """Returns when the cluster is to end, or has ended."""
    users = os.open(asked["paths"]["users"], os.O_RDWR | os.O_CREAT, 0o600)
    idleness, limit_s = Idleness(users, time.monotonic()), asked["idle_min"] * 60
    while process.poll() is None and state.is_ours:
        if limit_s and idleness.seconds(time.monotonic()) >= limit_s and idleness.take():
            print("Nobody used it for the time given: it ends.", flush=True)  # noqa: T201 - into the log
            return
        time.sleep(LOOK_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    del sys.path[0]  # -m put the current directory there
    main(sys.argv[1])
