"""The machine that is measured on, and getting it ready."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from benchmarks.peers import REPO

_COMPILE = """
import compileall, sysconfig
from concurrent.futures.process import BrokenProcessPool
try:
    compileall.compile_dir(sysconfig.get_paths()["purelib"], quiet=2, workers=0)
except BrokenProcessPool:
    compileall.compile_dir(sysconfig.get_paths()["purelib"], quiet=2)
try:
    import rayflow
except ImportError:
    pass
else:
    compileall.compile_dir(list(rayflow.__path__)[0], quiet=2)
"""


def byte_compile(python: str) -> None:
    """Compiles what that interpreter has installed, and rayflow where it is installed from a checkout."""
    subprocess.run([python, "-c", _COMPILE], check=True)


def facts(peers: Mapping[str, str]) -> dict[str, str]:
    """What the figures depend on; `peers` are the versions of the peers."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _first_of("/proc/cpuinfo", "model name"),
        "memory": _memory(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("rayflow", "ray", "pyarrow", "numpy", "pandas")},
        "commit": _commit(),
        **peers,
    }


def _memory() -> str:
    found = _first_of("/proc/meminfo", "MemTotal").split()
    return f"{int(found[0]) / 2**20:.0f} GiB" if found[0].isdecimal() else found[0]


def _first_of(path: str, name: str) -> str:
    """What a file of the kernel's says of `name`."""
    try:
        with open(path) as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith(name)), "unknown")
    except OSError:
        return "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _commit() -> str:
    """What of rayflow was measured; `+` where the checkout differed from it."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=REPO, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"
