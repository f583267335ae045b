import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayflow.catalog.scope import ancestors, scope_of
from rayflow.catalog.view import StepSegments, view_of
from rayflow.model.indexes import Fanout, IndexSet, TaskKey
from rayflow.model.records import FailedAttempt, Row, Segment
from tests.catalog.building import GRAPH, lone, opened_out, record


def view(*segments, failed=()):
    return view_of(record(), segments, failed)


def inner(*indices: int, lap: int = 0) -> Segment:
    return Segment("inner", IndexSet.of(indices), lap, "outer", pack="inner/x")


def test_frames_tell_the_position_in_every_enclosing_foreach():
    assert view(*opened_out()).frames("outer", 4) == [("start", 0, 1, 2), ("outer", 1, 1, 3)]


def test_an_index_is_projected_to_the_spaces_around_it():
    opened = view(*opened_out())

    assert [opened.project("outer", 4, space) for space in ("outer", "start", "")] == [4, 1, 0]


def test_a_child_that_no_split_opened_is_unknown():
    with pytest.raises(KeyError):
        view(*opened_out()).fanout_of("outer", 6)


def test_task_ids_of_all_tasks_differ_and_lead_back_to_them():
    opened = view(*opened_out(), inner(*range(6)))
    keys = [
        *(TaskKey(name, 0) for name in ("start", "collect", "end")),
        *(TaskKey(name, index) for name in ("outer", "gather") for index in range(2)),
        *(TaskKey("inner", index) for index in range(6)),
    ]

    ids = [opened.task_id(key) for key in keys]

    assert len(set(ids)) == len(keys)
    assert [opened.task_key(key.step, task_id) for key, task_id in zip(keys, ids, strict=True)] == keys


@pytest.mark.parametrize("text", ["", "x", "-1", "1-", "7", "1-x", "999999999999999999999", "²"])
def test_an_id_that_no_task_of_the_step_can_have_leads_nowhere(text):
    assert view(*opened_out()).task_key("collect", text) is None


def test_laps_of_a_task_have_ids_of_their_own():
    opened = view(*opened_out())
    first = opened.task_id(TaskKey("inner", 2))

    assert opened.task_id(TaskKey("inner", 2, 3)) == f"{first}-3"
    assert opened.task_key("inner", f"{first}-3") == TaskKey("inner", 2, 3)


def test_failed_tasks_are_listed_after_those_that_are_done():
    failed = [FailedAttempt(TaskKey("inner", index), Row()) for index in (1, 5)]

    keys = list(view(*opened_out(), inner(0, 1), failed=failed).keys("inner"))

    assert keys == [TaskKey("inner", 0), TaskKey("inner", 1), TaskKey("inner", 5)]


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), st.integers(0, 2)), max_size=12),
    st.integers(0, 60),
)
def test_a_segment_is_found_by_any_of_its_indices(parts, wanted):
    segments = StepSegments()
    for indices, lap in parts:
        segments.add(inner(*indices, lap=lap))

    holding = [lap for indices, lap in parts if wanted in indices]
    found = segments.holding(wanted)

    assert (None if found is None else found.lap) == max(holding, default=None)
    for lap in range(3):
        assert (segments.holding(wanted, lap) is not None) == (lap in holding)
    overlapping = segments.overlapping(IndexSet.single(wanted))
    assert [segment for segment in overlapping if wanted in segment.indices] == [
        segment for segment in segments.all if wanted in segment.indices
    ]


def test_a_step_sees_back_to_the_nearest_join_and_the_foreaches_around_it():
    assert ancestors(GRAPH, "inner") == {"outer", "start"}
    assert ancestors(GRAPH, "gather") == {"inner", "outer", "start"}
    assert ancestors(GRAPH, "end") == {"collect"}


def test_a_scope_holds_what_a_batch_can_reach_and_nothing_else():
    opened = view(*opened_out(), inner(0, 1, 2), inner(3, 4, 5))

    scope = scope_of(opened, "gather", IndexSet.single(1))

    assert [segment.indices.values for segment in scope.segments if segment.step == "inner"] == [range(3, 6)]
    assert {segment.step for segment in scope.segments} == {"start", "outer", "inner"}


def test_what_the_worker_has_is_left_out_of_a_scope():
    scope = scope_of(view(*opened_out()), "inner", IndexSet.span(0, 6), without=frozenset({"start"}))

    assert {segment.step for segment in scope.segments} == {"outer"}
    assert {fanout.step for fanout in scope.fanouts} == {"start", "outer"}


@given(st.sets(st.integers(0, 5), min_size=1))
def test_every_question_that_the_whole_view_answers_about_a_batch_its_scope_answers_too(indices):
    whole = view(*opened_out(), inner(0, 2, 4), inner(1, 3, 5))
    batch = IndexSet.of(sorted(indices))
    scope = scope_of(whole, "inner", batch)
    part = view(*scope.segments)
    for fanout in scope.fanouts:
        part.add_fanout(fanout)

    for index in batch:
        assert part.frames("outer", index) == whole.frames("outer", index)
        parent = whole.project("outer", index, "start")
        assert part.find("outer", parent) == whole.find("outer", parent)


def test_an_empty_fan_out_has_no_children():
    opened = view(lone("start", fanout=Fanout("start", 0, IndexSet.single(0), 0, 100)))

    assert opened.children("start", 0) == range(0)
    assert list(opened.children("start", 7)) == []
