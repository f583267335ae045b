"""Which files are as this machine wrote them since it was booted, so that their digests need not be verified again.

The writer leaves a *stamp* (boot id, inode, size, mtime) in an extended attribute of the file and in this process's memory. A stamped
file is dated 2 s back, so that a later write changes its mtime however coarse the clock of mtimes is. Where a file system takes no such
attributes, files are verified.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache

_DATED_BACK_NS = 2_000_000_000
"""More than the coarsest clock of mtimes."""

_STAMP = "user.rayflow.stamp"

_stamps: dict[str, str] = {}


def stamp(path: str) -> None:
    """Notes that the file, which this process wrote just now, is as it wrote it. A hint: nothing happens where it cannot be noted."""
    try:
        status = os.stat(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - _DATED_BACK_NS))
        text = _stamp_of(os.stat(path))
        _stamps[path] = text
        os.setxattr(path, _STAMP, text.encode())
    except (OSError, AttributeError):  # no extended attributes here: other processes will verify
        return


def is_as_written(path: str) -> bool:
    """Whether the file is as this machine wrote it since it was booted, by its stamp. False where there is none."""
    try:
        now = _stamp_of(os.stat(path))
        return _stamps.get(path) == now or os.getxattr(path, _STAMP).decode() == now
    except (OSError, AttributeError, UnicodeDecodeError):
        return False


def _stamp_of(status: os.stat_result) -> str:
    return f"{_boot_id()} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return f"process {os.getpid()} {time.time_ns()}"
