"""Foreaches over the rows of tables and arrays."""

from __future__ import annotations

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rayflow.flow.definition import define
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.testing.flows import opened
from scenarios.flows import rows
from scenarios.playing import Stage


def resumed(flow_class, root, executor, **given):
    """The run that continues the newest one."""
    result = resume_flow(define(flow_class), Settings(root=root, executor=executor, user="ada"), **given)
    assert result.outcome.value == "succeeded"
    return opened(root, result)


def blobs_of(run, root):
    """The names of the files of large artifacts of a run."""
    return sorted(path.name for path in Path(root).glob(f"{run.parent.id}/runs/{run.id}/blobs/*"))


def test_a_foreach_over_a_table_takes_its_rows(play):
    data = play(rows.Kinds).data

    columns = list(rows.COLUMNS)
    records = [dict(zip(columns, row, strict=True)) for row in zip(*rows.COLUMNS.values(), strict=True)]
    assert data.got == {
        "Table": records,
        "RecordBatch": records,
        "polars": records,
        "pandas": [{"n": 1, "s": "a", "o": [1]}, {"n": 2, "s": "b", "o": {"k": 2}}],
        "filtered": [{"n": 1}, {"n": 5}, {"n": 9}],
        "empty": [],
        "large": [{"n": 19_998}, {"n": 19_999}],
        "float32": [0.0, 0.5, 1.0],
        "matrix": [[0, 1], [2, 3], [4, 5]],
    }
    assert (data.types["Table"], data.types["float32"], data.types["matrix"]) == ({"dict"}, {"float32"}, {"ndarray"})


def test_tables_within_the_rows_of_tables(play):
    played = play(rows.Nested)

    outer = [(0, 2, {"name": "ada", "count": 2}), (1, 2, {"name": "bob", "count": 1})]
    inner = [(0, 2, {"part": "ada0"}), (1, 2, {"part": "ada1"}), (0, 1, {"part": "bob0"})]
    assert played.data.got == [({"part": "ada0!"}, 0), ({"part": "ada1!"}, 1), ({"part": "bob0!"}, 0)]
    assert played.data.stacks == [[outer[0], inner[0]], [outer[0], inner[1]], [outer[1], inner[2]]]
    assert played.data.inputs_of == [value for *_, value in outer]
    found = {(task.index, task["_foreach_stack"].data[-1].value) for task in played.tasks("part")}  # in the order of their ends
    assert found == {(0, "{'part': 'ada0'}"), (1, "{'part': 'ada1'}"), (0, "{'part': 'bob0'}")}
    assert played.run["start"].task["_foreach_values"].data == ["{'name': 'ada', 'count': 2}", "{'name': 'bob', 'count': 1}"]


@pytest.mark.parametrize("step", [None, "fan"])
def test_a_resume_finds_the_rows_that_are_left(play, tmp_path, step):
    file = tmp_path / "there"
    play(rows.Resumed, file=str(file), fails=True)
    file.touch()

    run = resumed(rows.Resumed, play.root, play.executor, step=step)

    assert run.data.got == [f"row {n}" for n in range(10)]
    assert blobs_of(run, play.root) == []  # the table is still the origin's


def test_a_table_has_no_more_rows_than_allowed(play):
    failure = play(rows.Resumed, max_num_splits=9, fails=True).failure

    assert "Foreach in step 'fan' yielded 10 child steps" in failure.message


@pytest.mark.parametrize("kind", ["Table", "pandas", "matrix", "range"])
def test_the_sequence_is_the_artifact_which_is_stored_once(tmp_path, kind):
    run = Stage(str(tmp_path), "inline")(rows.Frames, kind=kind).run

    assert len(blobs_of(run, tmp_path)) == (0 if kind == "range" else 1)


@pytest.mark.parametrize(("what", "count"), [("made", 2), ("changed", 2), ("inherited", 1)])
def test_an_inherited_sequence_is_stored_again_only_if_it_was_changed(tmp_path, what, count):
    played = Stage(str(tmp_path), "inline")(rows.Wide, what=what)

    assert played.data.got == [number + (what == "made" or (what == "changed" and number == 0)) for number in range(12)]
    assert len(blobs_of(played.run, tmp_path)) == count


@pytest.fixture
def fetched(monkeypatch):
    """The sizes of blobs that are read from a bucket."""
    sizes: list[int] = []
    cat_file = MemoryFileSystem.cat_file

    def noted(self, path, start=None, end=None, **options):
        content = cat_file(self, path, start=start, end=end, **options)
        if "/blobs/" in path:
            sizes.append(len(content))
        return content

    monkeypatch.setattr(MemoryFileSystem, "cat_file", noted)
    return sizes


PART = (4 << 20) + 128


@pytest.mark.parametrize("what", ["made", "inherited"])
def test_from_a_bucket_the_parts_of_a_sequence_are_read_that_the_rows_lie_in(fetched, tmp_path, what):
    root, file = f"memory://{tmp_path.name}{what}/root", tmp_path / "there"
    stage = Stage(root, "inline")

    whole = stage(rows.Wide, what="inherited")
    assert whole.data.got == list(range(12))
    assert [size <= PART for size in fetched] == [False, True, True, True]  # the step that fans out loads it, the rows take parts

    stage(rows.Wide, what=what, file=str(file), fails=True)
    file.touch()
    fetched.clear()
    run = resumed(rows.Wide, root, "inline")
    assert (len(fetched), max(fetched) <= PART, run.data.got) == (1, True, [number + (what == "made") for number in range(12)])

    fetched.clear()
    assert run["body"].task["_foreach_stack"].data[-1].value.startswith("[")
    assert (len(fetched), max(fetched) <= PART) == (1, True)
