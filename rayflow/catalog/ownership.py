"""Who writes a run. Epochs fence drivers; heartbeats tell the living from the dead; nothing compares clocks of machines.

A driver is writer n of a run: it created `epoch/<n>.json`, and looks after each commit that n+1 does not exist. Being wrong about
a driver's death is therefore safe: whoever was replaced can acknowledge nothing.

*Alive* is decided on the observer's own monotonic clock: on the same host at once by pid (and start time of that pid, since
pids are used again), unless the process is stopped; else by watching the beat counter move. Between the claim of a run's id and its first
epoch, `run.json` itself names the process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rayflow.catalog import wire
from rayflow.model.errors import RunFenced, StoreCorrupt, StoreExists, StoreFault, StoreMissing
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store

LOCAL_BEAT_S, LOCAL_DEAD_AFTER_S = 1.0, 3.0
REMOTE_BEAT_S, REMOTE_DEAD_AFTER_S = 10.0, 25.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that drives a run. `started` is its start time in kernel ticks, 0 where unknown; `boot` names the boot of its host,
    `namespace` the set of processes that its pid is counted in (containers of one host may have several)."""

    host: str
    pid: int
    started: int = 0
    boot: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}" if self.pid else self.host

    def to_json(self) -> dict[str, Any]:
        return {"host": self.host, "pid": self.pid, "started": self.started, "boot": self.boot, "namespace": self.namespace}

    @staticmethod
    def from_json(form: dict[str, Any]) -> Owner:
        """KeyError or TypeError on anything else."""
        return Owner(form["host"], form["pid"], form.get("started", 0), form.get("boot", ""), form.get("namespace", ""))


UNKNOWN = Owner("an unknown process", 0)
"""Stands for whoever wrote a damaged record: only its heartbeat can tell whether it lives."""


def this_process() -> Owner:
    return Owner(socket.gethostname(), os.getpid(), _process_state(os.getpid())[0], _boot_id(), _pid_namespace())


@lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
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


def is_here(owner: Owner) -> bool:
    """Whether the process, if it lives, is one of this machine and of this container."""
    me = this_process()
    return (owner.host, owner.boot, owner.namespace) == (me.host, me.boot, me.namespace)


# -- epochs ------------------------------------------------------------------------------------------------------------


def first_epoch(store: Store, layout: RunLayout) -> int:
    """Becomes the first writer of a run whose id this process claimed; RunFenced when somebody took it for dead before that."""
    try:
        store.write(layout.epoch(1), [_signed()], only_new=True)
    except StoreExists as fault:
        raise RunFenced(f"Run {layout.run} was taken over by {owner_of(store, layout)} before it began.") from fault
    return 1


def take_epoch(store: Store, layout: RunLayout) -> int:
    """Becomes the next writer of the run; returns the epoch's number."""
    text = _signed()
    number = last_epoch(store, layout)
    while True:
        number += 1
        try:
            store.write(layout.epoch(number), [text], only_new=True)
        except StoreExists:
            continue
        return number


def _signed() -> bytes:
    """What a writer puts into its epoch. Two threads of a process are two writers: each must know its own (see `rayflow.store.remote`)."""
    return wire.dumps({**this_process().to_json(), "nonce": os.urandom(8).hex()})


def last_epoch(store: Store, layout: RunLayout) -> int:
    """The number of the run's last writer; 0 when it never had one."""
    names = (key.rpartition("/")[2].partition(".") for key in store.list(layout.epochs))
    return max((int(number) for number, _, kind in names if kind == "json" and number.isdecimal()), default=0)


def is_taken_over(store: Store, layout: RunLayout, epoch: int) -> bool:
    """Whether the run has a later writer than `epoch`."""
    return last_epoch(store, layout) > epoch


def owner_of(store: Store, layout: RunLayout) -> Owner | None:
    """Who wrote the run last, or claimed it without having written; None where nobody did."""
    return _owner_in(store, layout, last_epoch(store, layout))


def _owner_in(store: Store, layout: RunLayout, epoch: int) -> Owner | None:
    try:
        if epoch:
            return Owner.from_json(wire.loads(store.read(layout.epoch(epoch))))
        launcher = wire.loads_checked(store.read(layout.record), layout.record).get("launcher")
        return Owner.from_json(launcher) if launcher else None
    except StoreMissing:
        return None
    except (StoreFault, ValueError, KeyError, TypeError):
        return UNKNOWN


# -- heartbeats --------------------------------------------------------------------------------------------------------

_driven: set[tuple[str, str, int]] = set()
"""(root, run, epoch) of what this very process drives: its pid alone does not tell, since it may live on after a run."""


class Heart:
    """Beats while a driver lives: a counter in `beat.json`, moved once an interval by a thread of its own, which also looks whether
    the run was taken over, so that a driver that has nothing to commit hears of it."""

    def __init__(self, store: Store, layout: RunLayout, epoch: int) -> None:
        self._store = store
        self._layout = layout
        self._epoch = epoch
        self._place = (store.url, layout.root, epoch)
        self._interval_s = LOCAL_BEAT_S if store.can_append else REMOTE_BEAT_S
        self._stopped = threading.Event()
        self._fenced = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="rayflow-heart", daemon=True)

    @property
    def is_fenced(self) -> bool:
        """Whether another driver was seen to have taken the run over."""
        return self._fenced.is_set()

    def start(self) -> None:
        _driven.add(self._place)
        self._thread.start()

    def stop(self, *, gave_up: bool = False) -> None:
        """`gave_up`: the run has no end, but this process, which may live on, drives it no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)
        if gave_up and not self.is_fenced:
            self._write({"epoch": self._epoch, "over": True})
        _driven.discard(self._place)

    def _beat(self) -> None:
        count = 0
        while not self._stopped.wait(self._interval_s):
            count += 1
            with contextlib.suppress(StoreFault):  # commits meet the same fault, and say so
                if is_taken_over(self._store, self._layout, self._epoch):
                    self._fenced.set()
                    return
            self._write({"epoch": self._epoch, "beat": count})

    def _write(self, form: dict[str, Any]) -> None:
        with contextlib.suppress(StoreFault):
            self._store.write(self._layout.beat, [wire.dumps(form)])


def is_alive(store: Store, layout: RunLayout, waiting: Callable[[Owner, float], None] | None = None) -> bool:
    """Whether a driver of the run lives. Takes up to 3 s (local) or 25 s (bucket) when only the heartbeat can tell.

    `waiting(owner, seconds)` is called once before such a wait, so that it can be said.
    """
    epoch = last_epoch(store, layout)
    owner = _owner_in(store, layout, epoch)
    if owner is None:
        return False
    known = _is_alive_here(owner, (store.url, layout.root, epoch))
    if known is False or _beat_of(store, layout, epoch).get("over"):
        return False
    if known is not None:
        return known
    limit_s = LOCAL_DEAD_AFTER_S if store.can_append else REMOTE_DEAD_AFTER_S
    if waiting is not None:
        waiting(owner, limit_s)
    return _beat_moves(store, layout, epoch, limit_s)


def _is_alive_here(owner: Owner, place: tuple[str, str, int]) -> bool | None:
    """What this host knows about a process; None where it is another host's or container's, or stopped."""
    me = this_process()
    if owner.host != me.host or not owner.boot:
        return None
    if owner.boot != me.boot:
        return False  # the host has booted since
    if owner.namespace != me.namespace:
        return None
    started, state = _process_state(owner.pid)
    if started != owner.started or state in ("Z", "X", ""):
        return False
    if owner.pid == me.pid:
        return place in _driven
    return None if state in ("T", "t") else True


def _beat_moves(store: Store, layout: RunLayout, epoch: int, limit_s: float) -> bool:
    seen = _beat_of(store, layout, epoch)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        time.sleep(min(0.2, limit_s / 20))
        now = _beat_of(store, layout, epoch)
        if now != seen:
            return not now.get("over")
    return False


def _beat_of(store: Store, layout: RunLayout, epoch: int) -> dict[str, Any]:
    """The last beat of that epoch's driver; empty without one. A replaced driver may still be beating: that is no sign of life."""
    try:
        form: dict[str, Any] = wire.loads(store.read(layout.beat))
        return form if form.get("epoch") == epoch else {}
    except (StoreFault, ValueError, AttributeError):
        return {}


# -- claims of continuation --------------------------------------------------------------------------------------------


def claim_continuation(store: Store, origin: RunLayout, run_id: str) -> str:
    """Claims the unfinished run `origin` for its continuation `run_id`; returns the id that holds the claim, ours or another's."""
    try:
        store.write(origin.continuation, [wire.dumps_checked({"run_id": run_id}, origin.continuation)], only_new=True)
    except StoreExists:
        return continuation_of(store, origin) or run_id
    return run_id


def continuation_of(store: Store, origin: RunLayout) -> str | None:
    """The run that continues `origin`; None when nobody claimed that. StoreCorrupt when the claim is damaged."""
    try:
        return str(wire.loads_checked(store.read(origin.continuation), origin.continuation)["run_id"])
    except StoreMissing:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(
            f"The claim on run {origin.run} is damaged ({store.url}/{origin.continuation}), so it is not known which run continues it. "
            "Name that one with --origin-run-id, or branch off with --fork.",
            origin.continuation,
        ) from error
