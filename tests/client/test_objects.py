import logging
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest

from rayflow.catalog import wire
from rayflow.catalog.reading import drop_ending
from rayflow.client import DataArtifact, Flow, Rayflow, Run, Step, Task, metadata, namespace, open_pathspec
from rayflow.model.errors import RayflowDataMissing, RayflowInvalidPathspec, RayflowNotFound, StoreCorrupt
from rayflow.model.layout import FlowLayout
from rayflow.model.records import FailureKind, Outcome, Status
from rayflow.package.stored import store_package
from tests.client.building import T0, RunBuilder, boom, hello, sweep
from tests.client.flows import Hello, Sweep

HELLO = f"Hello/{T0}"


def test_every_level_is_made_from_its_pathspec(store):
    hello(store)
    specs = {Flow: "Hello", Run: HELLO, Step: f"{HELLO}/start", Task: f"{HELLO}/start/1", DataArtifact: f"{HELLO}/start/1/x"}

    assert [str(cls(spec)) for cls, spec in specs.items()] == [f"{cls.__name__}('{spec}')" for cls, spec in specs.items()]


@pytest.mark.parametrize(
    ("cls", "spec", "form"),
    [
        (Flow, "Hello/1", "FlowName"),
        (Flow, "", "FlowName"),
        (Run, "Hello", "FlowName/RunID"),
        (Run, "Hello/", "FlowName/RunID"),
        (Step, "Hello/1", "FlowName/RunID/StepName"),
        (Task, "Hello/1/start", "FlowName/RunID/StepName/TaskID"),
        (DataArtifact, "Hello/1/start/1", "FlowName/RunID/StepName/TaskID/ArtifactName"),
    ],
)
def test_a_pathspec_of_another_level_is_refused_with_the_right_form(store, cls, spec, form):
    with pytest.raises(RayflowInvalidPathspec, match=rf"Expects {cls.__name__}\('{form}'\)"):
        cls(spec)


@pytest.mark.parametrize(
    ("cls", "spec"),
    [
        (Flow, "Other"),
        (Flow, "not a name"),
        (Run, "Hello/1"),
        (Run, "Hello/..x"),
        (Step, f"{HELLO}/nope"),
        (Task, f"{HELLO}/start/2"),
        (Task, f"{HELLO}/start/x"),
        (Task, f"{HELLO}/_parameters/1"),
        (DataArtifact, f"{HELLO}/start/1/nope"),
        (DataArtifact, f"{HELLO}/start/9/x"),
    ],
)
def test_what_does_not_exist_is_named(store, cls, spec):
    hello(store)

    with pytest.raises(RayflowNotFound) as caught:
        cls(spec)

    assert str(caught.value) == f"{cls.__name__}('{spec}') does not exist under {store.url}."


def test_the_level_that_is_missing_is_the_one_named(store):
    hello(store)

    with pytest.raises(RayflowNotFound, match=r"^Run\('Hello/1'\) does not exist"):
        Step("Hello/1/start")


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (-1, "can only be non-negative"),
        ("a", "can only be an integer"),
        (True, "can only be an integer"),
        (6, "can only be smaller than 6"),
    ],
)
def test_an_attempt_out_of_range_is_refused(store, attempt, message):
    with pytest.raises(RayflowNotFound, match=message):
        Task(f"{HELLO}/start/1", attempt=attempt)


def test_only_tasks_and_artifacts_have_attempts(store):
    with pytest.raises(RayflowNotFound, match="Attempts can only be specified for Task and DataArtifact"):
        Run(HELLO, attempt=0)


def test_containers_give_the_newest_first(store):
    sweep(store)
    hello(store, str(T0 + 5))
    hello(store, str(T0 + 3))

    found = ([flow.id for flow in Rayflow()], [run.id for run in Flow("Hello")], [task.id for task in Run(f"Sweep/{T0}")["train"]])

    assert found == (["Hello", "Sweep"], [str(T0 + 5), str(T0 + 3)], ["103", "102", "101", "100"])


def test_containers_are_indexed_by_id(store):
    hello(store)

    assert Rayflow()["Hello"][str(T0)]["start"]["1"]["x"].data == 1


def test_a_container_without_the_id_raises_key_error(store):
    run = hello(store)
    task = Run(run.layout.flow + "/" + run.layout.run)["start"]["1"]

    for container, name in ((Rayflow(), "No"), (Flow("Hello"), "1"), (Flow("Hello"), "../x"), (task.parent.parent, "no"), (task, "no")):
        with pytest.raises(KeyError, match=name):
            container[name]


def test_containers_tell_what_they_hold(store):
    hello(store)
    run = Run(HELLO)

    assert ["start" in run, "no" in run, "1" in run["start"], "x" in run["start"].task, 3 in run, "Hello" in Rayflow()] == [
        True, False, True, True, False, True,
    ]  # fmt: skip


def test_steps_that_were_not_reached_do_not_exist(store):
    RunBuilder(store, Hello).lone("start", x=1)

    assert [step.id for step in Run(HELLO)] == ["start"] and "end" not in Run(HELLO)


def test_tags_filter_at_every_level(store):
    hello(store, tags=("good",))
    run = next(Flow("Hello").runs("good", "runtime:dev"))

    assert [list(Flow("Hello").runs("bad")), [step.id for step in run.steps("good")], list(run["start"].tasks("bad"))] == [
        [], ["end", "start"], [],
    ]  # fmt: skip


def test_tags_are_those_of_the_run_at_every_level_below_it(store):
    hello(store, tags=("good",))
    task = Task(f"{HELLO}/start/1")

    assert (task.user_tags, "runtime:dev" in task["x"].system_tags, task.tags == Run(HELLO).tags, Flow("Hello").tags) == (
        frozenset({"good"}), True, True, frozenset(),
    )  # fmt: skip


def test_objects_know_their_place(store):
    hello(store)
    artifact = DataArtifact(f"{HELLO}/start/1/x")
    parents = [artifact.parent, artifact.parent.parent, artifact.parent.parent.parent, artifact.parent.parent.parent.parent]

    assert [parent.pathspec for parent in parents] == [f"{HELLO}/start/1", f"{HELLO}/start", HELLO, "Hello"]
    assert (parents[-1].parent, artifact.id, artifact.path_components) == (None, "x", ["Hello", str(T0), "start", "1", "x"])


def test_objects_pickle_as_references_with_their_root_and_namespace(store, tmp_path):
    hello(store)
    text = pickle.dumps([Run(HELLO), Task(f"{HELLO}/start/1", attempt=0)])
    namespace("user:bob")
    (tmp_path / "other").mkdir()
    metadata(str(tmp_path / "other"))

    run, task = pickle.loads(text)

    assert (run["end"].task.data.y, repr(task), len(text) < 500) == ([2, 3], f"Task('{HELLO}/start/1', attempt=0)", True)


def test_equal_references_are_equal(store):
    hello(store)

    assert len({Run(HELLO), Run(HELLO), Flow("Hello")[str(T0)], Flow("Hello")}) == 2


def test_a_program_opens_an_object_without_the_namespace(store):
    hello(store)
    namespace("user:bob")

    assert [str(open_pathspec(store.url, spec)) for spec in (HELLO, f"{HELLO}/start/1")] == [f"Run('{HELLO}')", f"Task('{HELLO}/start/1')"]


def test_a_program_that_opens_no_pathspec_is_told_the_forms(store):
    with pytest.raises(RayflowInvalidPathspec, match="Expects Flow, Flow/run"):
        open_pathspec(store.url, "a//b")


def test_a_finished_run_says_so(store):
    hello(store)
    run = Run(HELLO)

    assert (run.state, run.successful, run.finished, run.data.y, str(run.end_task)) == (
        "succeeded", True, True, [2, 3], f"Task('{HELLO}/end/2')",
    )  # fmt: skip
    assert (run.created_at, run.finished_at, run.ended_at) == tuple(datetime.fromtimestamp(T0 / 1e6 + later) for later in (0, 6, 60))


def test_a_running_run_is_followed(store):
    run = RunBuilder(store, Hello)
    run.lone("start", x=1)
    seen = Run(HELLO)
    with run.driven():
        before = (seen.state, seen.finished, seen.end_task, seen.data, seen.finished_at, seen.ended_at)
    run.lone("end", "start", y=1)
    run.end()

    assert before == ("running", False, None, None, None, None)
    assert (Run(HELLO).state, Run(HELLO).finished) == ("succeeded", True)


def test_an_object_sees_the_end_of_its_run_without_being_made_again(store):
    run = RunBuilder(store, Hello)
    seen = Run(HELLO)
    assert not seen.finished
    run.lone("end", y=1)
    run.end()
    time.sleep(0.12)  # two looks are 0.1 s apart

    assert seen.finished


def test_a_failed_run_is_failed(store):
    run = RunBuilder(store, Hello)
    run.failed("start")
    run.end(Outcome.FAILED)

    assert (Run(HELLO).state, Run(HELLO).finished, Run(HELLO).successful, Run(HELLO).status) == ("failed", False, False, "failed")


def test_a_run_whose_driver_died_is_in_an_unknown_state(store):
    run = RunBuilder(store, Hello)
    owner = wire.loads(store.read(run.layout.epoch(1)))
    store.write(run.layout.epoch(1), [wire.dumps({**owner, "pid": 2**22 + 1})])

    assert Run(HELLO).state == "unknown"


def test_a_run_that_goes_on_after_its_end_is_read_again(store):
    run = RunBuilder(store, Hello)
    run.failed("start")
    run.end(Outcome.FAILED)
    first = Run(HELLO).state
    drop_ending(store, run.layout)
    run.lone("start", x=5)
    run.lone("end", "start")
    run.end()

    assert (first, Run(HELLO).state, Run(HELLO).data.x) == ("failed", "succeeded", 5)


def test_a_caught_end_is_finished_but_not_successful(store):
    run = RunBuilder(store, Hello)
    run.lone("end", status=Status.CAUGHT, failure=boom())
    run.end()
    task = Run(HELLO).end_task

    assert (Run(HELLO).successful, Run(HELLO).finished, task.successful, task.exception) == (False, True, False, None)
    assert str(task["_catch_exception"].data).endswith("ValueError: boom\n")


def test_latest_runs_are_found(store):
    hello(store)
    failed = RunBuilder(store, Hello, str(T0 + 1))
    failed.failed("start")
    failed.end(Outcome.FAILED)
    flow = Flow("Hello")

    assert (flow.latest_run.id, flow.latest_successful_run.id, flow.created_at) == (
        str(T0 + 1), str(T0), datetime.fromtimestamp(T0 / 1e6),
    )  # fmt: skip


def test_a_run_without_an_index_entry_is_found_in_its_place(store):
    for offset in (1, 2, 3):
        hello(store, str(T0 + offset))
    for key in list(store.list("Hello/index")):
        if str(T0 + 2) in key:
            store.delete(key)

    assert [run.id for run in Flow("Hello")] == [str(T0 + offset) for offset in (3, 2, 1)]


def test_an_index_entry_of_a_run_that_is_gone_is_passed_over(store):
    hello(store)
    hello(store, str(T0 + 1))
    for key in list(store.list(f"Hello/runs/{T0 + 1}")):
        store.delete(key)

    assert Flow("Hello").latest_run.id == str(T0)


def test_one_damaged_run_hides_no_other(store, caplog):
    hello(store)
    damaged = hello(store, str(T0 + 1))
    store.write(damaged.layout.record, [b"{"])

    with caplog.at_level(logging.WARNING):
        found = [run.id for run in Flow("Hello")]

    assert found == [str(T0)] and f"Run('Hello/{T0 + 1}') is left out: The record of run {T0 + 1} is damaged" in caplog.text


def test_a_damaged_end_hides_no_other_successful_run(store):
    hello(store)
    damaged = hello(store, str(T0 + 1))
    store.write(damaged.layout.end, [b"{"])

    assert Flow("Hello").latest_successful_run.id == str(T0)


def test_a_damaged_run_is_named_when_it_is_asked_for(store):
    damaged = hello(store)
    store.write(damaged.layout.end, [b"{"])

    with pytest.raises(StoreCorrupt, match=f"The end record of run {T0} is damaged"):
        Run(HELLO).state


def test_a_resumed_run_tells_what_it_took_over(store):
    origin = hello(store)
    resumed = RunBuilder(store, Hello, str(T0 + 9), origin=str(T0))
    taken = resumed.commit(origin.lone("start", x=1))
    resumed.lone("end", "start")
    run = Run(f"Hello/{T0 + 9}")
    start, end = run["start"].task, run["end"].task

    assert taken.run == str(T0)
    assert [each.origin_pathspec for each in (run, run["start"], run["end"], start, end, Run(HELLO))] == [
        HELLO, f"{HELLO}/start", None, f"{HELLO}/start/1", None, None,
    ]  # fmt: skip
    facts = start.metadata_dict
    assert [facts.get("origin-run-id"), facts.get("origin-task-id"), end.metadata_dict.get("origin-task-id")] == [str(T0), "1", None]
    assert (start.data.x, Run(HELLO)["start"].task.metadata_dict["origin-run-id"]) == (1, "None")


def test_code_is_none_where_no_package_was_stored(store):
    hello(store)

    assert (Run(HELLO).code, Task(f"{HELLO}/start/1").code, Run(HELLO).trigger) == (None, None, None)


def _packaged(store, **files):
    import io
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    hello(store, code=store_package(store, "Hello", content.getvalue()), script="dir/flow.py")
    return Run(HELLO).code


def test_code_gives_the_source_and_its_files(store):
    code = _packaged(store, flow__py="print(1)", INFO='{"a": 1}')

    with code.extract() as directory:
        extracted = open(f"{directory}/flow.py").read()

    assert (code.flowspec, code.script_name, code.info, extracted, code.tarball.getnames()) == (
        "print(1)", "flow.py", {"a": 1}, "print(1)", ["flow.py", "INFO"],
    )  # fmt: skip
    assert (f"{store.url}/{next(iter(store.list('Hello/code')))}", str(code)) == (code.path, "<RayflowCode: flow.py>")


def test_code_without_the_flow_says_so(store):
    code = _packaged(store, other__py="")

    with pytest.raises(RayflowDataMissing, match=r"The code package .*zip has no file flow.py"):
        code.flowspec
    assert code.info == {}


def test_a_damaged_package_is_named(store):
    store.write(FlowLayout("Hello").code("abc"), [b"no zip"])
    hello(store, code="abc")

    with pytest.raises(StoreCorrupt, match=r"The code package Hello/code/abc.zip is damaged"):
        Run(HELLO).code.flowspec


def test_steps_know_their_neighbours(store):
    sweep(store)
    run = Run(f"Sweep/{T0}")

    assert [[step.id for step in steps] for steps in (run["start"].parent_steps, run["start"].child_steps, run["end"].child_steps)] == [
        [], ["train"], [],
    ]  # fmt: skip


def test_a_step_that_did_not_run_is_listed_as_a_child_and_not_found_when_used(store):
    RunBuilder(store, Hello).lone("start")
    (end,) = Run(HELLO)["start"].child_steps

    with pytest.raises(RayflowNotFound, match=rf"Step\('{HELLO}/end'\) does not exist"):
        end.task


def test_a_step_spans_its_tasks(store):
    sweep(store)
    step = Run(f"Sweep/{T0}")["train"]

    assert (step.created_at, step.finished_at, Run(f"Sweep/{T0}")["choose"].finished_at) == tuple(
        datetime.fromtimestamp(T0 / 1e6 + later) for later in (0, 3.5, 21)
    )


def test_environment_info_is_what_the_run_recorded(store):
    hello(store, facts={"host": "here"})

    assert (Run(HELLO)["start"].environment_info, Task(f"{HELLO}/start/1").environment_info) == ({"host": "here"}, {"host": "here"})


def test_a_failure_that_left_no_exception_gives_none(store):
    run = RunBuilder(store, Hello)
    run.failed("start", failure=replace(boom(), kind=FailureKind.DIED, type="", exit_code=-9))

    assert Task(f"{HELLO}/start/1").exception is None


def test_importing_the_client_loads_no_heavy_library():
    code = "import sys, rayflow.client; print([m for m in ('pyarrow', 'numpy', 'ray', 'fsspec') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_small_artifact_of_a_lone_task_is_read_without_pyarrow(store):
    hello(store)
    code = (
        "import sys; from rayflow.client import *; namespace(None); "
        f"metadata({store.url!r}); v = Flow('Hello').latest_run.data.y; print(v, 'pyarrow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[2, 3] False\n"


def test_completions_are_the_ids(store):
    hello(store)

    assert (Rayflow()._ipython_key_completions_(), Run(HELLO)._ipython_key_completions_()) == (["Hello"], ["end", "start"])


def test_a_run_under_way_shows_its_first_task(store):
    run = RunBuilder(store, Sweep)
    run.launched("start", log="start/w1")
    task = Run(f"Sweep/{T0}")["start"].task

    assert (task.id, task.finished, task.successful, list(task), task.finished_at, task.created_at, task.current_attempt) == (
        "1", False, False, [], None, None, 0,
    )  # fmt: skip


def test_each_thread_has_runs_open_of_its_own(store):
    hello(store)
    run = Run(HELLO)
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(lambda: run._handle).result()

    assert run._handle is run._handle is not theirs
    assert theirs.record.run_id == run.id
