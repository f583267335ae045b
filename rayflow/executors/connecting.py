"""What Ray has to find in the environment, and in its own modules, before a process starts a cluster or joins one of this machine.

On such a cluster everything listens on the loopback device alone. Otherwise Ray takes the address that this host has in its network: its
ports are then open to others, and the cluster is lost when a laptop changes networks. What Ray read when it was imported (user code may
have done that long ago) is set beside the variable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from importlib import import_module
from typing import Any

from rayflow.executors.keeper import LOOPBACK
from rayflow.executors.warm import WarmCluster


@contextlib.contextmanager
def own_environ(ray: Any, environ: Mapping[str, str]) -> Generator[None]:
    """For starting a cluster whose processes have `environ`: put back afterwards."""
    before = dict(os.environ)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # Ray's children would compile their imports at every start
    os.environ.update(environ)
    try:
        with _on_loopback(ray):
            yield
    finally:
        for name in ("PYTHONDONTWRITEBYTECODE", *environ):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


@contextlib.contextmanager
def joined_environ(ray: Any, warm: WarmCluster) -> Generator[None]:
    """For joining the warm cluster. The token stays, since Ray asks for it whenever it opens a connection."""
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": warm.token_path})
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would win
    reread_token()
    with _on_loopback(ray):
        yield


def reread_token() -> None:
    """Lets Ray, which read the variables of authentication when it was imported, read them again."""
    with contextlib.suppress(ImportError, AttributeError):
        compiled: Any = import_module("ray._raylet")  # it has no types
        compiled.Config.initialize("")
        compiled.AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _on_loopback(ray: Any) -> Generator[None]:
    """While a cluster is started or joined; once there, Ray knows its address."""
    constants = ray._private.ray_constants
    before, os.environ[LOOPBACK] = constants.ENABLE_RAY_CLUSTER, "0"
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        del os.environ[LOOPBACK]
