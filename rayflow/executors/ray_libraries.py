"""Tasks that use Ray's own libraries (Data, Train, Tune), in the worker that performs them.

Those start further tasks on the same cluster. The CPUs that the task holds by itself are not there for them: Ray gives them free only
while a task waits in `ray.get`, and the libraries wait otherwise. So a step that has the last CPU waits for itself, without a word
(measured: `ray.data.range(10).take_all()` in a task of one CPU on a cluster of one). Such a step says `@resources(cpu=0)`; one that does
not is told so once it has stood still for a while.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from rayflow.model.reports import BatchOver, Report
from rayflow.model.spec import Resources

_LIBRARIES = ("ray.data", "ray.train", "ray.tune")
_QUIET = "RAY_DATA_DISABLE_PROGRESS_BARS"
LOOK_S, STILL_S = 5.0, 30.0
_IDLE_SHARE = 0.1
"""A task that computes less than this share of the time waits for something."""

_held: Resources | None = None
_watcher: threading.Thread | None = None


def attend(needs: Resources, reports: Sequence[Report]) -> None:
    """To be called with all that a batch tells, of which the first comes when the flow is loaded, and the last when it is over."""
    global _held, _watcher  # noqa: PLW0603 - of the process, which performs one batch at a time
    _held = None if reports and isinstance(reports[-1], BatchOver) else needs
    os.environ.setdefault(_QUIET, "1")
    data: Any = sys.modules.get("ray.data")
    if data is not None and os.environ[_QUIET] == "1":  # it may have been imported before, by a task of a dataset
        data.DataContext.get_current().enable_progress_bars = False  # lines of JSON, which Ray's own log monitor would draw
    if _watcher is None and needs.cpus and any(name in sys.modules for name in _LIBRARIES):
        _watcher = threading.Thread(target=_watch, name="rayflow-ray-libraries", daemon=True)
        _watcher.start()


def _watch() -> None:
    still_s, spent = 0.0, time.process_time()
    while still_s < STILL_S:
        time.sleep(LOOK_S)
        before, spent = spent, time.process_time()
        is_still = _held is not None and _held.cpus > 0 and spent - before < _IDLE_SHARE * LOOK_S
        still_s = still_s + LOOK_S if is_still and _has_no_cpu_left() else 0.0
    held = f"{_held.cpus:g}" if _held is not None else "its"
    sys.stderr.write(
        f"This task waits, holds {held} CPU, and the cluster has none left: what Ray Data, Train or Tune start may wait for it for ever. "
        "Give the step @resources(cpu=0), and let them have the CPUs.\n"
    )
    sys.stderr.flush()


def _has_no_cpu_left() -> bool:
    import ray

    return ray.is_initialized() and ray.available_resources().get("CPU", 0.0) < 1
