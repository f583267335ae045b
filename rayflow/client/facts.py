"""What Metaflow keeps as the metadata of a task: named facts, here taken from the records of the run and of the attempt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from rayflow.client.attempts import Attempt
from rayflow.client.bookkeeping import foreach_stack
from rayflow.model.records import Row, Status

if TYPE_CHECKING:
    from rayflow.client.tasks import Task


class Metadata(NamedTuple):
    """One fact. `created_at` is milliseconds since 1970, UTC."""

    name: str
    value: Any
    created_at: int
    type: str
    task: Task


_TAGGED = ("rayflow_version", "python_version", "runtime")
_RECORDED = ("git-info", "execution-triggers")


def facts_of(attempt: Attempt, rows: list[Row]) -> Iterator[tuple[str, Any, int]]:
    """(name, value, milliseconds since 1970) of every fact about the task, oldest first. `rows` are its attempts that are over."""
    record = attempt.handle.record
    begun_ms = rows[0].started_us // 1000 if rows else record.created_us // 1000
    yield from ((name, value, begun_ms) for name, value in _run_facts(attempt))
    yield from ((name, value, begun_ms) for name, value in _place_facts(attempt))
    for row in rows:
        ended_ms = (row.started_us + int(row.seconds * 1e6)) // 1000
        yield "attempt", str(row.attempt), row.started_us // 1000
        if not attempt.is_parameters:
            yield "attempt_ok", str(row.status is not Status.FAILED), ended_ms
        yield "attempt-done", str(row.attempt), ended_ms


def _run_facts(attempt: Attempt) -> Iterator[tuple[str, Any]]:
    record, store = attempt.handle.record, attempt.handle.store
    tagged = dict(tag.split(":", 1) for tag in record.system_tags if ":" in tag)
    yield "user", record.user
    yield "script-name", record.script
    yield "ds-type", "local" if store.can_append else store.url.partition("://")[0]
    yield "ds-root", store.url
    for name in _TAGGED:
        value = tagged.get(name, record.facts.get(name))
        if value is not None:
            yield name, str(value)
    if record.code is not None:
        yield "code-package", record.code
    for name in _RECORDED:
        if name in record.facts:
            yield name, record.facts[name]


def _place_facts(attempt: Attempt) -> Iterator[tuple[str, Any]]:
    record = attempt.handle.record
    if attempt.is_parameters:
        yield "start_step", record.graph.start
        yield "end_step", record.graph.end
        return
    segment = attempt.segment
    yield "origin-run-id", str(record.origin)
    if segment is not None and segment.run not in ("", record.run_id):
        yield "origin-task-id", attempt.handle.view.task_id(attempt.key)
    stack = foreach_stack(attempt)
    if stack:
        yield "foreach-stack", [f"{frame.var}={frame.value}" for frame in stack]
        yield "foreach-execution-path", ",".join(f"{frame.step}:{frame.index}" for frame in stack)
        world = gang_size(attempt)
        if world is not None:
            yield "parallel-world-size", str(world)
            if stack[-1].index == 0:
                yield "internal_task_type", "control_task"


def gang_size(attempt: Attempt) -> int | None:
    """How many nodes the gang of the task has; None for a task of no gang."""
    if attempt.is_parameters:
        return None
    graph = attempt.handle.record.graph
    space = graph[attempt.key.step].space
    if not space or not graph[space].num_parallel:
        return None
    _, _, _, count = attempt.handle.view.frames(space, attempt.key.index)[-1]
    return count
