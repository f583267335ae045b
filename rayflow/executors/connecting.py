"""What Ray has to find in the environment, and in its own modules, before a process joins a cluster of this machine.

On such a cluster everything listens on the loopback device alone. Otherwise Ray takes the address that this host has in its network: its
ports are then open to others, and the cluster is lost when a laptop changes networks. What Ray read when it was imported (user code may
have done that long ago) is set beside the variable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from importlib import import_module
from typing import Any

from rayflow.executors.local import LOOPBACK

_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN")


class Admission:
    """The token of a cluster, as this process shows it: Ray asks for it whenever it opens a connection."""

    def __init__(self, token_path: str) -> None:
        self._before = {name: os.environ.pop(name, None) for name in _AUTHENTICATION}
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token_path})
        reread_token()

    def end(self) -> None:
        """What was shown before is shown again."""
        for name, value in self._before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        reread_token()


def reread_token() -> None:
    """Lets Ray, which read the variables of authentication when it was imported, read them again."""
    with contextlib.suppress(ImportError, AttributeError):
        compiled: Any = import_module("ray._raylet")  # it has no types
        compiled.Config.initialize("")
        compiled.AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def on_loopback(ray: Any) -> Generator[None]:
    """While a cluster is joined; once there, Ray knows its address."""
    constants = ray._private.ray_constants
    before, os.environ[LOOPBACK] = constants.ENABLE_RAY_CLUSTER, "0"
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        del os.environ[LOOPBACK]


def show_token() -> None:
    """The user's token is shown to clusters that others run, where there is one: connecting does not do that by itself, while clusters
    that Ray starts expect it."""
    os.environ.setdefault("RAY_AUTH_MODE", "token" if _has_token() else "disabled")
    reread_token()


def _has_token() -> bool:
    """Whether the user has a token for clusters that ask for one."""
    return "RAY_AUTH_TOKEN" in os.environ or os.path.exists(
        os.environ.get("RAY_AUTH_TOKEN_PATH") or os.path.expanduser("~/.ray/auth_token")
    )
