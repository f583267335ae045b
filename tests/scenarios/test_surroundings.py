"""The process as a task finds it, and `current`."""

from __future__ import annotations

import os

import pytest

from rayflow import current, default_namespace
from rayflow.model.errors import RayflowTaggingError
from scenarios.conftest import by_address
from scenarios.flows import surroundings
from scenarios.playing import cannot


def test_what_a_task_does_to_its_process_the_next_does_not_find(play, monkeypatch):
    monkeypatch.setenv("HOME", "/tmp")
    before = (dict(os.environ), os.getcwd())

    played = play(surroundings.Leaks)

    start = played.run["start"].task.data.found
    found = [start, *played.data.found, played.data.last]
    assert [each for each in found if each != start] == []
    assert (start["left"], start["cwd"], start["stdout"], start["home"] is not None) == (None, os.getcwd(), (False, False), True)
    assert {task.index: task.stdout for task in played.run["body"]} == {i: f"hello {i}\n" for i in range(40)}
    assert played.run["end"].task.stdout == "the end\n"
    assert (dict(os.environ), os.getcwd()) == before


@cannot("inline", "the flow's module is imported already, in the test's own process")
def test_an_environment_is_there_before_the_module_is_imported_and_does_not_leak(play):
    data = play(surroundings.Environment).data

    assert (data.before, data.at_import, data.now) == ((None, None), "high", ("high", "5"))
    assert (data.got, data.after, data.last) == ({("low", "low", None)}, None, (None, None))


@cannot("inline", "there is no cluster")
@cannot("process", "there is no cluster")
def test_so_it_is_on_a_cluster_that_is_joined(play, executor):
    play.always = by_address(executor)

    data = play(surroundings.Environment).data

    assert (data.at_import, data.now, data.got) == ("high", ("high", "5"), {("low", "low", None)})


@cannot("process", "it imports the module anew: the scenario above")
@cannot("ray", "it imports the module anew: the scenario above")
def test_an_environment_is_set_for_its_step_alone_within_one_process(play):
    data = play(surroundings.Environment).data

    assert (data.before, data.now, data.got, data.last) == ((None, None), ("high", "5"), {(None, "low", None)}, (None, None))


@cannot("inline", "all tasks are performed by the test's own process")
def test_an_isolated_step_gets_a_process_for_each_task(play):
    got = play(surroundings.Isolated).data.got

    assert ([loads for loads, _ in got], len({pid for _, pid in got})) == ([1, 1, 1], 3)


def test_the_client_looks_where_the_run_is(play, client_session):
    data = play(surroundings.Looks).data

    assert (data.seen, data.told) == (7, "7")


@pytest.mark.parametrize(("given", "expected"), [(None, "user:ada"), ("user:bob", "user:bob"), ("", None)])
def test_the_client_sees_in_a_task_what_the_run_says(play, client_session, given, expected):
    default_namespace()

    played = play(surroundings.Namespaced, namespace=given)

    assert played.run["start"].task.data.seen == (expected, expected)


def test_a_tag_that_cannot_be_is_refused_before_the_run(play):
    with pytest.raises(RayflowTaggingError, match="at most 500 characters"):
        play(surroundings.Namespaced, tags=("x" * 501,))


def test_current_knows_the_task(play):
    played = play(surroundings.Current, tags=("t",))
    run_id = played.run.id

    def about(step, task_id):
        return {
            "is_running_flow": True,
            "flow_name": "Current",
            "run_id": run_id,
            "step_name": step,
            "task_id": task_id,
            "pathspec": f"Current/{run_id}/{step}/{task_id}",
            "retry_count": 0,
            "origin_run_id": None,
            "namespace": "user:ada",
            "username": "ada",
            "tags": {"t"},
        }

    join = played.run["join"].task
    assert join.data.seen == [about("body", task.id) for task in played.tasks("body")]
    assert (join.data.lone, join.data.start_lone) == (about("join", join.id), about("start", played.run["start"].task.id))
    assert (join.data.run_object.pathspec, join.data.steps) == (f"Current/{run_id}", ["body", "end", "join", "start"])
    assert (played.data.unknown, played.data.got) == (False, (1, True, False))
    assert (current.is_running_flow, current.run_id) == (False, None)


def test_temporary_files_belong_where_the_setting_says(play, tmp_path, monkeypatch):
    unsaid = play(surroundings.Temporary).data.where
    monkeypatch.setenv("RAYFLOW_TEMPDIR", str(tmp_path))

    assert (unsaid, play(surroundings.Temporary).data.where) == (".", str(tmp_path))
