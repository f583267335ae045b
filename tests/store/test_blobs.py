"""Artifacts of a run: within their record, or files that are written once, mapped privately, and never returned when damaged."""

import json
import os
import subprocess
import sys
import uuid

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest
from blake3 import blake3

from rayflow.model.errors import ArtifactUnserializable, StoreCorrupt, StoreMissing, UnsafeName
from rayflow.model.records import Artifact
from rayflow.store import LocalStore, mapped, stamps
from rayflow.store import blobs as blobs_module
from rayflow.store.blobs import INLINE_NBYTES, Blobs, digest_of
from rayflow.store.codecs import encode
from rayflow.store.remote import RemoteStore

BIG = np.arange(300_000)


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "root"))


@pytest.fixture
def blobs(store):
    return Blobs(store, "Flow", "1")


def path_of(blobs, artifact):
    return blobs._store.local_path(blobs.key_of(artifact))


def unstamped(path):
    """The file as it is where nobody can leave a stamp."""
    stamps._stamps.pop(path, None)
    if "user.rayflow.stamp" in os.listxattr(path):
        os.removexattr(path, "user.rayflow.stamp")


def no_hash(monkeypatch):
    monkeypatch.setattr(blobs_module, "_digest", lambda chunks, nbytes, threads=1: pytest.fail("was hashed"))


def test_what_is_small_lies_in_the_record(blobs, store):
    artifact = blobs.put("x", [1, "two"])

    assert artifact == Artifact("json", "list", 9, "[1, 'two']", inline=b'[1,"two"]')
    assert list(store.list("")) == []


def test_what_is_large_is_a_file_named_by_its_digest(blobs, store):
    artifact = blobs.put("x", "a" * (INLINE_NBYTES + 1))

    name = f"{blake3(b'a' * (INLINE_NBYTES + 1)).hexdigest()}.txt"
    assert (artifact.blob, artifact.digest, artifact.inline) == (name, name[:-4], None)
    assert list(store.list("")) == [f"Flow/runs/1/blobs/{name}"]


def test_equal_values_share_one_file_that_is_written_once(store):
    first = Blobs(store, "Flow", "1").put("x", BIG)
    path = store.local_path(f"Flow/runs/1/blobs/{first.blob}")
    written = os.stat(path).st_ino

    second = Blobs(store, "Flow", "1").put("y", BIG.copy())

    assert (second, os.stat(path).st_ino) == (first, written)


def test_a_damaged_file_is_repaired_by_the_same_value(blobs, store):
    artifact = blobs.put("x", BIG)
    with open(path_of(blobs, artifact), "r+b") as file:
        file.seek(5000)
        file.write(b"damage")

    Blobs(store, "Flow", "1").put("x", BIG)

    assert np.array_equal(Blobs(store, "Flow", "1").load(artifact), BIG)


@pytest.mark.parametrize("root", ["disk", "bucket"])
def test_many_values_are_stored_as_they_would_be_one_by_one(store, root):
    where = store if root == "disk" else RemoteStore(f"memory://{uuid.uuid4().hex}")
    values = {f"a{n}": np.full(5_000 + n % 70, n % 70) for n in range(150)}
    values |= {
        "small": 1,
        "large": np.arange(3 << 20),
        "frame": pd.DataFrame({"a": [1]}),
        "again": BIG,
        "taken": Artifact("json", "int", 1),
    }
    one_by_one = Blobs(where, "Flow", "1")

    stored = Blobs(where, "Flow", "2").put_all(values, tables_as_files=True)

    assert stored == {name: one_by_one.put(name, value, tables_as_files=True) for name, value in values.items()}
    assert len([*where.list("Flow/runs/2")]) == len([*where.list("Flow/runs/1")]) == 73
    assert all(
        np.array_equal(Blobs(where, "Flow", "2").load(stored[name]), values[name]) for name in values if name[0] == "a" and name != "again"
    )


def test_of_many_values_those_that_cannot_be_stored_are_named_or_left_out(blobs):
    values = {"a": BIG, "gen": (n for n in [1]), "b": BIG[1:]}

    with pytest.raises(ArtifactUnserializable, match="'gen'"):
        blobs.put_all(values)

    assert [*blobs.put_all(values, skips_unserializable=True)] == ["a", "b"]


def test_an_artifact_that_is_described_already_stays_as_it_is(blobs):
    artifact = Artifact("json", "int", 1, "1", blob="there.json", digest="d", run="7")

    assert blobs.put("x", artifact) is artifact


def test_what_was_encoded_before_is_not_encoded_again(blobs):
    assert blobs.put("x", encode([1])) == blobs.put("x", [1])


def test_a_large_array_is_a_private_writable_view_of_the_file(blobs):
    artifact = blobs.put("x", BIG)

    mine, other = blobs.load(artifact), blobs.load(artifact)
    mine[0] = 99

    assert (mine[0], other[0], blobs.load(artifact)[0]) == (99, 0, 0)
    assert type(mine.base).__name__ == "mmap"


def test_a_large_frame_is_views_of_the_file_too(blobs):
    frame = pd.DataFrame({"a": np.arange(200_000.0), "b": np.arange(200_000)})
    artifact = blobs.put("x", frame)

    mine = blobs.load(artifact)
    mine.loc[0, "a"] = 99.0

    assert (mine.loc[0, "a"], mine["b"].to_numpy().base is not None) == (99.0, True)
    pd.testing.assert_frame_equal(blobs.load(artifact), frame)


@pytest.mark.parametrize(
    "value", [np.arange(3), (np.arange(3),), (np.arange(1000),), np.arange(10_000)], ids=["npy", "pickle", "buffers", "blob"]
)
def test_arrays_of_any_size_can_be_written(blobs, value):
    again = blobs.load(blobs.put("x", value))
    array = again[0] if isinstance(again, tuple) else again

    array[0] = 7

    assert array[0] == 7


def test_changes_of_a_small_value_are_not_seen_by_the_next_reader(blobs):
    artifact = blobs.put("x", np.arange(3))

    blobs.load(artifact)[0] = 7

    assert blobs.load(artifact)[0] == 0


@pytest.mark.parametrize("where", [0, 100, 1_000_000, -1])
@pytest.mark.parametrize("is_stamped", [False, True])
def test_a_changed_byte_is_named_and_never_returned(blobs, where, is_stamped):
    artifact = blobs.put("model", BIG)
    path = path_of(blobs, artifact)
    if not is_stamped:
        unstamped(path)
    with open(path, "r+b") as file:
        file.seek(where, 2 if where < 0 else 0)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))

    with pytest.raises(StoreCorrupt, match=rf"{path} is damaged.*'model'"):
        blobs.load(artifact, "model")


@pytest.mark.parametrize("size", [0, 1, 1_200_000])
def test_a_file_that_was_cut_is_named(blobs, size):
    artifact = blobs.put("model", BIG)
    os.truncate(path_of(blobs, artifact), size)

    with pytest.raises(StoreCorrupt, match="'model'"):
        blobs.load(artifact, "model")


def test_a_file_that_is_gone_is_named(blobs):
    artifact = blobs.put("model", BIG)
    os.unlink(path_of(blobs, artifact))

    with pytest.raises(StoreMissing, match="'model'"):
        blobs.load(artifact, "model")


def test_what_this_machine_wrote_is_not_hashed_again(blobs, monkeypatch):
    artifact = blobs.put("x", BIG)

    no_hash(monkeypatch)

    assert blobs.load(artifact)[5] == 5


def test_another_process_of_this_machine_trusts_the_stamp(blobs, tmp_path):
    artifact = blobs.put("x", BIG)
    path = path_of(blobs, artifact)
    if "user.rayflow.stamp" not in os.listxattr(path):
        pytest.skip("this file system takes no extended attributes")

    done = subprocess.run(
        [sys.executable, "-c", f"from rayflow.store.stamps import is_as_written; print(is_as_written({path!r}))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "True\n"


def test_a_copied_file_is_not_trusted(blobs, tmp_path):
    artifact = blobs.put("x", BIG)
    path = path_of(blobs, artifact)
    subprocess.run(["cp", "--preserve=all", path, f"{path}.copy"], check=True)

    assert (stamps.is_as_written(path), stamps.is_as_written(f"{path}.copy")) == (True, False)


def test_a_blob_of_another_run_is_found_there(blobs, store):
    artifact = Blobs(store, "Flow", "7").put("x", BIG).owned_by("7")

    assert np.array_equal(blobs.load(artifact), BIG)


@pytest.mark.parametrize(("blob", "run"), [("../../../x", None), ("x", "../.."), ("/etc/passwd", None), ("", None)])
def test_a_record_cannot_name_a_file_outside_the_run(blobs, blob, run):
    with pytest.raises(UnsafeName):
        blobs.load(Artifact("bytes", "bytes", 1, blob=blob, digest="d", run=run))


def test_on_another_store_a_large_blob_is_read_in_parts(monkeypatch):
    monkeypatch.setattr(blobs_module, "_PART_NBYTES", 100_000)
    blobs = Blobs(RemoteStore(f"memory://{uuid.uuid4().hex}"), "Flow", "1")
    artifact = blobs.put("x", BIG)

    again = blobs.load(artifact)
    again[0] = 1

    assert np.array_equal(again[1:], BIG[1:])


def test_damage_on_another_store_is_named():
    store = RemoteStore(f"memory://{uuid.uuid4().hex}")
    blobs = Blobs(store, "Flow", "1")
    artifact = blobs.put("model", BIG)
    key = blobs.key_of(artifact)
    store.write(key, [store.read(key)[:-1] + b"\xff"])

    with pytest.raises(StoreCorrupt, match="'model'"):
        blobs.load(artifact, "model")


def test_tables_are_arrow_on_a_disk_and_parquet_on_a_bucket_unless_asked_otherwise(store):
    table = pa.table({"a": [1]})
    bucket = RemoteStore(f"memory://{uuid.uuid4().hex}")

    kinds = [
        Blobs(where, "Flow", "1", tables=tables).put("t", table).codec for where in (store, bucket) for tables in (None, "arrow", "parquet")
    ]

    assert kinds == ["arrow", "arrow", "parquet", "parquet", "arrow", "parquet"]


class Told:
    """Tells when it is encoded."""

    def __init__(self, times):
        self.times = times

    def __reduce__(self):
        self.times.append(1)
        return Told, ([],)


def test_a_value_under_two_names_is_encoded_once(blobs):
    times = []
    value = Told(times)

    stored = blobs.put_all({"x": value, "y": [1], "items": value})

    assert (stored["items"] is stored["x"], len(times)) == (True, 1)


def test_the_digest_of_a_small_artifact_is_that_of_its_bytes(blobs):
    assert digest_of(blobs.put("x", b"abc")) == blake3(b"abc").hexdigest()
    assert digest_of(big := blobs.put("x", BIG)) == big.digest


def test_a_loaded_value_is_the_same_until_it_is_changed(blobs):
    for value in ([1, [2]], BIG, {"a": BIG}):
        artifact = blobs.put("x", value)
        loaded = blobs.load(artifact)
        unchanged = blobs.is_same(artifact, "x", loaded)
        changed = loaded["a"] if isinstance(loaded, dict) else loaded
        changed[0] = 77
        assert (unchanged, blobs.is_same(artifact, "x", loaded)) == (True, False)


def frame_of(rows):
    text = pd.Series([f"row {n}" for n in range(rows)])
    return pd.DataFrame({"n": np.arange(rows), "x": np.linspace(0, 1, rows), "s": text, "o": text.astype(object)})


@pytest.fixture(params=[True, False], ids=["told by the kernel", "not told"])
def kernel(request, monkeypatch):
    """Whether the kernel tells which pages were written."""
    if not request.param:
        monkeypatch.setattr(mapped, "_flags", lambda page, count: b"\1" * count)


LARGE = {"array": BIG, "within": {"a": BIG, "b": [1]}, "frame": frame_of(60_000), "table": pa.table({"n": BIG})}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kind", LARGE)
def test_an_inherited_value_that_nobody_changed_is_neither_hashed_nor_written_again(blobs, monkeypatch, kind):
    artifact = blobs.put("x", LARGE[kind])
    written = os.stat(path_of(blobs, artifact)).st_ino
    again = Blobs(blobs._store, "Flow", "1")
    loaded = again.load(artifact)

    no_hash(monkeypatch)

    assert (again.is_same(artifact, "x", loaded), again.put("y", loaded)) == (True, artifact)
    assert os.stat(path_of(blobs, artifact)).st_ino == written


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("where", [0, 1, 150_000, len(BIG) - 1])
def test_one_changed_number_among_many_is_noticed(blobs, where):
    artifact = blobs.put("x", BIG)
    loaded = blobs.load(artifact)

    loaded[where] += 1
    changed = (blobs.is_same(artifact, "x", loaded), blobs.put("x", loaded) == artifact)
    loaded[where] -= 1
    restored = (blobs.is_same(artifact, "x", loaded), blobs.put("x", loaded) == artifact)

    assert (changed, restored) == ((False, False), (True, True))


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.__setitem__("new", 1),
        lambda frame: frame.isetitem(1, 2.0),
        lambda frame: frame.loc.__setitem__((7, "n"), -1),
        lambda frame: frame.loc.__setitem__((7, "s"), "other"),
        lambda frame: frame.loc.__setitem__((7, "o"), "other"),
        lambda frame: frame.__setattr__("columns", ["m", "x", "s", "o"]),
        lambda frame: frame.pop("x"),
    ],
    ids=["column", "values", "number", "text", "object", "label", "less"],
)
def test_any_change_of_a_frame_is_noticed(blobs, change):
    artifact = blobs.put("x", LARGE["frame"])
    loaded = blobs.load(artifact)

    change(loaded)

    assert not blobs.is_same(artifact, "x", loaded)
    pd.testing.assert_frame_equal(blobs.load(blobs.put("x", loaded)), loaded)


def test_another_shape_or_a_part_of_the_same_memory_is_another_value(blobs):
    artifact = blobs.put("x", BIG)
    loaded = blobs.load(artifact)

    parts = [loaded.reshape(2, -1), loaded[:-1], loaded[1:], loaded.view(np.uint64)]

    assert [blobs.is_same(artifact, "x", part) for part in parts] == [False] * 4
    assert all(np.array_equal(blobs.load(blobs.put("x", part)), part) for part in parts)


def test_a_value_of_another_run_gets_a_file_of_its_own(blobs, store):
    theirs = Blobs(store, "Flow", "7").put("x", BIG)

    mine = blobs.put("x", blobs.load(theirs.owned_by("7")))

    assert (mine, os.path.exists(path_of(blobs, mine))) == (theirs, True)


def test_a_file_that_changed_under_its_mapping_is_not_taken_for_the_value(blobs):
    artifact = blobs.put("x", BIG)
    loaded = blobs.load(artifact)
    with open(path_of(blobs, artifact), "r+b") as file:
        file.seek(4096)
        file.write(b"damage")

    same, again = blobs.is_same(artifact, "x", loaded), blobs.put("y", loaded)

    assert (same, again == artifact) == (False, False)
    assert np.array_equal(blobs.load(again), loaded)


def test_what_cannot_be_stored_is_named(blobs):
    with pytest.raises(ArtifactUnserializable, match="'gen'"):
        blobs.put("gen", (n for n in [1]))


# --- other tools read the files


@pytest.fixture
def frame():
    return pd.DataFrame({"n": np.arange(20_000), "x": np.linspace(0, 1, 20_000), "s": [f"row {n}" for n in range(20_000)]})


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("tables", ["arrow", "parquet"])
def test_tables_open_in_pyarrow_pandas_polars_and_duckdb(store, frame, kind, tables):
    value = {"pandas": frame, "polars": pl.DataFrame(frame.to_dict("list")), "pyarrow": pa.Table.from_pandas(frame)}[kind]
    blobs = Blobs(store, "Flow", "1", tables=tables)

    path = path_of(blobs, blobs.put("t", value))

    if tables == "parquet":
        read = [pd.read_parquet(path), pl.read_parquet(path), duckdb.sql(f"select * from '{path}'").fetchall()]
    else:
        rows = duckdb.from_arrow(pa.ipc.open_file(path).read_all())
        read = [pd.read_feather(path), pl.read_ipc(path), rows.fetchall()]
    assert path.endswith(f".{tables}")
    assert [len(found) for found in read] == [20_000] * 3
    assert (read[0]["s"][7], read[1]["s"][7], read[2][7][:1] + read[2][7][2:3]) == ("row 7", "row 7", (7, "row 7"))


def test_arrays_text_and_json_open_without_rayflow(blobs):
    text, listing = "é" * 40_000, list(range(20_000))

    paths = [path_of(blobs, blobs.put("x", value)) for value in (BIG, text, listing, b"z" * 40_000)]

    assert [path.rpartition(".")[2] for path in paths] == ["npy", "txt", "json", "bin"]
    assert np.array_equal(np.load(paths[0], mmap_mode="r"), BIG)
    with open(paths[1], encoding="utf-8") as file:
        assert file.read() == text
    with open(paths[2], "rb") as file:
        assert json.load(file) == listing
