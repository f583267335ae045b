"""num_parallel: the nodes of a gang run at the same time, and are done together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayflow.client import Step, Task, metadata, namespace
from rayflow.flow.definition import define
from rayflow.runtime.launch import Settings, resume_flow
from scenarios.flows import gangs
from scenarios.playing import Recorder, cannot, not_on_buckets

pytestmark = pytest.mark.usefixtures("client_session")

together = cannot("inline", "it has one process, where nodes run one after another")
survives = cannot("inline", "it has one process, which ends")


@together
def test_the_nodes_of_a_gang_run_at_the_same_time_even_if_there_are_more_than_cpus(play, tmp_path):
    data = play(gangs.Gang, nodes=4, place=str(tmp_path / "place")).data

    assert data.shards == [[0, 4, 8], [1, 5, 9], [2, 6], [3, 7]]


def test_each_node_knows_its_place(play, executor):
    played = play(gangs.Gang)

    assert played.data.told == [(address_of(executor), 3, k, k, k, [(k, None, k)]) for k in range(3)]
    assert (played.data.controls, played.data.attempts, played.data.is_parallel_after) == ([True, False, False], [0, 0, 0], False)


def test_the_client_finds_the_control_task_and_the_others_by_it(play):
    run = play(gangs.Gang).run
    metadata(play.root)
    namespace(None)
    step: Step = run["train"]
    control = step.control_task
    ids = [task.id for task in step][::-1]

    assert ids == [control.id, f"{control.id}_node_1", f"{control.id}_node_2"]
    assert [task.metadata_dict["parallel-world-size"] for task in step] == ["3"] * 3
    assert [task.metadata_dict.get("internal_task_type") for task in step][::-1] == ["control_task", None, None]
    assert [task.pathspec for task in step.control_tasks()] == [control.pathspec]
    second = Task(f"{step.pathspec}/{control.id}_node_1")
    assert (second.index, second.data.shard, second.stdout) == (1, [1, 4, 7], "node 1\n")
    assert [task.id for task in second.parent_tasks] == ["1"] and [task.id for task in run["gather"].task.parent_tasks] == ids
    assert str(int(control.id) + 1) not in step and f"{control.id}_node_3" not in step and f"{control.id}_node_x" not in step


def test_one_process_performs_them_one_after_another_and_says_so(play, executor):
    played = play(gangs.Gang)

    assert any("run one after another" in text for text in played.warnings) == (executor == "inline")


@survives
@pytest.mark.parametrize("how", ["raises", "dies"])
def test_a_node_that_fails_has_the_whole_gang_tried_again(play, tmp_path, how):
    played = play(gangs.Gang, how=how, place=str(tmp_path / "place"))

    assert (played.data.attempts, played.data.shards) == ([1, 1, 1], [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]])
    begun = (tmp_path / "place-begun").read_text().split()
    assert sorted(begun) == [f"{node}.{attempt}" for node in range(3) for attempt in range(2)]
    metadata(play.root)
    namespace(None)
    first = [Task(task.pathspec, attempt=0) for task in played.tasks("train")]
    assert [task.successful for task in first] == [False] * 3
    assert [task.stdout for task in first] == ["node 0\n", "node 1\n", "node 2\n"]
    assert [task.exception is not None for task in first] == [False, how == "raises", False]


@survives
def test_a_gang_that_fails_for_good_fails_the_run_by_the_node_at_fault(play, tmp_path):
    played = play(gangs.Gang, how="raises", until=2, place=str(tmp_path / "place"), fails=True)

    assert (played.failure.message, [task.finished for task in played.tasks("train")]) == ("node 1 stumbles", [False] * 3)


@survives
@pytest.mark.parametrize(("how", "problem"), [("raises", "ValueError"), ("dies", "FailureHandledByCatch")])
def test_a_gang_that_is_caught_goes_on_and_its_control_task_bears_what_happened(play, how, problem):
    data = play(gangs.CaughtGang, how=how).data

    assert (data.problems, data.before) == ([problem, None], ["kept", "kept"])


@survives
def test_a_gang_that_is_caught_without_a_failure_has_nothing_to_bear(play):
    assert play(gangs.CaughtGang, how="").data.problems == [None, None]


@survives
def test_each_node_has_its_own_time(play):
    failure = play(gangs.SlowGang, fails=True).failure

    assert (failure.type.rpartition(".")[2], "1 second" in failure.message) == ("TimeoutException", True)


def test_gangs_in_a_foreach_are_gangs_each(play, executor, tmp_path):
    place = "" if executor == "inline" else str(tmp_path / "place")
    data = play(gangs.GangsInForeach, place=place).data

    outer = list(enumerate([1, 3, 2]))
    assert data.nodes == [[(size, k, [(index, 3, size), (k, None, k)]) for k in range(size)] for index, size in outer]


def test_a_gang_without_a_number_of_nodes_is_none(play):
    failure = play(gangs.Uncalled, fails=True).failure

    assert "has num_parallel=0. Give the number of nodes" in failure.message


def test_a_resume_performs_a_broken_gang_as_a_whole(play, tmp_path):
    breaks, counted = tmp_path / "breaks", tmp_path / "counted"
    breaks.touch()
    play(gangs.BrokenGang, breaks=str(breaks), counted=str(counted), fails=True)
    counted.unlink()
    breaks.unlink()

    resumed = resumed_from(play, gangs.BrokenGang)

    assert (resumed, sorted(counted.read_text().split())) == ("succeeded", ["0", "1", "2", "join"])


def test_a_resume_takes_over_a_gang_that_is_done(play, tmp_path):
    breaks, counted = tmp_path / "breaks", tmp_path / "counted"
    (tmp_path / "breaks-join").touch()
    play(gangs.BrokenGang, breaks=str(breaks), counted=str(counted), fails=True)
    (tmp_path / "breaks-join").unlink()
    counted.unlink()

    assert (resumed_from(play, gangs.BrokenGang), counted.read_text().split()) == ("succeeded", ["join"])


@not_on_buckets("a file is removed")
def test_a_gang_of_which_one_value_is_gone_is_performed_again_and_its_join_is_not(play, tmp_path):
    counted = tmp_path / "counted"
    played = play(gangs.BrokenGang, counted=str(counted))
    (lost,) = [path for path in Path(play.root).glob("BrokenGang/runs/*/blobs/*") if path.read_bytes().startswith(b"\1")]
    lost.unlink()
    counted.unlink()

    outcome = resumed_from(play, gangs.BrokenGang, origin_run_id=played.run.id)

    assert (outcome, sorted(counted.read_text().split())) == ("succeeded", ["0", "1", "2"])


def address_of(executor):
    """Where the first node runs, as the others reach it."""
    if executor != "ray":
        return "127.0.0.1"
    import ray

    return ray.util.get_node_ip_address()


def resumed_from(play, flow_class, **which):
    """How the resume of the newest run, or of the one that is named, ended."""
    settings = Settings(root=play.root, executor=play.executor, user="ada", **play.always)
    return resume_flow(define(flow_class), settings, Recorder(), **which).outcome.value
