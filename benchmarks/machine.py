"""The machine that is measured on, and getting it ready."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version

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


def facts(metaflow: str | None) -> dict[str, str]:
    """What the figures depend on."""
    with open("/proc/meminfo") if os.path.exists("/proc/meminfo") else open(os.devnull) as file:
        memory = next((f"{int(line.split()[1]) / 2**20:.0f} GiB" for line in file if line.startswith("MemTotal")), "unknown")
    known = {
        "cores": str(os.cpu_count()),
        "memory": memory,
        "load": f"{os.getloadavg()[0]:.1f}",
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("rayflow", "ray", "pyarrow", "numpy")},
    }
    if metaflow is not None:
        asked = subprocess.run([metaflow, "-c", "import metaflow; print(metaflow.__version__)"], capture_output=True, text=True, check=True)
        known["metaflow"] = asked.stdout.strip()
    return known
