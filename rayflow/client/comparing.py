"""How two runs differ: parameters, code by function, artifacts by their digests or, where that is asked for, by their values; and how long
their steps took.

Nothing is unpickled unless values are asked for: digests, and what was noted of type and shape, say enough for a listing. Values of JSON
and text that lie in a record are compared in any case, since reading them runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.client.codediff import CodeChange, code_changes
from rayflow.client.differences import differences
from rayflow.client.package import RayflowCode
from rayflow.client.roots import RunHandle
from rayflow.model.indexes import TaskKey
from rayflow.model.records import Artifact
from rayflow.store.blobs import digest_of


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A parameter or an artifact that differs: its description in each run (None where that has none), and in `details` how, as far as that
    was looked at. Of a fan-out, `tasks` of `of` tasks that both have differ, and these are those of the first, of index `index`."""

    step: str
    name: str
    a: Artifact | None
    b: Artifact | None
    details: tuple[str, ...] = ()
    index: int | None = None
    tasks: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Of a step: how many tasks are done, and the seconds that they took together, in each run."""

    step: str
    tasks: tuple[int, int]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """What differs. Times always do, and say nothing about equality; how many tasks a step has does."""

    parameters: list[ValueChange] = field(default_factory=list[ValueChange])
    code: list[CodeChange] = field(default_factory=list[CodeChange])
    artifacts: list[ValueChange] = field(default_factory=list[ValueChange])
    steps: list[StepTimes] = field(default_factory=list[StepTimes])

    @property
    def is_equal(self) -> bool:
        same_tasks = all(step.tasks[0] == step.tasks[1] for step in self.steps)
        return same_tasks and not (self.parameters or self.code or self.artifacts)


def compare_runs(a: RunHandle, b: RunHandle, *, loads_values: bool) -> Comparison:
    """Compares two runs, also of different flows or roots. Raises `StoreFault` where something is damaged."""
    return Comparison(_parameters(a, b), _code(a, b), list(_artifacts(a, b, loads_values=loads_values)), list(_steps(a, b)))


def _parameters(a: RunHandle, b: RunHandle) -> list[ValueChange]:
    left, right = a.record.parameters, b.record.parameters
    names = [*left, *(name for name in right if name not in left)]
    return [
        ValueChange("", name, left.get(name), right.get(name), tuple(_plain_differences(left.get(name), right.get(name))))
        for name in names
        if not _is_same(left.get(name), right.get(name))
    ]


def _is_same(a: Artifact | None, b: Artifact | None) -> bool:
    return a is not None and b is not None and a.codec == b.codec and digest_of(a) == digest_of(b)


def _plain_differences(a: Artifact | None, b: Artifact | None) -> list[str]:
    """Of values that JSON or text hold in the record itself; none of others."""
    plain = [_plain(artifact) for artifact in (a, b) if artifact is not None]
    return differences(plain[0][0], plain[1][0]) if len(plain) == 2 and plain[0] and plain[1] else []


def _plain(artifact: Artifact) -> tuple[Any] | None:
    """The value, in a tuple; None where reading it could run code, or read a file."""
    if artifact.inline is None or artifact.codec not in ("json", "text"):
        return None
    text = artifact.inline.decode("utf-8", "surrogatepass")
    return (text,) if artifact.codec == "text" else (json.loads(text),)


# -- code --------------------------------------------------------------------------------------------------------------


def _code(a: RunHandle, b: RunHandle) -> list[CodeChange]:
    if a.record.code == b.record.code and a.record.code is not None:
        return []
    left, right = RayflowCode.of(a), RayflowCode.of(b)
    if left is None or right is None:
        return list(_steps_changed(a, b))
    labels = (a.layout.run, b.layout.run)
    return code_changes(left.files, right.files, labels if labels[0] != labels[1] else ("a", "b"))


def _steps_changed(a: RunHandle, b: RunHandle) -> Iterator[CodeChange]:
    """Where no code was stored (a notebook's flow): the steps, by the digests of their source."""
    left, right = ({node.name: node.source for node in handle.record.graph} for handle in (a, b))
    for name in [*left, *(name for name in right if name not in left)]:
        if left.get(name) != right.get(name):
            yield CodeChange(name, "added" if name not in left else "removed" if name not in right else "changed", "")


# -- artifacts ---------------------------------------------------------------------------------------------------------


def _artifacts(a: RunHandle, b: RunHandle, *, loads_values: bool) -> Iterator[ValueChange]:
    """By step and name, in the order of the flow. Names that begin with '_' are bookkeeping."""
    steps = [node.name for node in a.record.graph]
    for step in steps:
        left, right = set(a.view.keys(step)), set(b.view.keys(step) if step in b.record.graph else ())
        found: dict[str, ValueChange] = {}
        both = sorted(left & right)
        for key in both:
            for change in _of_task(a, b, key, loads_values=loads_values):
                known = found.get(change.name)
                found[change.name] = change if known is None else _more(known)
        yield from (_counted(change, len(both)) for change in found.values())


def _more(known: ValueChange) -> ValueChange:
    return ValueChange(known.step, known.name, known.a, known.b, known.details, known.index, known.tasks + 1)


def _counted(change: ValueChange, of: int) -> ValueChange:
    index = change.index if of > 1 else None
    return ValueChange(change.step, change.name, change.a, change.b, change.details, index, change.tasks, of)


def _of_task(a: RunHandle, b: RunHandle, key: TaskKey, *, loads_values: bool) -> Iterator[ValueChange]:
    """What the task itself stored: what it inherited is compared where it comes from."""
    left, right = _stored(a, key), _stored(b, key)
    for name in [*left, *(name for name in right if name not in left)]:
        before, after = left.get(name), right.get(name)
        if _is_same(before, after):
            continue
        details = _plain_differences(before, after)
        if loads_values and before is not None and after is not None and not details:
            details = differences(_value(a, key, name), _value(b, key, name))
            if not details and before.codec == after.codec and before.type == after.type:
                continue  # stored in other bytes, as sets are, and the same
        yield ValueChange(key.step, name, before, after, tuple(details), key.index)


def _stored(handle: RunHandle, key: TaskKey) -> Mapping[str, Artifact]:
    segment = handle.view.find(key.step, key.index, key.lap)
    if segment is None:
        return {}
    reader = handle.reader
    found = {name: reader.artifact(segment, key.index, name) for name in reader.names(segment, key.index) if not name.startswith("_")}
    return {name: artifact for name, artifact in found.items() if artifact is not None}


def _value(handle: RunHandle, key: TaskKey, name: str) -> Any:
    segment = handle.view.find(key.step, key.index, key.lap)
    assert segment is not None
    return handle.reader.value(segment, key.index, name)


# -- times -------------------------------------------------------------------------------------------------------------


def _steps(a: RunHandle, b: RunHandle) -> Iterator[StepTimes]:
    names = dict.fromkeys([node.name for node in (*a.record.graph, *b.record.graph)])
    for name in names:
        (tasks, seconds), (others, other_seconds) = _totals(a, name), _totals(b, name)
        if tasks or others:
            yield StepTimes(name, (tasks, others), (seconds, other_seconds))


def _totals(handle: RunHandle, step: str) -> tuple[int, float]:
    known = handle.view.steps.get(step)
    if known is None:
        return 0, 0.0
    return known.total, sum(segment.busy_s or sum(row.seconds for row in segment.rows) for segment in known.all)
