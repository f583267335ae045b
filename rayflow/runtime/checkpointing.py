"""Which checkpoints a task sees: its own, and those that runs which this one continues left of it, where it had the same inputs."""

from __future__ import annotations

from rayflow.catalog.run import RunRecord, read_run
from rayflow.client.lineage import Lineage
from rayflow.model.errors import RayflowNotFound
from rayflow.model.indexes import Lane, TaskKey
from rayflow.runtime.session import Session
from rayflow.runtime.shared import Shared
from rayflow.store.checkpoints import Checkpoints


def checkpoints_of(session: Session, shared: Shared, lineage: Lineage, lane: Lane, index: int) -> Checkpoints:
    """`current.checkpoint` of a task. Nothing is read before it is used."""
    key = TaskKey(lane.step, index, lane.lap)
    keep = shared.specs[lane.step].checkpoints_kept
    name = f"{lane.step}-{index}" + (f"-{lane.lap}" if lane.lap else "")

    def runs() -> tuple[str, ...]:
        return _runs_with_the_same_inputs(session, shared.record, lineage, key, lane.parent)

    return Checkpoints(session.store, shared.record.flow, runs, name, keep, shared.progress_dir or None)


def _runs_with_the_same_inputs(
    session: Session, record: RunRecord, lineage: Lineage, key: TaskKey, parent: str | None
) -> tuple[str, ...]:  # fmt: skip
    """The run itself, and of the runs that it continues, one by one, those in which the task began from the same: from tasks that this run
    took over from there. Whoever asked for a step to be performed again wants it from its beginning."""
    chain = [record]
    while chain[-1].origin is not None and chain[-1].resumed_step != key.step:
        try:
            chain.append(read_run(session.store, record.flow, chain[-1].origin))
        except RayflowNotFound:  # removed since
            break
    runs = [each.run_id for each in chain]
    parents = [lineage.view.find(each.step, each.index, each.lap) for each in lineage.parents_of(key, parent)]
    if parent is not None and not parents:  # performed just before, by this very worker
        return tuple(runs[:1])
    owners = {segment.run if segment is not None and segment.run else runs[0] for segment in parents}
    last = len(runs) - 1
    oldest = min((runs.index(owner) if owner in runs else last for owner in owners), default=last)
    return tuple(runs[: oldest + 1])
