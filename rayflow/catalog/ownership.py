"""Who writes a run. Epochs fence drivers; heartbeats tell the living from the dead; nothing compares clocks of machines.

A driver is writer n of a run: it created `epoch/<n>.json`, and looks after each commit that n+1 does not exist. Being wrong about
a driver's death is therefore safe: whoever was replaced can acknowledge nothing.

*Alive* is decided on the observer's own monotonic clock: on the same host at once by pid (and start time of that pid, since
pids are used again), unless the process is stopped; else by watching the beat counter move.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rayflow.catalog import wire
from rayflow.model.errors import StoreExists, StoreFault, StoreMissing
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store

LOCAL_BEAT_S, LOCAL_DEAD_AFTER_S = 1.0, 3.0
REMOTE_BEAT_S, REMOTE_DEAD_AFTER_S = 10.0, 25.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that drives a run. `started` is its start time in kernel ticks, 0 where unknown; `boot` names the boot of its host."""

    host: str
    pid: int
    started: int = 0
    boot: str = ""

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


def this_process() -> Owner:
    return Owner(socket.gethostname(), os.getpid(), _process_state(os.getpid())[0], _boot_id())


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _process_state(pid: int) -> tuple[int, str]:
    """(start time in ticks, state letter) of a process; (0, "") where /proc does not tell."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[19]), fields[0]
    except (OSError, IndexError, ValueError):
        return 0, ""


def take_epoch(store: Store, layout: RunLayout) -> int:
    """Becomes the next writer of the run; returns the epoch's number."""
    text = wire.dumps(vars_of(this_process()))
    number = last_epoch(store, layout)
    while True:
        number += 1
        try:
            store.write(layout.epoch(number), [text], only_new=True)
        except StoreExists:
            continue
        return number


def vars_of(owner: Owner) -> dict[str, Any]:
    return {"host": owner.host, "pid": owner.pid, "started": owner.started, "boot": owner.boot}


def last_epoch(store: Store, layout: RunLayout) -> int:
    """The number of the run's last writer; 0 when it never had one."""
    numbers = [int(key.rpartition("/")[2].removesuffix(".json")) for key in store.list(layout.epochs) if key.endswith(".json")]
    return max(numbers, default=0)


def owner_of(store: Store, layout: RunLayout) -> Owner | None:
    """Who wrote the run last."""
    number = last_epoch(store, layout)
    if number == 0:
        return None
    try:
        form = wire.loads(store.read(layout.epoch(number)))
        return Owner(form["host"], form["pid"], form.get("started", 0), form.get("boot", ""))
    except (StoreFault, ValueError, KeyError, TypeError):
        return Owner("an unknown host", 0)


class Heart:
    """Beats while a driver lives: a counter in `beat.json`, moved once an interval by a thread of its own."""

    def __init__(self, store: Store, layout: RunLayout, epoch: int) -> None:
        self._store = store
        self._layout = layout
        self._epoch = epoch
        self._interval_s = LOCAL_BEAT_S if store.can_append else REMOTE_BEAT_S
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="rayflow-heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _beat(self) -> None:
        count = 0
        while not self._stopped.wait(self._interval_s):
            count += 1
            try:
                self._store.write(self._layout.beat, [wire.dumps({"epoch": self._epoch, "beat": count})])
            except StoreFault:
                continue  # commits meet the same fault and say so


def is_alive(store: Store, layout: RunLayout, waiting: Callable[[Owner, float], None] | None = None) -> bool:
    """Whether a driver of the run lives. Takes up to 3 s (local) or 25 s (bucket) when only the heartbeat can tell.

    `waiting(owner, seconds)` is called once before such a wait, so that it can be said.
    """
    owner = owner_of(store, layout)
    if owner is None:
        return False
    if owner.boot and owner.boot == _boot_id() and owner.host == socket.gethostname():
        started, state = _process_state(owner.pid)
        if started != owner.started or state in ("Z", "X", ""):
            return False
        if state not in ("T", "t"):
            return True
    elif owner.host == socket.gethostname() and owner.boot:
        return False  # the host has booted since
    limit_s = LOCAL_DEAD_AFTER_S if store.can_append else REMOTE_DEAD_AFTER_S
    if waiting is not None:
        waiting(owner, limit_s)
    return _beat_moves(store, layout, limit_s)


def _beat_moves(store: Store, layout: RunLayout, limit_s: float) -> bool:
    seen = _beat_of(store, layout)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        time.sleep(min(0.2, limit_s / 20))
        if _beat_of(store, layout) != seen:
            return True
    return False


def _beat_of(store: Store, layout: RunLayout) -> bytes:
    try:
        return store.read(layout.beat)
    except StoreMissing:
        return b""


def claim_continuation(store: Store, origin: RunLayout, run_id: str) -> str:
    """Claims the unfinished run `origin` for its continuation `run_id`; returns the id that holds the claim, ours or another's."""
    try:
        store.write(origin.continuation, [wire.dumps({"run_id": run_id})], only_new=True)
    except StoreExists:
        return str(wire.loads(store.read(origin.continuation))["run_id"])
    return run_id


def continuation_of(store: Store, origin: RunLayout) -> str | None:
    """The run that continues `origin`; None when nobody claimed that."""
    try:
        return str(wire.loads(store.read(origin.continuation))["run_id"])
    except StoreMissing:
        return None
