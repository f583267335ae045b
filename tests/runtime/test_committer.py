"""Group commits: everything durable before anything is told, in the order of the reports, and only what is still wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rayflow.catalog.journal import JournalReader, JournalWriter
from rayflow.catalog.ownership import take_epoch
from rayflow.model.commands import Batch
from rayflow.model.errors import RunFenced
from rayflow.model.events import BatchEnded, BatchLost, Completed, TaskFailed
from rayflow.model.indexes import EMPTY, IndexSet, Lane, TaskKey
from rayflow.model.layout import RunLayout
from rayflow.model.records import Failure, FailureKind, Row, Status
from rayflow.model.reports import AttemptFailed, BatchOver, RowsDone, WorkerDied
from rayflow.runtime.committer import FIRST_HOLD_S, LONGEST_HOLD_S, Committer
from rayflow.store import open_root
from rayflow.store.blobs import Blobs
from rayflow.store.packs import RowsEncoder

LAYOUT = RunLayout("F", "1")
BROKEN = Failure(FailureKind.EXCEPTION, "broken", "builtins.ValueError")


class World:
    """A committer on an empty root; `open` are the tasks of each batch that the scheduler still wants."""

    def __init__(self, directory: str) -> None:
        self.store = open_root(directory, create=True)
        self.batches: dict[int, Batch] = {}
        self.open: dict[int, IndexSet] = {}
        self.is_final = False
        epoch = take_epoch(self.store, LAYOUT)
        self.committer = Committer(
            store=self.store,
            layout=LAYOUT,
            journal=JournalWriter(self.store, LAYOUT, epoch),
            run_id="1",
            epoch=epoch,
            reserve=lambda step, indices, counts: pytest.fail("nothing fans out here"),
            expects=lambda batch_id, lane, indices: set(indices) <= set(self.open.get(batch_id, EMPTY)),
            batches=self.batches,
            decides_final=lambda report: self.is_final,
        )

    def launch(self, batch_id: int, start: int, stop: int) -> None:
        self.batches[batch_id] = Batch(batch_id, "train", IndexSet.span(start, stop), parent="start")
        self.open[batch_id] = IndexSet.span(start, stop)

    def split_rows(self, batch_id: int, start: int, stop: int) -> RowsDone:
        encoder = RowsEncoder(Blobs(self.store, "F", "1").put)
        for index in range(start, stop):
            encoder.add(index, 0, 1, 0.5, Status.OK, 0, 0, 0, 0, 0, {"x": index})
        return RowsDone(batch_id, IndexSet.span(start, stop), columns=encoder.flush(1, "host", None), slowest_s=0.5)

    def journal(self) -> list[str]:
        return [event["e"] for event in JournalReader(self.store, LAYOUT).read()]

    def packs(self) -> list[str]:
        return [key for key in self.store.list("F/runs/1") if "/packs/" in key]


@pytest.fixture
def world(tmp_path):
    return World(str(tmp_path))


def test_nothing_is_due_while_nothing_was_taken(world):
    assert (world.committer.is_empty, world.committer.due_at(0.0)) == (True, None)


def test_rows_of_lone_tasks_and_failures_are_due_at_once_those_of_fanouts_wait(world):
    world.launch(1, 0, 4)

    world.committer.take(BatchOver(1), 10.0)
    at_once = world.committer.due_at(10.0)
    world.committer.take(world.split_rows(1, 0, 4), 10.5)

    assert (at_once, world.committer.due_at(10.0), world.committer.due_at(1000.0)) == (10.0, 10.0 + FIRST_HOLD_S, 10.0 + LONGEST_HOLD_S)


def test_what_is_told_is_in_the_journal_in_the_order_of_the_reports(world):
    world.launch(1, 0, 2)
    row = Row(status=Status.FAILED, failure=BROKEN)
    for report in (world.split_rows(1, 0, 1), AttemptFailed(1, 1, 0, BROKEN, row), BatchOver(1)):
        world.committer.take(report, 0.0)

    committed = world.committer.commit()

    assert [type(event) for event in committed.events] == [Completed, TaskFailed, BatchEnded]
    assert (world.journal(), world.committer.is_empty) == (["rows", "failed"], True)


def test_the_rows_of_many_batches_share_a_pack(world):
    for number in range(10):
        world.launch(number, number * 5, number * 5 + 5)
        world.committer.take(world.split_rows(number, number * 5, number * 5 + 5), 0.0)

    committed = world.committer.commit()

    assert (len(world.packs()), [segment.pack_row for segment in committed.segments]) == (1, [number * 5 for number in range(10)])
    assert {segment.run for segment in committed.segments} == {"1"}


def test_rows_that_nobody_wants_any_more_are_not_journaled(world):
    world.launch(1, 0, 4)
    world.open[1] = EMPTY

    world.committer.take(world.split_rows(1, 0, 4), 0.0)
    committed = world.committer.commit()

    assert (committed.segments, committed.events, world.journal(), world.packs()) == ([], [], [], [])


def test_what_a_refused_batch_says_later_is_refused_too(world):
    world.launch(1, 0, 4)
    world.open[1] = EMPTY
    world.committer.take(world.split_rows(1, 0, 2), 0.0)
    world.committer.commit()
    world.open[1] = IndexSet.span(0, 4)

    world.committer.take(replace(world.split_rows(1, 2, 4), lane=Lane("test", 0, "train")), 0.0)

    assert world.committer.commit().segments == []


def test_tasks_that_followed_in_the_same_go_have_segments_of_their_own(world):
    world.launch(1, 0, 4)
    then = Lane("test", 0, "train")

    world.committer.take(world.split_rows(1, 0, 4), 0.0)
    world.committer.take(replace(world.split_rows(1, 0, 4), lane=then), 0.0)
    committed = world.committer.commit()

    assert [(s.step, s.parent, s.indices) for s in committed.segments] == [
        ("train", "start", IndexSet.span(0, 4)),
        ("test", "train", IndexSet.span(0, 4)),
    ]
    assert {key.split("/packs/")[1].split("/")[0] for key in world.packs()} == {"train", "test"}


def test_an_attempt_that_its_worker_retries_is_recorded_and_not_told(world):
    world.launch(1, 0, 1)
    row = Row(status=Status.FAILED, failure=BROKEN)

    world.committer.take(AttemptFailed(1, 0, 0, BROKEN, row, is_retried=True), 0.0)
    committed = world.committer.commit()

    assert (committed.events, [(failed.key, failed.is_final) for failed in committed.failed]) == ([], [(TaskKey("train", 0), False)])
    assert world.journal() == ["failed"]


def test_a_failure_that_nothing_follows_is_final(world):
    world.launch(1, 0, 1)
    world.is_final = True

    world.committer.take(AttemptFailed(1, 0, 3, BROKEN, Row(status=Status.FAILED, attempt=3, failure=BROKEN)), 0.0)
    committed = world.committer.commit()

    assert ([failed.is_final for failed in committed.failed], committed.events) == ([True], [TaskFailed(1, 0, 3, BROKEN)])


def test_a_death_is_told_once_as_a_loss_and_recorded_as_an_attempt(world):
    world.launch(1, 0, 3)
    died = Failure(FailureKind.DIED, "gone")
    row = Row(status=Status.FAILED, failure=died)

    world.committer.take(AttemptFailed(1, 1, 0, died, row, is_retried=True, is_death=True), 0.0)
    world.committer.take(WorkerDied(1, died, 1, 0, is_exact=True), 0.0)
    committed = world.committer.commit()

    assert (committed.events, len(committed.failed)) == ([BatchLost(1, died, 1, 0, True)], 1)


def test_after_another_driver_took_the_run_nothing_is_told(world):
    world.launch(1, 0, 4)
    take_epoch(world.store, LAYOUT)

    world.committer.take(world.split_rows(1, 0, 4), 0.0)

    with pytest.raises(RunFenced):
        world.committer.commit()


def test_a_commit_of_nothing_writes_nothing(world):
    committed = world.committer.commit()

    assert (committed.events, committed.segments, world.journal()) == ([], [], [])
