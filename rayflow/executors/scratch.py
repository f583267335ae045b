"""Directories for what Ray keeps beside a cluster that a driver started: hundreds of MB, which a killed driver leaves behind.

Each names the process that made it; whoever makes the next one removes those whose process is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

from rayflow.executors import guard
from rayflow.executors.signature import pid_namespace, signature

_PREFIX = "rayflow-ray-"
_OWNER = "owner"


class Scratch:
    """A new directory, owned by this process, and a guard (see `guard`) that ends the cluster when this process dies.

    `environ` is to be in the environment of all that the cluster starts. The path is short: Ray puts sockets there, whose paths the
    kernel limits to 107 bytes.
    """

    def __init__(self) -> None:
        sweep()
        self.path = tempfile.mkdtemp(prefix=_PREFIX)
        with open(os.path.join(self.path, _OWNER), "w", encoding="ascii") as file:
            file.write(signature(os.getpid()))
        token = os.urandom(16).hex()
        # Several times: Ray's agents write their title over the first variables that they have, whichever those are.
        self.environ = {f"RAYFLOW_CLUSTER_{number}": token for number in range(4)}
        command = [sys.executable, "-I", "-S", guard.__file__, token, self.path]
        self._guard = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def end(self) -> None:
        """The cluster was ended in order."""
        with contextlib.suppress(BrokenPipeError):
            self._guard.communicate(b"\n")
        shutil.rmtree(self.path, ignore_errors=True)

    def abandon(self) -> None:
        """Leaves the cluster, in whatever state it is, to the guard: it kills what is there, for as long as more appears."""
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.close()


def sweep() -> None:
    """Removes the directories of this user's processes that are gone. Not promised: those of other hosts or containers are left alone."""
    if not os.path.isdir("/proc/self"):
        return
    top = tempfile.gettempdir()
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if name.startswith(_PREFIX) and _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: str) -> bool:
    try:
        if os.lstat(path).st_uid != os.getuid():
            return False
        with open(os.path.join(path, _OWNER), encoding="ascii") as file:
            owner = file.read()
        namespace, pid, _ = owner.split()
        return namespace == pid_namespace() and owner != signature(int(pid))
    except (OSError, ValueError):
        return False  # not ours, or being made at this very moment
