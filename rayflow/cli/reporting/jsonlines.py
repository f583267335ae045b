"""A run as JSON lines on stdout, one per notice: for programs. Fields are only ever added."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timezone
from typing import Any, TextIO

from rayflow.cli.reporting.text import writer
from rayflow.model.indexes import TaskKey
from rayflow.model.records import Failure, Outcome
from rayflow.runtime.notices import Notice, Progressed, RunStarted, StepProgress, TaskLabel


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class JsonReporter:
    """Each line is an object with `event` (`run_started`, `task_done`, ...), `time` (UTC) and the fields of the notice.

    A label is spread: `run_id`, `step`, `task_id`, `pid`.
    """

    def __init__(self, out: TextIO, now: Callable[[], datetime] = _utc_now) -> None:
        self._write = writer(out)
        self._now = now

    def tell(self, notice: Notice) -> None:
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = re.sub(r"(?<!^)(?=[A-Z])", "_", type(notice).__name__).lower()
        self._write(json.dumps({"event": event, "time": time, **_content(notice)}, ensure_ascii=False))


def _content(notice: Notice) -> dict[str, Any]:
    if isinstance(notice, RunStarted):
        record = notice.record
        return {
            "flow": record.flow,
            "run_id": record.run_id,
            "user": record.user,
            "tags": list(record.tags),
            "root": notice.root,
            "origin": notice.origin,
            "is_reattached": notice.is_reattached,
        }
    if isinstance(notice, Progressed):
        return {"steps": [asdict(step) for step in notice.steps]}
    content: dict[str, Any] = {}
    for field in fields(notice):
        value = getattr(notice, field.name)
        if isinstance(value, TaskLabel):
            content.update(asdict(value))
        elif field.name != "label":
            content[field.name] = _plain(value)
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, Outcome):
        return value.value
    if isinstance(value, Failure):
        return {**asdict(value), "kind": value.kind.value}
    if isinstance(value, TaskKey):
        return value._asdict()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [asdict(step) for step in value if isinstance(step, StepProgress)]
    return value
