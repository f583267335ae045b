"""The warm cluster: a Ray cluster of this machine that outlives runs, kept by `rayflow up` and joined by the runs after it.

A per-user directory (mode 0700) holds, for each environment (host, pid namespace, installation), a state file that says where the cluster
is and which process keeps it (see `keeper`), the token that it asks for (mode 0600), and three files that are only ever locked:

* `lock` - held while somebody starts or ends the cluster, so that two `up` at once give one.
* `users` - held shared by each run that has joined; the kernel lets go of it when a driver dies, however. The keeper takes it
  exclusively when it ends the cluster for idleness: so no run joins one that is about to go.
* `log` - what Ray said while it started.

A state is believed only while its keeper runs (pid and start time), listens, and has the versions of this environment: Ray refuses
others. It is never one of the user's own clusters: those have no state here, and nothing here looks for clusters.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, fields
from typing import IO, Any

from rayflow.executors.local import write_token
from rayflow.executors.scratch import Scratch
from rayflow.executors.signature import pid_namespace, pid_of
from rayflow.model.errors import ClusterFault, UsageError

_BOOT_S, _END_S = 120.0, 15.0
_CONNECT_S = 0.3


@dataclass(frozen=True)
class WarmCluster:
    """What the state file says. `keeper` is the signature of the process that keeps it; `idle_min` 0: for ever."""

    address: str
    keeper: str
    token_path: str
    directory: str
    versions: tuple[str, ...]
    num_cpus: int
    num_gpus: int
    idle_min: float
    started_us: int

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> WarmCluster | None:
        """None for what is no state of this version."""
        try:
            found = json.loads(text)
            known: dict[str, Any] = {each.name: found[each.name] for each in fields(cls)}
            known["versions"] = tuple(known["versions"])
            return cls(**known)
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def is_kept(self) -> bool:
        """Whether its keeper runs."""
        return pid_of(self.keeper) is not None

    @property
    def is_there(self) -> bool:
        """Whether its keeper runs and something listens at its address."""
        host, _, port = self.address.rpartition(":")
        if not self.is_kept:
            return False
        try:
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        except (OSError, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Wanted:
    """What `rayflow up` was asked for. None: what the machine has."""

    num_cpus: int | None = None
    num_gpus: int | None = None
    idle_min: float = 15.0


@dataclass(frozen=True)
class Loan:
    """A cluster that this process uses. What its tasks start has `environ` in its environment, and ends with this process."""

    cluster: WarmCluster
    environ: dict[str, str]


@dataclass(frozen=True)
class Shelf:
    """The directory of one user, as seen from one environment."""

    directory: str

    def path(self, kind: str) -> str:
        """`state`, `token`, `lock`, `users` or `log` of this environment's cluster."""
        return os.path.join(self.directory, f"{environment_key()}.{kind}")

    def found(self) -> WarmCluster | None:
        """The cluster that a run of this environment may join. Changes nothing."""
        cluster = self._recorded()
        return cluster if cluster is not None and cluster.versions == versions() and cluster.is_there else None

    @contextlib.contextmanager
    def borrowed(self) -> Generator[Loan | None]:
        """The cluster that is up, kept from ending while the block lasts; None when there is none."""
        users = self._use() if self.found() is not None else None
        cluster = self.found() if users is not None else None  # again: it may have ended before it was taken
        if users is None or cluster is None:
            yield None
            return
        scratch = Scratch()
        try:
            yield Loan(cluster, scratch.environ)
        finally:
            os.utime(users.fileno())
            users.close()
            if cluster.is_kept:
                scratch.end()
            else:
                scratch.abandon()  # it was ended under the run

    def up(self, wanted: Wanted) -> tuple[WarmCluster, bool]:
        """The cluster, started if need be, and whether it was. ClusterFault when Ray does not start."""
        self._make()
        with self._locked():
            known = self.found()
            if known is not None:
                return known, False
            self._end(self._recorded())
            return self._start(wanted), True

    def down(self, *, is_forced: bool = False) -> bool:
        """Ends the cluster, and tells whether there was one. ClusterFault when runs use it, unless it is forced."""
        if not os.path.isdir(self.directory):
            return False
        self._check()
        with self._locked():
            cluster = self._recorded()
            is_up = cluster is not None and cluster.is_kept
            if is_up and not is_forced and self._is_used():
                raise ClusterFault("A run is using the cluster. Wait for it, or end both with `rayflow down --force`.")
            self._end(cluster)
            return is_up

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _make(self) -> None:
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._check()

    def _check(self) -> None:
        """UsageError for a directory that others could read: its token would be theirs."""
        found = os.stat(self.directory)
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise UsageError(
                f"The directory {self.directory} must be yours alone, since it holds the token of your cluster: "
                f"chmod 700 {self.directory}, or name another by RAYFLOW_STATE_DIR."
            )

    def _recorded(self) -> WarmCluster | None:
        try:
            self._check()
            with open(self.path("state"), encoding="utf-8") as file:
                return WarmCluster.from_json(file.read())
        except (OSError, UsageError):
            return None

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        with open(self.path("lock"), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _use(self) -> IO[bytes] | None:
        """The file `users`, locked as a user. None when the keeper has taken it."""
        file = open(self.path("users"), "ab")  # noqa: SIM115 - held for as long as the run lasts
        for _ in range(10):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                os.utime(file.fileno())
                return file
            time.sleep(0.02)  # the keeper looks whether it is used, or ends it
        file.close()
        return None

    def _is_used(self) -> bool:
        with open(self.path("users"), "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _start(self, wanted: Wanted) -> WarmCluster:
        write_token(self.path("token"))
        asked = {**asdict(wanted), "paths": {kind: self.path(kind) for kind in ("state", "token", "users")}}
        with open(self.path("log"), "wb") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "rayflow.executors.keeper", json.dumps(asked)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it lives on when the terminal is closed
            )
        deadline = time.monotonic() + _BOOT_S
        try:
            while time.monotonic() < deadline and keeper.poll() is None:
                cluster = self._recorded()
                if cluster is not None and cluster.is_there:
                    return cluster
                time.sleep(0.05)
        except BaseException:
            keeper.terminate()  # interrupted: nothing half-started stays
            raise
        keeper.terminate()
        raise ClusterFault(f"Ray did not start. What it said is in {self.path('log')}; its end is:\n{self._last_words()}")

    def _last_words(self) -> str:
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-8:])

    def _end(self, cluster: WarmCluster | None) -> None:
        """Ends the keeper, which ends the cluster; what does not end in time is killed, and then its guard ends the cluster."""
        deadline = time.monotonic() + _END_S
        while cluster is not None and (pid := pid_of(cluster.keeper)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.1)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("state"))


def environment_key() -> str:
    """Names the environment that a cluster serves: another host, container or installation has its own."""
    return hashlib.sha256("\0".join([platform.node(), pid_namespace(), os.path.realpath(sys.prefix)]).encode()).hexdigest()[:12]


def versions() -> tuple[str, ...]:
    """Those of Python and Ray, which must agree between a cluster and those who join it. Does not import Ray."""
    from importlib.metadata import version

    return platform.python_version(), version("ray")
