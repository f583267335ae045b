"""The rows of a fan-out: collected in the worker, merged by the driver, read by anyone."""

import threading
import uuid
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayflow.model.errors import ArtifactUnserializable, RayflowNotFound, StoreCorrupt, StoreMissing
from rayflow.model.layout import RunLayout
from rayflow.model.records import Artifact, LogSpan, Row, Status
from rayflow.store import LocalStore
from rayflow.store.blobs import Blobs
from rayflow.store.codecs.frames import _same_value as same
from rayflow.store.packs import Pack, RowsEncoder, merge, write_pack
from rayflow.store.remote import RemoteStore

RUN = RunLayout("Flow", "1")
STARTED = 1_700_000_000_123_456


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return LocalStore(str(tmp_path / "root")) if request.param == "local" else RemoteStore(f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def blobs(store):
    return Blobs(store, "Flow", "1")


def add(encoder, index, artifacts, **changes):
    fields = {"attempt": 0, "started_us": STARTED, "seconds": 0.25, "status": Status.OK, "peak_nbytes": 5, "out_begin": 0, "out_end": 0}
    encoder.add(index, **{**fields, "err_begin": 0, "err_end": 0, **changes}, artifacts=artifacts)


def flushed(blobs, rows, **constants):
    encoder = RowsEncoder(blobs.put)
    for index, artifacts in enumerate(rows):
        add(encoder, index, artifacts)
    return encoder.flush(**constants)


def packed(store, blobs, *streams):
    """The packs of some streams, opened."""
    return [Pack.open(store, RUN.pack(write_pack(store, RUN, "train", str(n), part))) for n, part in enumerate(merge(streams))]


def schema_of(stream):
    return {field.name: str(field.type) for field in pa.ipc.open_stream(stream).schema if not field.name.startswith("__")}


# --- the worker's side


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, 2, -(2**63)], "int64"),
        ([1.5, float("nan"), float("-inf"), -0.0], "double"),
        ([True, False], "bool"),
        (["a", "é", ""], "string"),
        ([b"a", b""], "binary"),
        ([None, None], "null"),
        ([1, None, 3], "int64"),
        ([None, float("nan")], "double"),
        ([np.float64(1.5), None, np.float64("nan")], "double"),
        ([np.float32(1.5)], "float"),
        ([np.int32(3)], "int32"),
        ([np.bool_(True)], "bool"),
        ([1, 2.0], "struct"),
        ([1, True], "struct"),
        ([1, "1"], "struct"),
        ([1.0, np.float64(1.0)], "struct"),
        ([1, 2**63], "struct"),
        ([2**70], "struct"),
        ([[1], [2]], "struct"),
        ([(1,), {2}, None], "struct"),
        (["\ud800", "a"], "struct"),
        (["x" * 50_000, "short"], "struct"),
        ([float("nan"), 1], "struct"),
        ([np.int8(3)], "struct"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_values_come_back_with_their_exact_type_from_a_native_or_a_described_column(store, blobs, values, column):
    stream = flushed(blobs, [{"x": value} for value in values])

    (pack,) = packed(store, blobs, stream)

    assert schema_of(stream)["x"].partition("<")[0] == column
    again = [pack.value(position, "x", blobs.load) for position in range(len(pack))]
    described = [blobs.load(pack.artifact(position, "x"), "x") for position in range(len(pack))]
    assert same(again, values) and same(described, values)


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.lists(st.integers()),
    st.tuples(st.text()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), _values), min_size=1, max_size=6))
def test_any_rows_come_back(rows):
    store = RemoteStore(f"memory://{uuid.uuid4().hex}")
    blobs = Blobs(store, "Flow", "1")

    (pack,) = packed(store, blobs, flushed(blobs, rows))

    again = [{name: blobs.load(artifact) for name, artifact in pack.row(position).artifacts.items()} for position in range(len(pack))]
    assert all(same(dict(sorted(a.items())), dict(sorted(b.items()))) for a, b in zip(again, rows, strict=True))


def test_a_name_that_some_rows_lack_is_missing_there_and_none_is_a_value(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"a": 1}, {"b": None}, {"a": None, "b": 2}, {}]))

    assert [sorted(pack.row(position).artifacts) for position in range(4)] == [["a"], ["b"], ["a", "b"], []]
    assert (pack.artifact(1, "a"), pack.value(1, "b", blobs.load), pack.artifact(0, "other")) == (None, None, None)
    for position, name in ((1, "a"), (0, "other")):
        with pytest.raises(KeyError):
            pack.value(position, name, blobs.load)


def test_a_value_that_changes_after_it_was_added_is_stored_as_it_was(store, blobs):
    encoder = RowsEncoder(blobs.put)
    value, array = [1], np.zeros(3)
    add(encoder, 0, {"x": value, "a": array})
    value.append(2)
    array[0] = 9

    (pack,) = packed(store, blobs, encoder.flush())

    assert (pack.value(0, "x", blobs.load), pack.value(0, "a", blobs.load).tolist()) == ([1], [0.0, 0.0, 0.0])


def test_a_value_under_two_names_is_encoded_once_a_row(blobs):
    put = []
    encoder = RowsEncoder(lambda name, value: put.append(name) or blobs.put(name, value))
    value = [1]

    for index in range(2):
        add(encoder, index, {"x": value, "items": value, "equal": [1]})
        value.append(2)

    assert put == ["x", "equal", "x", "equal"]


def test_a_failure_leaves_no_half_row(store, blobs):
    encoder = RowsEncoder(blobs.put)
    add(encoder, 0, {"x": 1})
    for artifacts in ({"y": 1, "x": (n for n in "")}, {"__index": 3, "z": 1}):
        with pytest.raises(ArtifactUnserializable):
            add(encoder, 1, artifacts)
    add(encoder, 2, {"x": 3})

    stream = encoder.flush()

    assert schema_of(stream) == {"x": "int64"}
    (pack,) = packed(store, blobs, stream)
    assert pack.table(["__index", "x"]).to_pydict() == {"__index": [0, 2], "x": [1, 3]}


def test_references_to_artifacts_stored_elsewhere_are_carried(store, blobs):
    reference = Artifact("npy", "numpy.ndarray", 99, "an array", blob="abc.npy", digest="abc", run="7")

    (pack,) = packed(store, blobs, flushed(blobs, [{"x": reference}, {"x": 1}]))

    assert (pack.artifact(0, "x"), pack.value(1, "x", blobs.load)) == (reference, 1)


def test_large_values_are_blobs_and_small_ones_lie_in_the_pack(store, blobs):
    array = np.arange(10_000)

    (pack,) = packed(store, blobs, flushed(blobs, [{"x": array, "y": array[:5]}]))

    assert (pack.artifact(0, "x").inline, pack.artifact(0, "y").blob) == (None, None)
    assert np.array_equal(pack.value(0, "x", blobs.load), array)


def test_a_flush_empties_the_encoder_and_its_estimate_follows(blobs):
    encoder = RowsEncoder(blobs.put)
    estimates = [encoder.nbytes]
    for index in range(100):
        add(encoder, index, {"x": "y" * 1000})
    estimates.append(encoder.nbytes)
    stream = encoder.flush()
    estimates.append(encoder.nbytes)

    assert (estimates[0], estimates[2], len(encoder)) == (0, 0, 0)
    assert 0.5 < estimates[1] / len(stream) < 2
    assert merge([encoder.flush()]) == []


# --- the record of an attempt


def test_a_row_comes_back_whole(store, blobs):
    encoder = RowsEncoder(blobs.put)
    encoder.add(7, 2, STARTED, 1.25, Status.CAUGHT, 12345, 10, 20, 30, 40, {"x": 1})
    encoder.add(8, 0, STARTED + 1, 0.5, Status.OK, 0, 20, 20, 40, 40, {})

    (pack,) = packed(store, blobs, encoder.flush(pid=77, node="host-1", log="train/w3"))

    x = Artifact("json", "int", 1, "1", inline=b"1")
    first = Row(Status.CAUGHT, 2, STARTED, 1.25, 12345, 77, "host-1", {"x": x}, LogSpan("train/w3", 10, 20, 30, 40))
    second = Row(Status.OK, 0, STARTED + 1, 0.5, 0, 77, "host-1", {}, LogSpan("train/w3", 20, 20, 40, 40))
    assert [pack.row(0), pack.row(1)] == [first, second]
    assert type(pack.row(1).status) is Status


def test_a_row_without_logs_has_none(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{}]))

    assert pack.row(0).logs is None


# --- the driver's side


def test_streams_of_one_schema_share_a_file_and_others_have_their_own(store, blobs):
    ints = [flushed(blobs, [{"x": n}, {"x": n + 1}], pid=n, node=f"n{n}", log=f"train/w{n}") for n in range(3)]
    texts = flushed(blobs, [{"x": "t"}])

    parts = merge([ints[0], texts, ints[1], flushed(blobs, []), ints[2]])

    assert [part.spans for part in parts] == [[(0, 0, 2), (2, 2, 2), (4, 4, 2)], [(1, 0, 1)]]
    assert [part.rows for part in parts] == [6, 1]
    packs = packed(store, blobs, ints[0], texts, ints[1], ints[2])
    assert packs[0].table(["x", "__pid", "__node", "__log"]).to_pydict() == {
        "x": [0, 1, 1, 2, 2, 3],
        "__pid": [0, 0, 1, 1, 2, 2],
        "__node": ["n0", "n0", "n1", "n1", "n2", "n2"],
        "__log": ["train/w0", "train/w0", "train/w1", "train/w1", "train/w2", "train/w2"],
    }


def test_large_batches_stay_batches_of_one_file(store, blobs):
    stream = flushed(blobs, [{"x": n} for n in range(5000)])

    (pack,) = packed(store, blobs, stream, stream)

    assert (len(pack), [pack.value(position, "x", blobs.load) for position in (0, 4999, 5000, 9999)]) == (10_000, [0, 4999, 0, 4999])


def test_nothing_to_merge_gives_no_file():
    assert merge([]) == []


@pytest.mark.parametrize("stream", [b"", b"no arrow at all", b"\xff\xff\xff\xff\x10\x00\x00\x00"])
def test_a_damaged_stream_is_told(stream):
    with pytest.raises(StoreCorrupt, match="worker sent"):
        merge([stream])


def test_one_order_of_names_or_another_gives_one_schema(blobs):
    assert len(merge([flushed(blobs, [{"a": 1, "b": 2}]), flushed(blobs, [{"b": 1, "a": 2}])])) == 1


# --- reading


def write_one(store, blobs, rows):
    (part,) = merge([flushed(blobs, rows)])
    return RUN.pack(write_pack(store, RUN, "train", "0", part))


def test_a_pack_is_opened_once_and_again_when_the_file_changed(tmp_path):
    store = LocalStore(str(tmp_path))
    blobs = Blobs(store, "Flow", "1")
    key = write_one(store, blobs, [{"x": 1}])
    opened = Pack.open(store, key)

    assert Pack.open(LocalStore(str(tmp_path)), key) is opened


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_changed_byte_anywhere_is_damage(tmp_path, size):
    store = LocalStore(str(tmp_path))
    key = write_one(store, Blobs(store, "Flow", "1"), [{"x": n} for n in range(size)])
    path = tmp_path / key
    content = path.read_bytes()

    for at in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(StoreCorrupt, match="train/0-"):
            Pack.open(LocalStore(str(tmp_path)), key)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreCorrupt, match="train/0-"):
        Pack.open(LocalStore(str(tmp_path)), key)


def test_a_pack_can_be_verified_when_asked(store, blobs):
    key = write_one(store, blobs, [{"x": 1}])
    content = store.read(key)
    Pack.open(store, key).verify()

    damaged = Pack(key, bytearray(content[:300]) + bytearray([content[300] ^ 1]) + bytearray(content[301:]))

    with pytest.raises(StoreCorrupt):
        damaged.verify()


def test_a_pack_that_is_gone_is_missing(store):
    with pytest.raises(StoreMissing):
        Pack.open(store, "Flow/runs/1/packs/train/0-00.arrow")


def test_a_table_has_native_columns_as_they_are_and_plain_descriptions_as_values(store, blobs):
    rows = [{"n": 1, "l": [1, 2], "t": (1,), "s": "x"}, {"n": 2, "l": [3], "t": (2,)}]
    (pack,) = packed(store, blobs, flushed(blobs, rows))

    table = pack.table()

    assert table.column_names == ["l", "n", "s", "t"]
    assert table.select(["l", "n", "s"]).to_pydict() == {"l": [[1, 2], [3]], "n": [1, 2], "s": ["x", None]}
    assert [entry["preview"] for entry in table["t"].to_pylist()] == ["(1)", "(2)"]


def test_a_table_of_some_positions_in_their_order(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"n": n, "l": [n]} for n in range(5)]))

    assert pack.table(["l", "n"], [3, 0, 3]).to_pydict() == {"l": [[3], [0], [3]], "n": [3, 0, 3]}
    assert pack.table([], []).num_columns == 0


def test_a_table_of_an_unknown_name_tells_which_there_are(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"n": 1}]))

    with pytest.raises(RayflowNotFound, match="'m'; there are: n"):
        pack.table(["m"])


def test_values_that_no_column_type_holds_stay_descriptions(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"x": 1}, {"x": "one"}]))

    assert [entry["preview"] for entry in pack.table()["x"].to_pylist()] == ["1", "'one'"]


def test_threads_may_share_a_pack(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"x": n, "y": [n]} for n in range(200)]))
    wrong = []

    def read():
        wrong.extend(n for n in range(200) if pack.value(n, "x", blobs.load) != n or pack.value(n, "y", blobs.load) != [n])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_pyarrow_pandas_polars_and_duckdb_read_a_pack_without_rayflow(tmp_path):
    store = LocalStore(str(tmp_path))
    blobs = Blobs(store, "Flow", "1")
    streams = [flushed(blobs, [{"lr": 0.1 * n, "name": f"m{n}", "odd": [n]} for n in range(10)], node=node) for node in ("a", "b")]
    (part,) = merge(streams)
    path = str(tmp_path / RUN.pack(write_pack(store, RUN, "train", "0", part)))

    rows = duckdb.from_arrow(pa.ipc.open_file(path).read_all())
    read = [
        pd.read_feather(path)["name"][11],
        pl.read_ipc(path)["name"][11],
        rows.query("rows", "select name from rows where __node = 'b' and lr = 0.1").fetchall()[0][0],
        rows.query("rows", "select count(*) from rows where odd.codec = 'json'").fetchall()[0][0],
    ]

    assert read == ["m1", "m1", "m1", 20]


def test_the_order_of_artifacts_in_a_row_is_that_of_their_names(store, blobs):
    (pack,) = packed(store, blobs, flushed(blobs, [{"b": 1, "a": 2}]))

    assert list(replace(pack.row(0)).artifacts) == ["a", "b"]
