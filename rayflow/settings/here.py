"""Where the root is, and who the user is. Given what is stated, never `os.environ` itself.

Not in the command line, since a notebook has none and must come to the same answers.
"""

from __future__ import annotations

import getpass
import os

from rayflow.model.errors import RayflowUnknownUser
from rayflow.settings.reading import ROOT_NAME, StatedSettings, roots_above
from rayflow.settings.table import ENVIRONMENTS_DIR, ROOT, USER

ROOT_VARIABLE = ROOT.variable
_USER_VARIABLES = ("SUDO_USER", "USERNAME", "USER")

SPIN_ROOT = ".rayflow_spin"
"""Where `spin` keeps what it is to keep: in the directory where it was called."""


def find_root(settings: StatedSettings, explicit: str | None = None) -> str:
    """The URL or absolute path of the root: `explicit`, else the setting ROOT, else the nearest `.rayflow` in `settings.cwd` or above it,
    else `.rayflow` there (which need not exist)."""
    stated = ROOT.kind.value(explicit, settings.cwd) if explicit else settings[ROOT]
    if stated:
        return stated
    nearest = next(roots_above(settings.environ, settings.cwd), None)
    return nearest or os.path.join(os.path.abspath(settings.cwd), ROOT_NAME)


def environments_dir(settings: StatedSettings) -> str:
    """Where the Pythons of steps are kept: the setting ENVIRONMENTS_DIR, else where programs keep what they can make again."""
    home = settings.environ.get("HOME") or os.path.expanduser("~")
    caches = settings.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.abspath(settings[ENVIRONMENTS_DIR] or os.path.join(caches, "rayflow", "environments"))


def user_name(settings: StatedSettings) -> str:
    """Who works here, never "root". Raises `RayflowUnknownUser` where nothing tells."""
    for name in (settings[USER], *map(settings.environ.get, _USER_VARIABLES)):
        if name and name != "root":
            return name
    raise RayflowUnknownUser("The user's name is not known. Set the environment variable RAYFLOW_USER to it.")


def identity(settings: StatedSettings) -> str:
    """Who works here: `user_name`, else what the system calls the account, which in a container is `root`. Runs are recorded, and
    looked for, under this name. Never fails: neither a run nor a look at one is lost for a name."""
    try:
        return user_name(settings)
    except RayflowUnknownUser:
        pass
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
