"""The program that keeps the warm cluster (see `warm`): starts Ray, watches it, and ends it.

    python -m rayflow.executors.keeper <what is asked for, as JSON>

It ends the cluster when it is told to (SIGTERM), when a process of the cluster dies, when no run has used it for the time asked for, and
when the state file is not its own any more, since nobody could find the cluster then. If it is killed, its guard ends the cluster.

It polls once a second and imports no Ray: 20 MB.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rayflow.executors.local import LocalCluster
from rayflow.executors.signature import signature
from rayflow.executors.warm import WarmCluster, versions

LOOK_S = 1.0


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
    paths = asked["paths"]
    cluster = LocalCluster(paths["token"], asked["num_cpus"], asked["num_gpus"], log=sys.stdout.buffer)
    state = State(paths["state"])
    os.chdir("/")
    try:
        while (address := cluster.address) is None:
            pass
        state.write(_described(asked, address, cluster.directory))
        keep(cluster, asked, state)
    except _Told:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        state.remove()
        cluster.end(is_orderly=True)


def _tell(_number: int, _frame: FrameType | None) -> None:
    raise _Told


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


def keep(cluster: LocalCluster, asked: dict[str, Any], state: State) -> None:
    """Returns when the cluster is to end, or has ended."""
    users = os.open(asked["paths"]["users"], os.O_RDWR | os.O_CREAT, 0o600)
    idleness, limit_s = Idleness(users, time.monotonic()), asked["idle_min"] * 60
    while not cluster.has_ended and state.is_ours:
        if limit_s and idleness.seconds(time.monotonic()) >= limit_s and idleness.take():
            print("Nobody used it for the time given: it ends.", flush=True)  # noqa: T201 - into the log
            return
        time.sleep(LOOK_S)


if __name__ == "__main__":
    del sys.path[0]  # -m put the current directory there
    main(sys.argv[1])
