"""The scheduler alone: time per batch and peak memory, for 10 million splits and the shapes that are hard to keep flat.

Each shape runs in a process of its own, so that its peak is its own. `python -m benchmarks.scheduler` prints more of each.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import get_context

from benchmarks.contenders import Contenders
from benchmarks.measures import RAYFLOW, Entrant
from rayflow.engine import Scheduler
from rayflow.model.commands import Launch
from rayflow.model.events import BatchEnded, CapacityChanged, Completed
from rayflow.model.graph import Graph, Node, NodeKind, SplitFrame
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Segment, Taken

NAME = "scheduler"
SPLIT_S = 4e-6
Row = dict[str, str | int | float]


def _node(name: str, targets: tuple[str, ...], sources: tuple[str, ...], *spaces: str, **facts: object) -> Node:
    frames = tuple(SplitFrame(space, True) for space in spaces)
    return Node(name, NodeKind.LINEAR, 1, "flow.py", targets=targets, sources=sources, frames=frames, **facts)  # type: ignore[arg-type]


def _graph(*nodes: Node) -> Graph:
    return Graph("Bench", {node.name: node for node in nodes}, "start", "end")


def plain() -> Graph:
    """start -> foreach train -> join -> end"""
    return _graph(
        _node("start", ("train",), (), foreach="items", joined_by="join"),
        _node("train", ("join",), ("start",), "start"),
        _node("join", ("end",), ("train",), joins="start", branches_expected=1),
        _node("end", (), ("join",)),
    )


def nested() -> Graph:
    """A foreach in a foreach; the inner joins are siblings of each other."""
    return _graph(
        _node("start", ("outer",), (), foreach="items", joined_by="join"),
        _node("outer", ("train",), ("start",), "start", foreach="parts", joined_by="merge"),
        _node("train", ("merge",), ("outer",), "start", "outer"),
        _node("merge", ("join",), ("train",), "start", joins="outer", branches_expected=1),
        _node("join", ("end",), ("merge",), joins="start", branches_expected=1),
        _node("end", (), ("join",)),
    )


def switching() -> Graph:
    """Alternating arms in the body."""
    return _graph(
        _node("start", ("pick",), (), foreach="items", joined_by="join"),
        _node("pick", ("a", "b"), ("start",), "start", condition="case"),
        _node("a", ("meet",), ("pick",), "start"),
        _node("b", ("meet",), ("pick",), "start"),
        _node("meet", ("join",), ("a", "b"), "start"),
        _node("join", ("end",), ("meet",), joins="start", branches_expected=1),
        _node("end", (), ("join",)),
    )


def splitting() -> Graph:
    """A static split and its join in the body."""
    body = (SplitFrame("start", True),)
    arms = [
        Node(arm, NodeKind.LINEAR, 1, "flow.py", "", ("merge",), ("fork",), (*body, SplitFrame("fork", False, number)))
        for number, arm in enumerate(("a", "b"))
    ]
    return _graph(
        _node("start", ("fork",), (), foreach="items", joined_by="join"),
        _node("fork", ("a", "b"), ("start",), "start", joined_by="merge"),
        *arms,
        _node("merge", ("join",), ("a", "b"), "start", joins="fork", branches_expected=2),
        _node("join", ("end",), ("merge",), joins="start", branches_expected=1),
        _node("end", (), ("join",)),
    )


def drive(graph: Graph, counts: dict[str, int], reusable: list[Segment] | None = None) -> tuple[int, int, list[Segment]]:
    """Runs the flow with workers that take no time. (batches launched, tasks done, committed segments)."""
    scheduler = Scheduler(graph, {}, reusable=reusable or (), is_resume=reusable is not None)
    queue, launched, tasks, journal = deque(scheduler.start(0.0)), 0, 0, list[Segment]()
    queue.extend(scheduler.on(CapacityChanged(2, {}, ahead=2), 0.0))
    while queue:
        command = queue.popleft()
        if not isinstance(command, Launch):
            continue
        batch = command.batch
        node, launched, tasks = graph[batch.step], launched + 1, tasks + len(batch.indices)
        taken = Taken(node.targets, bytes(index % 2 for index in batch.indices)) if node.is_switch else None
        fanout = scheduler.reserve(node.name, batch.indices, [counts[node.name]] * len(batch.indices)) if node.is_foreach else None
        busy_s = SPLIT_S * len(batch.indices)
        journal.append(Segment(node.name, batch.indices, batch.lap, batch.parent, taken, fanout, run="1", busy_s=busy_s))
        queue.extend(scheduler.on(Completed(batch.id, journal[-1], SPLIT_S), 0.0))
        queue.extend(scheduler.on(BatchEnded(batch.id), 0.0))
    assert scheduler.is_finished
    return launched, tasks, journal


SHAPES: dict[str, tuple[Callable[[], Graph], dict[str, int]]] = {
    "1,000,000 splits": (plain, {"start": 1_000_000}),
    "10,000,000 splits": (plain, {"start": 10_000_000}),
    "100,000 x 3 nested": (nested, {"start": 100_000, "outer": 3}),
    "1,000 x 10,000 nested": (nested, {"start": 1_000, "outer": 10_000}),
    "1,000,000 splits, alternating arms": (switching, {"start": 1_000_000}),
    "1,000,000 splits, static split in the body": (splitting, {"start": 1_000_000}),
}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)


def measure(shape: str) -> Row:
    """One row of the table; `replay_s` is a resume that finds everything done but the end and the last split."""
    build, counts = SHAPES[shape]
    graph, before_mb, begin = build(), _peak_mb(), time.perf_counter()
    batches, tasks, journal = drive(graph, counts)
    seconds, peak_mb = time.perf_counter() - begin, _peak_mb()
    origin = [_all_but_the_last(segment) if segment.step in graph.body("start") else segment for segment in journal]
    begin = time.perf_counter()
    again, _, _ = drive(graph, counts, origin)
    return {
        "shape": shape,
        "tasks": tasks,
        "batches": batches,
        "us_per_batch": round(seconds / batches * 1e6, 1),
        "ns_per_task": round(seconds / tasks * 1e9, 1),
        "seconds": round(seconds, 2),
        "peak_mb": round(peak_mb),
        "grown_mb": round(peak_mb - before_mb),
        "replay_s": round(time.perf_counter() - begin, 2),
        "rerun_batches": again,
    }


def _all_but_the_last(segment: Segment) -> Segment:
    last = IndexSet.single(segment.indices.highest)
    return segment if len(segment.indices) == 1 or segment.fanout is not None else segment.part(segment.indices.difference(last))


CASES = {"scheduler": ""}
QUICK = CASES


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """One a shape."""
    del contenders, case, size
    for shape in SHAPES:
        yield Entrant(NAME, shape, RAYFLOW, lambda shape=shape: _figures(apart(shape)), "nothing: no I/O")


def apart(shape: str) -> Row:
    """`measure` in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (shape,))


def _figures(row: Row) -> dict[str, float]:
    return {"us a batch": float(row["us_per_batch"]), "peak MB": float(row["peak_mb"]), "batches": float(row["batches"])}


def main() -> None:
    """Prints a line a shape."""
    for shape in SHAPES:
        print("  ".join(f"{name}={value}" for name, value in apart(shape).items()))


if __name__ == "__main__":
    main()
