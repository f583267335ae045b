"""A Ray cluster of this machine, as a child process: a run's own, or the one that `keeper` keeps.

It is `ray start --block`, Ray's own watch over its processes: it ends them when it is told to, or when one of them dies. Not `ray.init`,
which starts a cluster from within: such a boot cannot be given up when nobody needs it any more. (Drivers also seemed to stall while it
went on; that Ray held the interpreter lock is a guess from where their threads stood.)

Without monitor, log monitor and the agent's port, nothing of the cluster listens anywhere but on the loopback device (Ray's switch for that
has the name of Windows, and holds on Linux too).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import IO

from rayflow.executors.guard import kill_bearers
from rayflow.executors.scratch import Scratch
from rayflow.model.errors import ClusterFault

LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable: "0" lets it use 127.0.0.1, and is needed by whoever connects, too."""
_PATIENCE_S = 5.0
_LOOK_S = 0.02


class LocalCluster:
    """Starts at once. If this process dies, a guard ends the cluster. `log`: where Ray's words go; None: into the cluster's directory.

    Without a `token_path`, the cluster has a token of its own, as long as it lasts.
    """

    def __init__(
        self, token_path: str | None = None, num_cpus: int | None = None, num_gpus: int | None = None, log: IO[bytes] | None = None
    ) -> None:
        self._scratch = Scratch()
        self.directory = self._scratch.path
        self.token_path = token_path or write_token(os.path.join(self.directory, "token"))
        with contextlib.ExitStack() as stack:
            said = log or stack.enter_context(open(os.path.join(self.directory, "log"), "wb"))
            self._process = subprocess.Popen(
                self._command(num_cpus, num_gpus),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self._environ(),
                start_new_session=True,  # Ctrl-C is the driver's to handle
            )

    def _command(self, num_cpus: int | None, num_gpus: int | None) -> list[str]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--node-ip-address=127.0.0.1"]
        command += [f"--temp-dir={self.directory}", "--include-dashboard=false", "--dashboard-agent-listen-port=0"]
        command += ["--no-monitor", "--include-log-monitor=false", "--disable-usage-stats"]
        if find_spec("grpc") is not None:  # then Ray starts its client server too, always at the same port
            command.append(f"--ray-client-server-port={_free_port()}")
        return command + [f"--num-{name}={count}" for name, count in (("cpus", num_cpus), ("gpus", num_gpus)) if count is not None]

    def _environ(self) -> dict[str, str]:
        """Ray's children would compile their imports at every start with PYTHONDONTWRITEBYTECODE."""
        dropped = ("PYTHONDONTWRITEBYTECODE", "RAY_ADDRESS", "RAY_AUTH_TOKEN")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": self.token_path, LOOPBACK: "0"}
        return {**kept, **own, **self._scratch.environ}

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def address(self) -> str | None:
        """Where it is, once it is there; Ray writes that last. ClusterFault with Ray's last words when it did not start."""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.directory, "ray_current_cluster"), encoding="ascii") as file:
            return file.read().strip() or None
        if self.has_ended:
            raise ClusterFault(f"`ray start` ended with exit code {self._process.returncode}.{self._last_words()}")
        time.sleep(_LOOK_S)
        return None

    def _last_words(self) -> str:
        try:
            with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as file:
                return " It said:\n" + "".join(file.readlines()[-8:])
        except OSError:
            return ""

    def end(self, *, is_orderly: bool) -> None:
        """Ends it: killed at once where its processes can be found, unless Ray is to do it in order. Its directory is removed."""
        if is_orderly or not os.path.isdir("/proc/self"):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
        if self._process.returncode is None:  # not waited for, so that the number is still its own
            os.killpg(self._process.pid, signal.SIGKILL)  # of an agent that writes its title the environment may tell nothing
        self._process.wait()
        while kill_bearers(next(iter(self._scratch.environ.values()))):  # agents, and what user code detached
            time.sleep(_LOOK_S)
        self._scratch.end()


def write_token(path: str) -> str:
    """Writes a new token, which only this user can read. Returns the path."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(os.urandom(32).hex())
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
