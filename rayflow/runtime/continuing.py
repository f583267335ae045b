"""Whom a run belongs to: who may go on with it, and how it is taken from a driver that died.

A plain resume of a run that did not succeed *seals* it where it has no end (the next epoch: nothing is acknowledged there any more),
then *claims* it (create-only), so that of several such resumes one goes on. Whoever re-attaches to the origin takes its next epoch
first and looks at the claim afterwards; a resume claims first and looks at the epochs afterwards: one of the two sees the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from rayflow.catalog.index import newest_first, note_end
from rayflow.catalog.ownership import claim_continuation, continuation_of, is_alive, is_taken_over, last_epoch, owner_of
from rayflow.catalog.reading import Ending, OpenedRun, open_run, write_ending
from rayflow.catalog.run import RunRecord, read_run
from rayflow.catalog.takeover import take_over
from rayflow.model.errors import RayflowNotFound, RunOwnedElsewhere, StoreCorrupt, StoreExists, UsageError, UserError
from rayflow.model.indexes import EMPTY, TaskKey
from rayflow.model.ports import Store
from rayflow.model.records import Outcome, Segment
from rayflow.runtime.notices import Reporter, Silent, Warned
from rayflow.runtime.settings import Settings
from rayflow.store import open_root


def branch_of(record: RunRecord) -> str | None:
    """The system tag that says the branch of a project which the run belongs to; None outside projects."""
    return next((tag for tag in record.system_tags if tag.startswith("project_branch:")), None)


def newest_run(store: Store, flow: str, user: str, reporter: Reporter, branch: str | None = None) -> RunRecord:
    """The newest run or resume of the flow by this user, on that branch of its project. One whose record is damaged is named, and passed
    over."""
    for entry in newest_first(store, flow):
        try:
            record = read_run(store, flow, entry.run_id)
        except RayflowNotFound:
            continue
        except StoreCorrupt as fault:
            reporter.tell(Warned(f"Run {entry.run_id} is passed over: {fault}"))
            continue
        if record.user == user and (branch is None or branch_of(record) == branch):
            return record
    raise RayflowNotFound("A previous run id was not found. Specify --origin-run-id.")


def finished(store: Store, pathspec: str) -> dict[str, Any]:
    """The end of a run as an event that starts another; UserError for a run that did not succeed."""
    flow, _, run_id = pathspec.partition("/")
    if not run_id or "/" in run_id:
        raise UsageError(f"--trigger {pathspec} names no run. Write Flow/run_id.")
    opened = open_run(store, flow, run_id)
    if opened.ending is None or opened.ending.outcome is not Outcome.SUCCEEDED:
        raise UserError(f"Run {pathspec} did not succeed, so that it triggers nothing. Give one that did.")
    end = opened.record.graph.end
    key = TaskKey(end, 0)
    return {
        "name": f"rayflow.{flow}.{end}",
        "id": f"{pathspec}/{end}/{opened.view.task_id(key)}",
        "at_us": opened.ending.ended_us,
        "type": "run",
    }


def constants_of_origin(settings: Settings, flow: str, run_id: str | None, names: Iterable[str]) -> dict[str, Any]:
    """The values that the run which a resume would continue has under these names, as far as it has them."""
    store = open_root(settings.root, create=False)
    return constants_in(store, read_run(store, flow, run_id) if run_id else newest_run(store, flow, settings.user, Silent()), names)


def constants_in(store: Store, record: RunRecord, names: Iterable[str]) -> dict[str, Any]:
    """The values that a run has under these names, as far as it has them."""
    from rayflow.store.blobs import Blobs

    blobs = Blobs(store, record.flow, record.run_id)
    return {name: blobs.load(record.constants[name], name) for name in names if name in record.constants}


def refuse_alive(store: Store, record: RunRecord, reporter: Reporter) -> None:
    """RunOwnedElsewhere when somebody drives the run."""

    def waiting(owner: object, seconds: float) -> None:
        reporter.tell(Warned(f"Run {record.run_id} was driven by {owner}: waiting up to {seconds:.0f} s for a sign of life."))

    if is_alive(store, record.layout, waiting):
        raise in_progress(store, record)


def in_progress(store: Store, record: RunRecord) -> RunOwnedElsewhere:
    """Says who drives the run."""
    owner = owner_of(store, record.layout)
    return RunOwnedElsewhere(
        f"Run {record.run_id} is in progress: {owner} drives it. Wait for it, stop that process, or start another run."
    )


def refuse_continued(store: Store, record: RunRecord) -> None:
    """RunOwnedElsewhere when a resume took the run's work over: what were acknowledged here from now on would be missing there."""
    continuation = continuation_of(store, record.layout)
    if continuation is not None:
        raise RunOwnedElsewhere(f"Run {record.run_id} was continued by run {continuation}. Resume that one, or branch off with `--fork`.")


def claimed_origin(store: Store, origin: RunRecord, run_id: str, reporter: Reporter, *, is_free: bool) -> tuple[OpenedRun, str]:
    """The run to continue, with an end, and the id to continue it under. `is_free`: no claim is made or minded.

    Where the origin was continued by a run that died, that run is what is continued. RunOwnedElsewhere when somebody drives one of them.
    """
    while True:
        epoch = last_epoch(store, origin.layout)
        opened = open_run(store, origin.flow, origin.run_id)
        if opened.ending is None:
            refuse_alive(store, origin, reporter)
            opened, epoch = _sealed(store, origin)
        if is_free or (opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED):
            return opened, run_id
        holder = claim_continuation(store, origin.layout, run_id)
        continuation = _record_of(store, origin.flow, holder)
        if holder == run_id or continuation is None:  # whoever claimed it died before its run existed: its id is free to be used
            if not is_taken_over(store, origin.layout, epoch):
                return opened, holder
            continue  # it was re-attached meanwhile
        if open_run(store, origin.flow, holder).ending is None:
            _refuse_continuing(store, origin, continuation, reporter)
        reporter.tell(
            Warned(f"Run {origin.run_id} was continued by run {holder}: that one is resumed. `--fork` starts from {origin.run_id}.")
        )
        origin = continuation


def _record_of(store: Store, flow: str, run_id: str) -> RunRecord | None:
    try:
        return read_run(store, flow, run_id)
    except RayflowNotFound:
        return None


def _refuse_continuing(store: Store, origin: RunRecord, continuation: RunRecord, reporter: Reporter) -> None:
    try:
        refuse_alive(store, continuation, reporter)
    except RunOwnedElsewhere as fault:
        raise RunOwnedElsewhere(f"Run {origin.run_id} is being continued already, by run {continuation.run_id}. {fault.message}") from None


def _sealed(store: Store, record: RunRecord) -> tuple[OpenedRun, int]:
    """Takes the run from a driver that died, so that nothing is acknowledged there any more, and records the interruption."""
    epoch = take_over(store, record.layout).epoch
    opened = open_run(store, record.flow, record.run_id)
    ending = Ending(
        Outcome.INTERRUPTED,
        "its driver died",
        0,
        segments=tuple(opened.view.segments()),
        failed=tuple(failed for attempts in opened.view.failed.values() for failed in attempts),
        epoch=epoch,
    )
    with contextlib.suppress(StoreExists):
        write_ending(store, record.layout, ending)
    note_end(store, record, Outcome.INTERRUPTED)
    return OpenedRun(store, record, opened.view, ending), epoch


def reusable_of(opened: OpenedRun) -> tuple[tuple[Segment, ...], frozenset[str]]:
    """What a continuation of the run may take over, and the steps that it was itself to run again.

    A resume that died before it did anything may not have recorded all that it took over: its origin's work is what there is. One that
    did something had recorded that before.
    """
    record, segments = opened.record, tuple(opened.view.segments())
    if record.origin is None or any(segment.run in ("", record.run_id) for segment in segments):
        return segments, frozenset()
    segments, rerun = reusable_of(open_run(opened.store, record.flow, record.origin))
    return segments, rerun | ({record.resumed_step} if record.resumed_step else set())


def intact(
    opened: OpenedRun, segments: tuple[Segment, ...], reporter: Reporter, *, is_thorough: bool
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Those of the segments, or of their tasks, that can be taken over, and those that are damaged: what is, is told.

    Seen at once is what is gone, or has another length; with `is_thorough` every value is read and compared with its digest. StoreCorrupt
    where that is a parameter.
    """
    from rayflow.upkeep.verify import damages_of, damages_of_values

    for damage in damages_of_values(opened, is_thorough=is_thorough):
        raise StoreCorrupt(f"{damage}. No task can compute that again: start a new run.", damage.key)
    kept: list[Segment] = []
    lost: list[Segment] = []
    told: set[str] = set()
    for segment, damages in damages_of(opened, segments, is_thorough=is_thorough):
        left = segment.indices
        for damage in damages:
            left = left.difference(damage.indices) if damage.step is not None else left
            if damage.step is not None and damage.key not in told:
                told.add(damage.key)
                reporter.tell(Warned(f"{damage}. It is computed again, and unless it comes out the same, what follows from it."))
        if len(left) < len(segment.indices) and opened.record.graph.is_gang(segment.step):
            left = EMPTY  # the nodes of a gang are done together
        if left:
            kept.append(segment.part(left))
        if len(left) < len(segment.indices):
            lost.append(segment.part(segment.indices.difference(left)))
    return tuple(kept), tuple(lost)


def refuse_removed(store: Store, record: RunRecord, origin: RunRecord) -> None:
    """RayflowNotFound where the origin is being removed. The record of the resume is there already: whoever removes the origin after this
    look sees it, and leaves the origin alone."""
    from rayflow.upkeep.removal import is_marked

    if is_marked(store, origin.layout):
        store.delete(record.layout.record)
        raise RayflowNotFound(f"Run('{origin.flow}/{origin.run_id}') is being removed from {store.url}.")
