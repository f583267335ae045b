import pyarrow as pa
import pytest

from rayflow.client import Run
from rayflow.client.lineage import Lineage
from rayflow.client.tables import NoSuchColumnError, NotAColumnError, table_of_inputs
from rayflow.model.errors import RayflowNotFound
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Taken
from tests.client.building import T0, RunBuilder, sweep
from tests.client.flows import Arms, Loop, Nested, Sweep


def step_of(run, step):
    return Run(f"{run.flow}/{T0}")[step]


def lineage_of(run) -> Lineage:
    return Run(f"{run.flow}/{T0}")._handle.lineage


def test_a_step_is_a_table_with_a_row_per_task_and_a_column_per_artifact(store):
    table = step_of(sweep(store), "train").table()

    assert table.to_pydict() == {
        "index": [0, 1, 2, 3],
        "model": [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}],
        "rate": [0.0, 0.5, 1.0, 1.5],
        "tag": ["t0", "t1", "t2", "t3"],
    }


def test_columns_are_chosen_by_name_in_the_order_given(store):
    table = step_of(sweep(store), "train").table("tag", "rate")

    assert (table.column_names, table.schema.field("rate").type) == (["index", "tag", "rate"], pa.float64())


def test_inherited_artifacts_parameters_and_constants_are_columns_too(store):
    table = step_of(sweep(store), "score").table("score", "rate", "depth", "kind")

    assert table.drop_columns(["index"]).to_pylist() == [
        {"score": n * n, "rate": n / 2, "depth": 7, "kind": "tree"} for n in range(4)
    ]  # fmt: skip


def test_a_value_of_the_task_that_split_is_repeated_for_its_splits(store):
    table = step_of(sweep(store), "score").table("rates")

    assert table["rates"].to_pylist() == [[0.0, 0.5, 1.0, 1.5]] * 4


def test_what_would_be_repeated_beyond_measure_is_refused(store, monkeypatch):
    monkeypatch.setattr("rayflow.client.tables._MAX_REPEATED_NBYTES", 100)

    with pytest.raises(NotAColumnError, match=r"'rates' cannot be a column: 4 tasks share 1 values of \d+ bytes.*task.data.rates"):
        step_of(sweep(store), "score").table("rates")


def test_rows_are_in_index_order_whatever_the_order_of_commits(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [5])
    for part in ([3, 4], [0], [2, 1]):
        run.packed("train", "start", IndexSet.of(part), [{"n": index} for index in part])

    assert step_of(run, "train").table().to_pydict() == {"index": [0, 1, 2, 3, 4], "n": [0, 1, 2, 3, 4]}


def test_a_nested_fan_out_has_a_column_per_foreach(store):
    run = RunBuilder(store, Nested)
    run.foreach("start", [2], top=5)
    run.foreach("outer", [2, 1], "start", first_id=106, middle=6)
    run.packed("inner", "outer", IndexSet.span(0, 3), [{"v": k} for k in range(3)])

    assert step_of(run, "inner").table("v", "middle", "top").to_pydict() == {
        "start.index": [0, 0, 1], "index": [0, 1, 0], "v": [0, 1, 2], "middle": [6, 6, 6], "top": [5, 5, 5],
    }  # fmt: skip


def test_a_lone_task_is_a_table_of_one_row(store):
    run = sweep(store)

    assert step_of(run, "choose").table("best", "depth").to_pydict() == {"best": [3], "depth": [7]}


def test_laps_have_a_column_of_their_own(store):
    run = RunBuilder(store, Loop)
    run.lone("start", x=1)
    for lap in range(3):
        run.lone("again", "start" if lap == 0 else "again", lap=lap, n=lap, taken=Taken(("again" if lap < 2 else "left",)))

    assert step_of(run, "again").table("n", "x").to_pydict() == {"lap": [0, 1, 2], "n": [0, 1, 2], "x": [1, 1, 1]}


def test_tasks_that_lack_an_artifact_have_null(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [3])
    run.packed("train", "start", IndexSet.span(0, 3), [{"a": 1}, {"a": 2, "b": "x"}, {"b": None}])

    assert step_of(run, "train").table("a", "b").to_pydict() == {"index": [0, 1, 2], "a": [1, 2, None], "b": [None, "x", None]}


def test_tasks_that_lack_an_artifact_inherit_it(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [3], a=9)
    run.packed("train", "start", IndexSet.span(0, 3), [{"a": None}, {"a": 2}, {}])

    assert step_of(run, "train").table("a")["a"].to_pylist() == [None, 2, 9]


def test_stored_none_is_not_taken_for_nothing(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [2], a=9)
    run.packed("train", "start", IndexSet.span(0, 2), [{"a": None}, {"a": None}])

    assert step_of(run, "train").table("a")["a"].to_pylist() == [None, None]


def test_numbers_of_different_packs_get_one_type(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [3])
    for index, value in enumerate((1, 2.5, None)):
        run.packed("train", "start", IndexSet.single(index), [{"a": value}])

    assert step_of(run, "train").table("a")["a"].to_pylist() == [1.0, 2.5, None]


def test_reused_parts_of_a_pack_are_read_at_their_rows(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [5])
    segment = RunBuilder(store, Sweep, str(T0 + 1)).packed("train", "start", IndexSet.span(0, 5), [{"n": n} for n in range(5)])
    run.commit(segment.part(IndexSet.of([1, 3, 4])))

    assert step_of(run, "train").table().to_pydict() == {"index": [1, 3, 4], "n": [1, 3, 4]}


def test_an_artifact_that_nobody_has_is_named_with_those_there_are(store):
    run = sweep(store)

    with pytest.raises(NoSuchColumnError) as caught:
        step_of(run, "score").table("scoer")

    assert str(caught.value) == "No task of step score has an artifact 'scoer'. They stored: score."
    assert isinstance(caught.value, KeyError)


def test_values_without_a_common_type_are_refused_when_asked_for(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [2])
    run.packed("train", "start", IndexSet.span(0, 2), [{"a": object, "n": 1}, {"a": {1, 2}, "n": 2}])

    with pytest.raises(NotAColumnError, match=r"'a' of step 'train' \(.+\) cannot be a column: .* Read it task by task: task.data.a"):
        step_of(run, "train").table("a")
    assert step_of(run, "train").table().column_names == ["index", "n"]


def test_packs_with_different_types_are_refused_when_asked_for(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [2])
    run.packed("train", "start", IndexSet.single(0), [{"a": 1}])
    run.packed("train", "start", IndexSet.single(1), [{"a": "x"}])

    with pytest.raises(NotAColumnError, match=r"'a' cannot be a column: its tasks stored values of different types \(int64, string\)"):
        step_of(run, "train").table("a")


def test_a_step_that_was_not_reached_has_no_table(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [2])
    run.packed("train", "start", IndexSet.span(0, 2), [{}, {}])
    (score,) = step_of(run, "train").child_steps

    with pytest.raises(RayflowNotFound, match="score'\\) does not exist"):
        score.table()


def test_the_inputs_of_a_join_are_a_table_in_their_order(store):
    lineage = lineage_of(sweep(store))

    assert table_of_inputs(lineage, lineage.inputs_of("choose", 0), ("score", "rate")).to_pydict() == {
        "score": [0, 1, 4, 9], "rate": [0.0, 0.5, 1.0, 1.5],
    }  # fmt: skip


def test_the_inputs_of_a_join_may_come_through_different_arms(store):
    run = RunBuilder(store, Arms)
    run.foreach("start", [4])
    run.packed("pick", "start", IndexSet.span(0, 4), [{"n": n} for n in range(4)], taken=Taken(("x", "y"), bytes([0, 1, 0, 1])))
    run.packed("x", "pick", IndexSet.of([0, 2]), [{"way": "x"}] * 2)
    run.packed("y", "pick", IndexSet.of([1, 3]), [{"way": "y"}] * 2)
    run.packed("meet", "x", IndexSet.of([0, 2]), [{}] * 2)
    run.packed("meet", "y", IndexSet.of([1, 3]), [{}] * 2)
    lineage = lineage_of(run)

    assert table_of_inputs(lineage, lineage.inputs_of("choose", 0), ("way", "n")).to_pydict() == {
        "way": ["x", "y", "x", "y"], "n": [0, 1, 2, 3],
    }  # fmt: skip


def test_no_inputs_are_a_table_without_rows(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [0])

    assert table_of_inputs(lineage_of(run), [], ("score",)).shape == (0, 1)
