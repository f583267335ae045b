"""What the environment decides: where the root is, and who the user is. Given values, never `os.environ` itself.

Here and not in the command line, since a notebook has no command line and must come to the same answers.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

from rayflow.model.errors import RayflowUnknownUser

ROOT_VARIABLE = "RAYFLOW_ROOT"
ROOT_NAME = ".rayflow"
_USER_VARIABLES = ("RAYFLOW_USER", "SUDO_USER", "USERNAME", "USER")


def find_root(environ: Mapping[str, str], cwd: str, explicit: str | None = None) -> str:
    """The URL or absolute path of the root: `explicit`, else `RAYFLOW_ROOT`, else the nearest `.rayflow` in `cwd` or above it,
    else `.rayflow` in `cwd` (which need not exist)."""
    stated = explicit or environ.get(ROOT_VARIABLE)
    if stated:
        return stated if "://" in stated else os.path.normpath(os.path.join(cwd, os.path.expanduser(stated)))
    directory = os.path.abspath(cwd)
    while True:
        found = os.path.join(directory, ROOT_NAME)
        if os.path.isdir(found):
            return found
        above = os.path.dirname(directory)
        if above == directory:
            return os.path.join(os.path.abspath(cwd), ROOT_NAME)
        directory = above


def user_name(environ: Mapping[str, str]) -> str:
    """Who works here, never "root". Raises `RayflowUnknownUser` where nothing tells."""
    for variable in _USER_VARIABLES:
        name = environ.get(variable)
        if name and name != "root":
            return name
    raise RayflowUnknownUser("The user's name is not known. Set the environment variable RAYFLOW_USER to it.")


def identity(environ: Mapping[str, str]) -> str:
    """Who works here: `user_name`, else what the system calls the account, which in a container is `root`. Runs are recorded, and
    looked for, under this name. Never fails: neither a run nor a look at one is lost for a name."""
    try:
        return user_name(environ)
    except RayflowUnknownUser:
        pass
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
