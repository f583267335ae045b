"""The program that outlives a driver by a moment, to end what a cluster of its own leaves behind.

    python -I -S guard.py <token> <scratch directory>

Reads its standard input. A byte there means that the driver ended the cluster in order; the end of the file without one, that the driver
died: every process with a variable of that value in its environment is then killed, and so is one with a file of the directory there (the
cluster's token), since Ray's agents were seen to write their titles over all variables of that value. Then the directory is removed.

Measured with Ray 2.56: of a cluster whose driver was killed, workers and raylet are gone after 2 s; its two agents are still there after
25 s, and so is what user code detached.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_QUIET_S, _PATIENCE_S = 1.5, 8.0
"""It ends when it has found nothing for so long: a process that is setting its title shows no environment for a moment."""


def kill_bearers(token: str, directory: str = "") -> int:
    """Kills every other process that has a variable of this value, or one that names a file of this directory, as far as this system
    shows it; returns how many there were."""
    wanted = [f"={token}\0".encode(), *([f"={directory}/".encode()] if directory else [])]
    count = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # a zombie's is empty
            environ = file.read()
            if any(mark in environ for mark in wanted):
                os.kill(int(name), signal.SIGKILL)
                count += 1
    return count


def main(token: str, scratch: str) -> None:
    if sys.stdin.buffer.read(1):
        return
    began = found_at = time.monotonic()
    while (now := time.monotonic()) - found_at < _QUIET_S and now - began < _PATIENCE_S:
        if kill_bearers(token, scratch):
            found_at = now
        time.sleep(0.05)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
