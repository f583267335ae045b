"""Large sequences on a bucket: stored in parts, of which those are read that are asked for."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rayflow.client.reader import StoreReader
from rayflow.flow.fanout import elements
from rayflow.model.errors import ArtifactUnserializable, StoreCorrupt
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Artifact, Row, Segment
from rayflow.store.blobs import Blobs
from rayflow.store.local import LocalStore
from rayflow.store.remote import RemoteStore
from rayflow.store.slices import Sliced, Slices

ROWS = 200_000
NUMBERS = np.random.default_rng(1).standard_normal((ROWS, 6))
TEXT = pa.array([f"row {number}" for number in range(ROWS)])
WIDE = pa.table({**{f"x{number}": NUMBERS[:, number] for number in range(6)}, "s": TEXT})
LARGE = {
    "vector": NUMBERS.reshape(-1),
    "matrix": NUMBERS,
    "Fortran order": np.asfortranarray(NUMBERS),
    "float32": NUMBERS.astype("float32").repeat(2, axis=0),
    "Arrow table": WIDE,
    "record batch": WIDE.combine_chunks().to_batches()[0],
    "Arrow array": pa.chunked_array([NUMBERS.reshape(-1)]),
    "pandas": WIDE.to_pandas().set_index(pd.Index(range(ROWS, 0, -1), name="key")),
    "polars": pl.from_arrow(WIDE),
    "list": [f"{number} of many, and all of them of some length" for number in range(ROWS)],
    "tuple": tuple((number, f"{number} of many, and all of them of some length") for number in range(ROWS)),
}
SMALL = {
    "array": np.arange(1000),
    "table": pa.table({"n": range(1000)}),
    "list": list(range(1000)),
    "empty": [],
    "range": range(10**9),
    "text": "x" * (9 << 20),
    "one element": [np.zeros(2_000_000)],
}


class Bucket(RemoteStore):
    """A bucket that notes the size of each object that is read."""

    def __init__(self):
        super().__init__(f"memory://{uuid.uuid4().hex}")
        self.sizes = []

    def read(self, key, start=0, stop=None):
        content = super().read(key, start, stop)
        self.sizes.append(len(content))
        return content


@pytest.fixture
def bucket():
    return Bucket()


def stored(store, value, run="1"):
    """A segment of a task of that run, which stores the value as a foreach step does."""
    blobs = Blobs(store, "Flow", run)
    return Segment("start", IndexSet.single(0), run=run, rows=(Row(artifacts=blobs.put_all({"x": blobs.in_parts("x", value)})),))


def read(store, segment, run="1"):
    """The sequence, as a reader of that run has it."""
    return StoreReader(store, "Flow", run).sequence(segment, 0, "x")


@pytest.mark.parametrize("kind", LARGE)
def test_elements_of_parts_are_those_of_the_whole(bucket, kind):
    value = LARGE[kind]
    expected = elements(value)

    sequence = read(bucket, stored(bucket, value))

    assert isinstance(sequence, Sliced) and len(sequence) == len(value)
    for position in (0, 1, len(value) // 3, len(value) // 2, len(value) - 1):
        found, wanted = sequence[position], expected[position]
        assert (type(found), repr(found), getattr(found, "dtype", None)) == (type(wanted), repr(wanted), getattr(wanted, "dtype", None))
    for outside in (-1, len(value)):
        with pytest.raises(IndexError):
            sequence[outside]


@pytest.mark.parametrize("kind", LARGE)
def test_a_few_neighbours_cost_one_part_which_is_read_once(bucket, kind):
    segment = stored(bucket, LARGE[kind])
    reader = StoreReader(bucket, "Flow", "1")

    middle = len(LARGE[kind]) // 2 + 1000
    for position in range(middle, middle + 10):
        reader.sequence(segment, 0, "x")[position]

    assert len(bucket.sizes) == 1 and bucket.sizes[0] < 6 << 20


@pytest.mark.parametrize("kind", LARGE)
def test_parts_are_of_moderate_size(bucket, kind):
    stored(bucket, LARGE[kind])

    sizes = [len(RemoteStore.read(bucket, key)) for key in bucket.list("Flow")]

    assert len(sizes) > 1 and 256 << 10 < min(sizes) and max(sizes) < 6 << 20


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_small_or_cannot_be_cut_is_stored_as_it_is(bucket, kind):
    blobs = Blobs(bucket, "Flow", "1")

    assert blobs.put("x", blobs.in_parts("x", SMALL[kind])) == blobs.put("y", SMALL[kind])


@pytest.mark.parametrize("kind", ["matrix", "Arrow table", "pandas", "list"])
def test_on_a_disk_it_is_the_artifact_itself(tmp_path, kind):
    store = LocalStore(str(tmp_path))
    blobs, value = Blobs(store, "Flow", "1"), LARGE[kind]

    artifacts = blobs.put_all({"x": value, "items": blobs.in_parts("items", value)})

    assert artifacts["x"] == artifacts["items"]
    assert list(store.list("Flow")) == [blobs.key_of(artifacts["x"])]


def test_only_the_last_parts_are_kept():
    starts = tuple(range(0, 60, 10))
    loaded = []
    parts = tuple(Artifact("json", "list", 0, str(start)) for start in starts)
    sequence = Sliced(Slices(60, starts, parts), lambda part: loaded.append(int(part.preview)) or range(int(part.preview), 60))

    assert [sequence[position] for position in (0, 15, 25, 35, 5, 45, 15, 0, 59)] == [0, 15, 25, 35, 5, 45, 15, 0, 59]
    for outside in (-1, 60):
        with pytest.raises(IndexError):
            sequence[outside]
    assert loaded == [0, 10, 20, 30, 40, 10, 50]


def test_a_resumed_run_finds_the_parts_with_the_run_that_wrote_them(bucket):
    segment = stored(bucket, LARGE["matrix"], run="1")

    assert read(bucket, segment, run="2")[5].tolist() == NUMBERS[5].tolist()


def test_so_does_who_was_handed_the_description_alone(bucket):
    (row,) = stored(bucket, LARGE["matrix"], run="1").rows

    (first, *_) = Blobs(bucket, "Flow", "2").load(row.artifacts["x"]).parts

    assert Blobs(bucket, "Flow", "2").load(first)[5].tolist() == NUMBERS[5].tolist()


def test_damage_of_a_part_is_named(bucket):
    segment = stored(bucket, LARGE["matrix"])
    key = next(iter(bucket.list("Flow")))
    bucket.write(key, [bucket.read(key)[:-1] + b"\xff"])

    with pytest.raises(StoreCorrupt, match=rf"{key} is damaged.*'x'"):
        list(read(bucket, segment))


def test_what_all_elements_have_in_common_is_stored_once(bucket):
    common = np.random.default_rng(1).standard_normal(3_000_000)
    value = [(number, common) for number in range(20)]

    sequence = read(bucket, stored(bucket, value))

    assert sequence[7][0] == 7 and not isinstance(sequence, Sliced)


def test_a_description_of_the_whole_stands_for_what_is_small(bucket):
    blobs = Blobs(bucket, "Flow", "2")
    whole = blobs.put("x", np.arange(10_000)).owned_by("1")

    assert blobs.in_parts("x", np.arange(10_000), whole) is whole
    assert blobs.in_parts("x", LARGE["matrix"], Blobs(bucket, "Flow", "1").put("x", LARGE["matrix"])).codec == "sliced"


def test_an_element_that_cannot_be_stored_is_told_when_the_sequence_is_put(bucket):
    blobs = Blobs(bucket, "Flow", "1")
    value = [(number for number in range(3)), 2]

    assert blobs.in_parts("x", value) is value
    with pytest.raises(ArtifactUnserializable, match="x"):
        blobs.put("x", value)
