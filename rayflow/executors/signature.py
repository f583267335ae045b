"""Names a process for ever: where its pid is counted, the pid, and when it started, since pids are used again."""

from __future__ import annotations

import contextlib
import os


def signature(pid: int) -> str:
    """`namespace pid start`, in one line; the start is `-` where this system does not tell it."""
    started = ""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
        started = "" if fields[0] == "Z" else fields[19]
    return f"{pid_namespace()} {pid} {started or '-'}"


def pid_of(text: str) -> int | None:
    """The pid that the signature names here, while that very process runs; None when it is gone, or counted elsewhere."""
    try:
        namespace, number, started = text.split()
        pid = int(number)
        os.kill(pid, 0)
    except (ValueError, OSError):
        return None
    if namespace != pid_namespace() or (os.path.isdir("/proc/self") and started == "-"):
        return None
    return pid if signature(pid) == text else None


def pid_namespace() -> str:
    """Where pids are counted: a container has its own numbers."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "-"
