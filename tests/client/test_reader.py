import pytest

from rayflow.client import StoreReader
from rayflow.model.errors import StoreMissing
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Segment
from tests.client.building import T0, RunBuilder
from tests.client.flows import Sweep


@pytest.fixture
def run(store):
    return RunBuilder(store, Sweep)


def reader_of(run):
    return StoreReader(run.store, run.flow, run.record.run_id)


def test_rows_in_the_record_and_in_packs_read_alike(run):
    lone = run.lone("start", x=1, big="y" * 50_000)
    packed = run.packed("train", "start", IndexSet.of([2, 7, 4]), [{"x": n, "s": {n}} for n in (2, 7, 4)])
    reader = reader_of(run)

    assert [reader.value(lone, 0, "x"), reader.value(packed, 7, "x"), reader.value(packed, 4, "s"), len(reader.value(lone, 0, "big"))] == [
        1, 7, {4}, 50_000,
    ]  # fmt: skip
    assert [reader.names(lone, 0), reader.names(packed, 2), reader.artifact(packed, 2, "no"), reader.artifact(lone, 0, "no")] == [
        ["x", "big"], ["s", "x"], None, None,
    ]  # fmt: skip
    artifact = reader.artifact(packed, 7, "s")
    assert (reader.load(artifact, packed.run), reader.row(packed, 7).started_us, reader.row(lone, 0).artifacts["x"].type) == (
        {7}, T0 + 7_000_000, "int",
    )  # fmt: skip


def test_a_value_that_the_row_did_not_store_is_a_key_error(run):
    lone = run.lone("start", x=1)
    packed = run.packed("train", "start", IndexSet.span(0, 2), [{"x": 1}, {"y": 2}])
    reader = reader_of(run)

    for segment, index, name in ((lone, 0, "no"), (packed, 0, "no"), (packed, 0, "y")):
        with pytest.raises(KeyError):
            reader.value(segment, index, name)


def test_an_index_of_another_segment_is_a_value_error(run):
    lone = run.lone("start", x=1)
    packed = run.packed("train", "start", IndexSet.of([5, 1, 9]), [{}] * 3)
    part = packed.part(IndexSet.of([9]))
    reader = reader_of(run)

    for segment, index in ((lone, 3), (packed, 2), (part, 5)):
        with pytest.raises(ValueError):
            reader.row(segment, index)
    assert reader.pack_position(part, 9) == 2


def test_values_do_not_share_what_a_caller_changes(run):
    lone = run.lone("start", items=[1])
    reader = reader_of(run)
    reader.value(lone, 0, "items").append(2)

    assert reader.value(lone, 0, "items") == [1]


def test_artifacts_of_another_run_are_read_from_there(run):
    other = RunBuilder(run.store, Sweep, str(T0 + 1))
    lone = other.lone("start", big="y" * 50_000)

    assert len(reader_of(run).value(lone, 0, "big")) == 50_000


def test_few_packs_stay_open(run):
    packs = [run.packed("train", "start", IndexSet.single(n), [{"x": n}]) for n in range(40)]
    reader = reader_of(run)

    assert ([reader.value(segment, n, "x") for n, segment in enumerate(packs)], len(reader._packs)) == (list(range(40)), 16)


def test_scattered_indices_of_many_segments_are_found(run):
    segments = [run.packed("train", "start", IndexSet.of([n, n + 100, n + 150]), [{"x": k} for k in (1, 2, 3)]) for n in range(40)]
    reader = reader_of(run)

    assert [reader.value(segment, n + 150, "x") for n, segment in enumerate(segments)] == [3] * 40


def test_a_missing_pack_is_named(run):
    lost = Segment("train", IndexSet.span(0, 1), run=run.record.run_id, pack="train/0001-gone.arrow")

    with pytest.raises(StoreMissing, match=r"train/0001-gone\.arrow"):
        reader_of(run).row(lost, 0)
