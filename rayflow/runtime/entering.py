"""The program that a machine of a cluster runs before a worker of an environment starts there: makes the environment, and says where it is.

    python -m rayflow.runtime.entering <root> <flow> <digest of the lock>

It writes the path of the environment's Python and ends with 0; or writes why there is none, and ends with 1.
"""

from __future__ import annotations

import os
import socket
import sys

from rayflow.environments.building import Builder
from rayflow.model.errors import RayflowException
from rayflow.runtime.environments import read_lock
from rayflow.settings.here import environments_dir
from rayflow.settings.reading import read_settings
from rayflow.store import open_store


def main(arguments: list[str]) -> int:
    root, flow, digest = arguments
    environ = dict(os.environ)
    try:
        lock = read_lock(open_store(root), flow, digest)
        path = Builder(environments_dir(read_settings(environ, os.getcwd())), environ).python_of(lock, "the step")
    except RayflowException as fault:
        sys.stdout.write(f"on {socket.gethostname()}: {fault}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
