"""Why each step of a run was taken over from another run, or performed: told from what both have committed."""

from __future__ import annotations

from dataclasses import dataclass

from rayflow.catalog.reading import OpenedRun, open_run
from rayflow.catalog.view import RunView
from rayflow.model.errors import RayflowException
from rayflow.model.indexes import IndexSet, TaskKey


@dataclass(frozen=True, slots=True)
class Why:
    """Of a step: how many of its tasks were taken over from other runs, how many were performed, and why, in words."""

    step: str
    reused: int
    performed: int
    reason: str


def why_of(opened: OpenedRun) -> list[Why]:
    """The steps that have tasks, in the graph's order. A step that was performed for several reasons names each."""
    record = opened.record
    origin = _origin_of(opened)
    after = record.graph.descendants(record.resumed_step) if record.resumed_step else frozenset[str]()
    found: list[Why] = []
    again: set[str] = set()
    for node in opened.view.graph:
        segments = opened.view.steps.get(node.name)
        if segments is None:
            continue
        owners = {segment.run for segment in segments.all} - {"", record.run_id}
        performed = [(segment.indices, segment.lap) for segment in segments.all if segment.run not in owners]
        count = sum(len(indices) for indices, _ in performed)
        reasons: list[str] = []
        if owners:
            reasons.append(f"done in run {', '.join(sorted(owners))}")
        if count and record.origin is not None:
            sources = [source for source in node.sources if source in again]
            reasons += _reasons(opened, origin, node.name, performed, sources, after)
        elif count:
            reasons.append("not resumed: everything runs")
        if count:
            again.add(node.name)
        found.append(Why(node.name, segments.total - count, count, "; ".join(reasons)))
    return found


def _reasons(
    opened: OpenedRun, origin: RunView | None, step: str, performed: list[tuple[IndexSet, int]], sources: list[str], after: frozenset[str]
) -> list[str]:
    record = opened.record
    if step == record.resumed_step:
        return [f"asked for: resume {step}"]
    if step in after:
        return [f"follows from {record.resumed_step}, which was asked for"]
    if origin is None:
        return [f"not taken over from run {record.origin}, which is gone"]
    done = failed = fresh = 0
    for indices, lap in performed:
        for index in indices:
            if origin.find(step, index, lap) is not None:
                done += 1
            elif TaskKey(step, index, lap) in origin.failed:
                failed += 1
            else:
                fresh += 1
    reasons: list[str] = []
    if failed:
        reasons.append(f"{failed:,} failed in run {record.origin}")
    if fresh:
        reasons.append(f"{fresh:,} not done in run {record.origin}")
    if done:
        starts = f"what it starts from ran again ({', '.join(sources)})"
        reasons.append(f"{done:,} again: {starts if sources else f'what run {record.origin} stored of it is damaged or gone'}")
    return reasons


def _origin_of(opened: OpenedRun) -> RunView | None:
    """What the run could take over: of a resume that had done nothing yet, what its own origin had."""
    run_id, view = opened.record.origin, None
    while run_id is not None:
        try:
            origin = open_run(opened.store, opened.record.flow, run_id)
        except RayflowException:
            return view
        view = origin.view
        if any(segment.run in ("", run_id) for segment in view.segments()):
            return view
        run_id = origin.record.origin
    return view
