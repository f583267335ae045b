"""Checkpoints of a task: seen whole or not at all, by whoever goes on with the task, a few of each name."""

from __future__ import annotations

import os
import pickle

import pytest

from rayflow.model.errors import ArtifactUnserializable, StoreFault, UserError
from rayflow.store import open_root
from rayflow.store.checkpoints import Checkpoints


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / "root"), create=True)


def of(store, *runs, keep=2):
    return Checkpoints(store, "F", lambda: runs or ("1",), "train-0", keep)


def objects(store):
    return len(list(store.list("F/runs/1/checkpoints")))


def content(directory):
    return {
        os.path.relpath(os.path.join(folder, name), directory): open(os.path.join(folder, name)).read()
        for folder, _, names in os.walk(directory)
        for name in names
    }


def test_a_value_comes_back_and_nothing_where_nothing_was_saved(store):
    of(store).save({"epoch": 1, "weights": [1.5, None]})

    assert (of(store).load(), of(store).load("other"), of(store).is_loaded) == ({"epoch": 1, "weights": [1.5, None]}, None, True)


def test_files_come_back_as_a_copy_that_may_be_changed(store, tmp_path):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "deep" / "a b.bin").write_text("x")
    (tmp_path / "one.txt").write_text("1")
    writer, reader = of(store), of(store)
    writer.save(tmp_path / "model")
    writer.save(str(tmp_path / "one.txt"), name="one")

    found, one = reader.load(), reader.load("one")
    is_there = (content(found), os.path.basename(one), open(one).read())
    open(os.path.join(found, "deep", "a b.bin"), "w").write("changed")
    again = content(reader.load())
    reader.close()

    assert (is_there, again) == (({"deep/a b.bin": "x"}, "one.txt", "1"), {"deep/a b.bin": "x"})
    assert (os.path.exists(found), os.path.exists(one)) == (False, False)


def test_the_directory_begins_with_what_was_saved_of_it(store):
    first = of(store)
    open(os.path.join(first.directory, "state"), "w").write("1")
    first.save()

    second = of(store)
    begun = content(second.directory)
    second.close()

    assert (begun, first.is_loaded, second.is_loaded) == ({"state": "1"}, False, True)


def test_of_each_name_the_last_few_are_kept(store):
    checkpoints = of(store, keep=2)
    for number in range(5):
        checkpoints.save(number)
        checkpoints.save(f"{number}".encode(), name="other")

    assert [(saved.name, saved.number) for saved in checkpoints.saved()] == [
        ("other", 5), ("checkpoint", 5), ("other", 4), ("checkpoint", 4),
    ]  # fmt: skip
    assert (checkpoints.load(), checkpoints.load("other"), objects(store)) == (4, b"4", 8)


def test_what_is_cut_short_is_not_seen(store, monkeypatch):
    of(store).save(b"whole")
    write = store.write

    def fail(key, chunks, *, only_new=False):
        if key.endswith(".json"):
            raise StoreFault("The disk is full.")
        return write(key, chunks, only_new=only_new)

    monkeypatch.setattr(store, "write", fail)
    with pytest.raises(StoreFault):
        of(store).save(b"half")

    assert (of(store).load(), [saved.number for saved in of(store).saved()]) == (b"whole", [1])


@pytest.mark.parametrize("what", ["data", "manifest", "gone"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(store, what, caplog):
    checkpoints = of(store)
    checkpoints.save(b"first")
    newest = checkpoints.save(b"second")
    key = newest.pieces[0].key if what != "manifest" else "F/runs/1/checkpoints/train-0/saved/checkpoint.000002.json"
    if what == "gone":
        os.unlink(store.local_path(key))
    else:
        with open(store.local_path(key), "r+b") as file:
            file.write(b"!")

    assert (of(store).load(), "passed over" in caplog.text) == (b"first", True)


def test_a_task_goes_on_with_what_the_runs_before_left_and_counts_on(store):
    of(store, "1").save(b"of the first")
    (seen, saved) = of(store, "2", "1").load(), of(store, "2", "1").save(b"of the second")

    assert (seen, saved.number, saved.run) == (b"of the first", 2, "2")
    assert ([each.run for each in of(store, "2", "1").saved()], of(store, "2").load(), of(store, "1").load()) == (
        ["2", "1"], b"of the second", b"of the first",
    )  # fmt: skip


def test_another_process_of_the_task_sees_and_saves_the_same(store):
    there = pickle.loads(pickle.dumps(of(store)))
    there.save(b"from there")

    assert of(store).load() == b"from there"


def test_two_that_save_at_once_lose_nothing(store):
    one, other = of(store, keep=5), of(store, keep=5)
    series = other._newest
    other._newest = lambda name: None  # has looked before the first one saved

    numbers = [one.save(b"a").number, other.save(b"b").number]

    other._newest = series
    assert (numbers, [saved.number for saved in one.saved("checkpoint")]) == ([1, 2], [2, 1])


@pytest.mark.parametrize(
    ("what", "name", "error", "words"),
    [
        ("/no/where", "checkpoint", UserError, "There is no file or directory /no/where"),
        (b"", "../up", UserError, "The name of a checkpoint '../up' cannot be used"),
        (b"", "a.b", UserError, "give a name without '.'"),
        ((each for each in ()), "checkpoint", ArtifactUnserializable, "generator"),
    ],
)
def test_what_cannot_be_saved_is_named(store, what, name, error, words):
    with pytest.raises(error, match=words):
        of(store).save(what, name=name)

    assert objects(store) == 0
