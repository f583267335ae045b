"""Artifacts that Metaflow stores with every task, and rayflow computes when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rayflow.client.attempts import Attempt
from rayflow.client.roots import ITEMS, RunHandle
from rayflow.model.caught import CaughtException
from rayflow.model.records import Status

_MAX_VALUE = 30


class ForeachFrame(NamedTuple):
    """One enclosing foreach of a task: the step it fanned out to, the artifact it iterates over, the number of splits (None for a
    gang), this task's position, and the beginning of its element's text."""

    step: str
    var: str | None
    num_splits: int | None
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - flows read `frame.index`, so Metaflow's name stays
    value: str | None


def computed_names(attempt: Attempt) -> list[str]:
    """The artifacts of the attempt that are computed; none before it is done or has failed."""
    if not attempt.is_recorded:
        return []
    return [name for name, (applies, _) in _COMPUTED.items() if applies(attempt)]


def is_computed(attempt: Attempt, name: str) -> bool:
    """Whether the attempt has a computed artifact of that name."""
    return attempt.is_recorded and name in _COMPUTED and _COMPUTED[name][0](attempt)


def compute(attempt: Attempt, name: str) -> Any:
    """The value of a computed artifact; KeyError where the attempt has none of that name."""
    if not is_computed(attempt, name):
        raise KeyError(name)
    return _COMPUTED[name][1](attempt)


def foreach_stack(attempt: Attempt) -> list[ForeachFrame]:
    """The enclosing foreaches of the task, outermost first."""
    if attempt.is_parameters:
        return []
    frames: list[ForeachFrame] = []
    graph = attempt.handle.record.graph
    for split, parent, position, count in attempt.handle.lineage.stack(attempt.key.step, attempt.key.index):
        node = graph[split]
        if node.num_parallel:
            frames.append(ForeachFrame(node.targets[0], None, None, position, str(position)))
        else:
            frames.append(ForeachFrame(node.targets[0], node.foreach, count, position, _text_of(attempt.handle, split, parent, position)))
    return frames


def innermost_index(attempt: Attempt) -> int | None:
    """The task's position in its innermost foreach; None outside."""
    stack = [] if attempt.is_parameters else attempt.handle.lineage.stack(attempt.key.step, attempt.key.index)
    return stack[-1][2] if stack else None


def _text_of(handle: RunHandle, split: str, parent: int, position: int) -> str | None:
    try:
        return str(handle.element(split, parent, position))[:_MAX_VALUE]
    except (KeyError, IndexError):
        return None


def exception_of(attempt: Attempt) -> CaughtException | None:
    """The exception that the attempt failed with; None for success, caught exceptions, deaths and exits."""
    return CaughtException.of(attempt.failure) if attempt.failure is not None else None


def _caught_exception(attempt: Attempt) -> CaughtException | None:
    row = attempt.row
    return CaughtException.of(row.failure) if row is not None and row.failure is not None else None


def _transition(attempt: Attempt) -> tuple[list[str], str | None] | None:
    segment = attempt.segment
    node = attempt.handle.record.graph[attempt.key.step]
    if segment is None or not node.targets:
        return None
    if segment.taken is not None:
        return [segment.taken.at(segment.indices.values.index(attempt.key.index))], None
    return list(node.targets), node.foreach


def _is_task(attempt: Attempt) -> bool:
    return not attempt.is_parameters


def _is_foreach(attempt: Attempt) -> bool:
    return _is_task(attempt) and attempt.is_done and attempt.handle.record.graph[attempt.key.step].is_foreach


def _is_caught(attempt: Attempt) -> bool:
    row = attempt.row
    return row is not None and row.status is Status.CAUGHT and row.failure is not None


def _is_gang_member(attempt: Attempt) -> bool:
    if attempt.is_parameters:
        return False
    graph = attempt.handle.record.graph
    space = graph[attempt.key.step].space
    return bool(space) and graph[space].num_parallel


def _num_splits(attempt: Attempt) -> int | None:
    return len(attempt.handle.view.children(attempt.key.step, attempt.key.index)) if _is_foreach(attempt) else None


def _splits(attempt: Attempt) -> list[str]:
    """The beginnings of the texts of what a foreach step fans out over."""
    handle, key = attempt.handle, attempt.key
    count = len(handle.view.children(key.step, key.index))
    return [str(handle.element(key.step, key.index, position))[:_MAX_VALUE] for position in range(count)]


def _stores_splits(attempt: Attempt) -> bool:
    segment = attempt.segment
    return segment is not None and _is_foreach(attempt) and attempt.handle.reader.artifact(segment, attempt.key.index, ITEMS) is not None


def _always(_: Attempt) -> bool:
    return True


_COMPUTED: dict[str, tuple[Callable[[Attempt], bool], Callable[[Attempt], Any]]] = {
    "name": (_always, lambda attempt: attempt.handle.record.flow),
    "_graph_info": (_always, lambda attempt: dict(attempt.handle.record.graph_info)),
    "_task_ok": (_always, lambda attempt: attempt.is_done),
    "_success": (_is_task, lambda attempt: attempt.is_successful),
    "_exception": (_is_task, exception_of),
    "_catch_exception": (_is_caught, _caught_exception),
    "_transition": (_is_task, _transition),
    "_current_step": (_is_task, lambda attempt: attempt.key.step),
    "_foreach_stack": (_is_task, foreach_stack),
    "_foreach_var": (_is_task, lambda attempt: attempt.handle.record.graph[attempt.key.step].foreach),
    "_foreach_num_splits": (_is_task, _num_splits),
    "_foreach_values": (_stores_splits, _splits),
    "_iteration_stack": (_is_task, lambda attempt: [attempt.key.lap] if attempt.handle.record.graph[attempt.key.step].is_loop else []),
    "_parallel_ubf_iter": (_is_gang_member, innermost_index),
}
"""Name -> (whether the attempt has it, its value). An artifact that the user stored under the same name wins."""
