from __future__ import annotations

import pickle

import pytest

from rayflow.flow.current import Current, RunContext, TaskContext, current

NAMES = (
    "is_running_flow flow_name run_id step_name task_id pathspec retry_count origin_run_id namespace username tags parameter_names "
    "tempdir task run"
).split()


def run_context(**given):
    return RunContext(
        **{
            "flow_name": "F",
            "run_id": "7",
            "origin_run_id": "6",
            "username": "anna",
            "namespace": "user:anna",
            "tags": frozenset({"t"}),
            "parameter_names": ["alpha"],
            "graph": lambda: {"file": "f.py"},
            "open": lambda pathspec: f"<{pathspec}>",
            "tempdir": lambda: "/tmp",
            **given,
        }
    )


def entered(run, **given):
    here = Current()
    here._enter(TaskContext(**{"run": run, "step_name": "train", "task_id": "3", "retry_count": 1, **given}))
    return here


def values(here):
    return {name: getattr(here, name) for name in NAMES}


def test_in_a_task_everything_is_known():
    here = entered(run_context())

    assert (values(here), here.graph) == (
        {
            "is_running_flow": True,
            "flow_name": "F",
            "run_id": "7",
            "step_name": "train",
            "task_id": "3",
            "pathspec": "F/7/train/3",
            "retry_count": 1,
            "origin_run_id": "6",
            "namespace": "user:anna",
            "username": "anna",
            "tags": {"t"},
            "parameter_names": ["alpha"],
            "tempdir": "/tmp",
            "task": "<F/7/train/3>",
            "run": "<F/7>",
        },
        {"file": "f.py"},
    )


@pytest.mark.parametrize("here", [Current(), pytest.param(entered(run_context()), id="left")])
def test_outside_a_run_everything_is_none_or_false(here):
    here._leave()

    assert values(here) == {**dict.fromkeys(NAMES), "is_running_flow": False, "retry_count": 0}


def test_while_defaults_are_computed_the_flow_is_known_but_not_running():
    here = Current()

    here._enter_run(run_context(extras={"project_name": "p"}))

    assert (here.flow_name, here.project_name, here.is_running_flow, here.pathspec, here.task, here.run) == (
        "F",
        "p",
        False,
        None,
        None,
        None,
    )


def test_a_task_id_may_be_computed_when_somebody_asks():
    assert entered(run_context(), task_id=lambda: "late").pathspec == "F/7/train/late"


def test_extras_of_the_task_win_over_those_of_the_run():
    here = entered(run_context(extras={"a": 1, "b": 1}), extras={"b": 2})

    assert (here.a, here.b) == (1, 2)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"`current` has no attribute 'card'. It may need a decorator"):
        _ = entered(run_context()).card


def test_get_and_in_ask_without_an_error():
    here = entered(run_context(origin_run_id=None))

    assert (here.get("card", "none"), here.get("step_name"), "step_name" in here, "card" in here, "origin_run_id" in here) == (
        "none",
        "train",
        True,
        False,
        False,
    )


def test_the_graph_outside_a_flow_is_a_runtime_error():
    with pytest.raises(RuntimeError, match="outside a flow"):
        _ = Current().graph


def test_without_a_client_there_are_no_client_objects():
    assert entered(run_context(open=None)).task is None


def test_current_pickles_as_the_one_of_the_process():
    assert pickle.loads(pickle.dumps(current)) is current
