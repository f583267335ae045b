"""What is taken away is what nobody needs; what is foretold is what happens."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from rayflow import FlowSpec, step
from rayflow.catalog.index import runs_of
from rayflow.model.errors import RayflowNotFound, RunOwnedElsewhere, StoreFault, UserError
from rayflow.store import open_root
from rayflow.store.local import LocalStore
from rayflow.testing import run_flow
from rayflow.upkeep import plan_gc, plan_rm, removal, verify_run
from tests.upkeep.conftest import DAY_US, Garden


def orphan(garden: Garden, run_id: str, name: str = "blobs/0123.bin", nbytes: int = 5_000) -> Path:
    """What a worker stored that was killed before anybody heard of it."""
    path = garden.path / "Grown" / "runs" / run_id / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"o" * nbytes)
    return path


def test_of_a_run_that_succeeded_what_it_does_not_refer_to_goes_and_nothing_else(garden: Garden, later: int):
    run_id = garden.run()
    path, values, before = orphan(garden, run_id), garden.values(run_id), garden.files()

    foretold = plan_gc(garden.store, now_us=later, deletes=False)
    assert garden.files() == before
    done = plan_gc(garden.store, now_us=later, deletes=True)

    gone = before.keys() - garden.files().keys()
    assert gone == {str(path.relative_to(garden.path))}
    assert (foretold.objects, foretold.nbytes) == (done.objects, done.nbytes) == (1, 5_000)
    assert garden.values(run_id) == values
    assert plan_gc(garden.store, now_us=later, deletes=True).objects == 0


def test_in_a_run_that_did_not_succeed_nothing_is_swept_since_it_may_go_on(garden: Garden, later: int):
    run_id = garden.run(breaks="join")
    path = orphan(garden, run_id)

    assert plan_gc(garden.store, now_us=later, deletes=True).objects == 0
    assert path.exists()


def test_temporary_files_of_dead_writers_go_after_a_day(garden: Garden, later: int):
    run_id = garden.run(breaks="join")
    path = orphan(garden, run_id, "blobs/.0123456789abcdef.tmp")
    now = later - 3 * DAY_US

    assert plan_gc(garden.store, now_us=now, deletes=True).objects == 0
    assert plan_gc(garden.store, now_us=later, deletes=True).nbytes == 5_000
    assert not path.exists()


def test_old_runs_go_unless_they_have_a_tag_that_keeps_them(garden: Garden, later: int):
    old, kept = garden.run(salt="a"), garden.run(salt="b", tags=["release"])

    foretold = plan_gc(garden.store, now_us=later, deletes=False, older_than_us=DAY_US, kept_tags=frozenset({"release"}))
    before = garden.files()
    done = plan_gc(garden.store, now_us=later, deletes=True, older_than_us=DAY_US, kept_tags=frozenset({"release"}))

    after = garden.files()
    assert done.runs == [f"Grown/{old}"]
    assert (foretold.objects, foretold.nbytes) == (done.objects, done.nbytes)
    assert done.nbytes == sum(before.values()) - sum(after.values())
    assert done.objects == len(before) - len(after)
    assert [entry.run_id for entry in runs_of(garden.store, "Grown")] == [kept]
    assert not (garden.path / "Grown" / "runs" / old).exists()
    assert verify_run(garden.store, "Grown", kept).damages == []


def test_the_code_goes_with_the_last_run_of_it(garden: Garden, later: int):
    run_id = garden.run()
    assert garden.files("Grown/code")

    plan_rm(garden.store, [("Grown", run_id)], now_us=later, deletes=True)

    assert garden.files("Grown") == {}


def test_what_a_resume_took_over_stays_when_its_origin_is_removed(garden: Garden, later: int, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    monkeypatch.setenv("MENDED", "1")
    resumed = garden.resume(origin)
    values = garden.values(resumed)

    removed = plan_rm(garden.store, [("Grown", origin)], now_us=later, deletes=True)

    assert removed.runs == [f"Grown/{origin}"]
    assert [entry.run_id for entry in runs_of(garden.store, "Grown")] == [resumed]
    with pytest.raises(RayflowNotFound):
        garden.values(origin)
    assert garden.values(resumed) == values
    assert verify_run(garden.store, "Grown", resumed).damages == []
    plan_gc(garden.store, now_us=later, deletes=True)
    assert garden.values(resumed) == values

    plan_rm(garden.store, [("Grown", resumed)], now_us=later, deletes=True)
    assert garden.files("Grown") == {}


def test_a_removed_run_is_not_resumed_although_some_of_it_is_there(garden: Garden, later: int, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    monkeypatch.setenv("MENDED", "1")
    garden.resume(origin)
    plan_rm(garden.store, [("Grown", origin)], now_us=later, deletes=True)

    with pytest.raises(RayflowNotFound, match=origin):
        garden.resume(origin)


def test_a_run_that_is_being_removed_at_that_moment_is_not_resumed(garden: Garden):
    origin = garden.run(breaks="join")
    before = [entry.run_id for entry in runs_of(garden.store, "Grown")]
    (garden.path / "Grown" / "runs" / origin / "removed.json").write_text("{}")

    with pytest.raises(RayflowNotFound, match="is being removed"):
        garden.resume(origin)

    assert [entry.run_id for entry in runs_of(garden.store, "Grown")] == before


def test_a_resume_that_begins_while_its_origin_is_marked_keeps_it(garden: Garden, later: int, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    before = garden.files(f"Grown/runs/{origin}")
    real, begun = removal._needed, []

    def needed(store, flow, wanted):
        found = real(store, flow, wanted)
        if not begun:
            begun.append(garden.resume(origin))  # after the first look, and before the mark
        return found

    monkeypatch.setattr(removal, "_needed", needed)

    found = plan_rm(garden.store, [("Grown", origin)], now_us=later, deletes=True)

    assert found.runs == []
    assert any(begun[0] in text for text in found.kept)
    assert garden.files(f"Grown/runs/{origin}").keys() >= before.keys()


def test_a_run_that_an_unfinished_run_continues_is_kept_and_both_go_together(garden: Garden, later: int):
    origin = garden.run(breaks="join")
    second = garden.resume(origin)
    third = garden.resume(second)
    before = garden.files()

    with pytest.raises(UserError, match=f"{second} continues it"):
        plan_rm(garden.store, [("Grown", origin)], now_us=later, deletes=True)
    with pytest.raises(UserError, match=f"{third} continues it"):
        plan_rm(garden.store, [("Grown", origin), ("Grown", second)], now_us=later, deletes=True)
    assert garden.files() == before

    plan_rm(garden.store, [("Grown", run) for run in (origin, second, third)], now_us=later, deletes=True)
    assert garden.files("Grown") == {}


def test_of_runs_of_several_flows_none_is_removed_where_one_may_not_be(garden: Garden, later: int):
    run_id = garden.run()
    before = garden.files()

    with pytest.raises(RayflowNotFound, match="Other/123"):
        plan_rm(garden.store, [("Grown", run_id), ("Other", "123")], now_us=later, deletes=True)

    assert garden.files() == before


def test_a_run_in_progress_is_neither_removed_nor_old(garden: Garden, later: int):
    failed = garden.run(breaks="join")
    alive = garden.run(breaks="join")
    run = garden.path / "Grown" / "runs" / alive
    (run / "end.json").unlink()
    (run / "epoch" / "000001.json").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(run, stop))
    heart.start()
    try:
        with pytest.raises(RunOwnedElsewhere, match=alive):
            plan_rm(garden.store, [("Grown", alive)], now_us=later, deletes=True)
        found = plan_gc(garden.store, now_us=later, deletes=True, older_than_us=DAY_US)
    finally:
        stop.set()
        heart.join()

    assert found.runs == [f"Grown/{failed}"]
    assert any(alive in text and "in progress" in text for text in found.kept)


def _beat(run: Path, stop: threading.Event) -> None:
    """The heart of a driver on another host."""
    count = 0
    while not stop.wait(0.05):
        count += 1
        (run / "beat.json").write_text(json.dumps({"epoch": 1, "beat": count}))


def test_where_a_run_cannot_be_read_nothing_is_swept_and_it_is_named(garden: Garden, later: int):
    good, damaged = garden.run(salt="a"), garden.run(salt="b")
    path = orphan(garden, good)
    record = garden.path / "Grown" / "runs" / damaged / "end.json"
    record.write_bytes(record.read_bytes()[:50])

    found = plan_gc(garden.store, now_us=later, deletes=True)

    assert (found.objects, path.exists()) == (0, True)
    assert damaged in found.kept[0]

    plan_rm(garden.store, [("Grown", damaged)], now_us=later, deletes=True)
    assert not path.parent.parent.parent.joinpath(damaged).exists()
    assert plan_gc(garden.store, now_us=later, deletes=True).objects == 1


class DyingStore(LocalStore):
    """Fails at its n-th deletion."""

    left = 0

    def delete(self, key: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreFault("killed here", key)
        super().delete(key)


def test_a_removal_that_died_anywhere_hides_no_other_run_and_is_finished_by_gc(garden: Garden, later: int, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join", salt="a")
    monkeypatch.setenv("MENDED", "1")
    resumed = garden.resume(origin)
    plain = garden.run(salt="c")
    values = {run: garden.values(run) for run in (resumed, plain)}
    wanted = plan_rm(garden.store, [("Grown", origin), ("Grown", plain)], now_us=later, deletes=False).objects
    assert wanted > 8

    for number in range(wanted + 2):
        copy = Garden(garden.path.parent / f"copy-{number}")
        os.system(f"cp -a {garden.path} {copy.path}")
        dying = DyingStore(copy.root)
        dying.left = number
        try:
            plan_rm(dying, [("Grown", origin), ("Grown", plain)], now_us=later, deletes=True)
        except StoreFault:
            pass
        assert copy.values(resumed) == values[resumed], number
        plan_gc(copy.store, now_us=later, deletes=True)
        listed = {entry.run_id for entry in runs_of(copy.store, "Grown")}
        assert resumed in listed
        assert copy.values(resumed) == values[resumed], number
        for run in listed - {resumed}:
            assert copy.values(run), number
    assert not (copy.path / "Grown" / "runs" / plain).exists()


class Parted(FlowSpec):
    """On a bucket what it fans out over lies in parts, which only the list of them names."""

    @step
    def start(self):
        self.chunks = [bytes([number]) * 4_000_000 for number in range(3)]
        self.next(self.work, foreach="chunks")

    @step
    def work(self):
        self.first = self.input[0]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_parts_of_a_sequence_that_only_their_list_names_stay(tmp_path: Path, later: int):
    root = f"memory://{tmp_path.name}/root"
    run = run_flow(Parted, root=root)
    store = open_root(root, create=False)
    keys = set(store.list(""))
    assert len([key for key in keys if "/blobs/" in key]) == 3, "the whole, and two parts"

    found = plan_gc(store, now_us=later, deletes=True)

    assert (found.objects, set(store.list(""))) == (0, keys)
    checked = verify_run(store, "Parted", run.id)
    assert (checked.damages, checked.objects) == ([], 5)  # and a pack, and the code
    part = next(key for key in keys if "/blobs/" in key)
    store.write(part, [b"?"])
    assert [damage.key for damage in verify_run(store, "Parted", run.id).damages] == [part]
