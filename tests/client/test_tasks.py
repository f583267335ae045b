from datetime import datetime, timedelta

import pytest

from rayflow.client import Run, Task
from rayflow.client.logs import _MARK
from rayflow.model.errors import RayflowNotFound, StoreCorrupt, UserError
from rayflow.model.indexes import IndexSet
from rayflow.model.records import FailureKind, LogSpan, Taken
from tests.client.building import T0, RunBuilder, boom, hello, sweep
from tests.client.flows import Arms, Gang, Hello, Loop, Nested, Split, Sweep

HELLO = f"Hello/{T0}"
UTC0 = datetime(1970, 1, 1) + timedelta(microseconds=T0)


def at(seconds):
    return datetime.fromtimestamp(T0 / 1e6 + seconds)


# Artifacts


def test_a_task_shows_what_it_stored_inherited_and_was_given(store):
    sweep(store)
    task = Task(f"Sweep/{T0}/score/107")

    assert {artifact.id: artifact.data for artifact in task if artifact.id != "rates"} == {
        "depth": 7, "kind": "tree", "score": 9, "model": {"n": 3}, "rate": 1.5, "tag": "t3", "name": "Sweep",
    }  # fmt: skip


def test_nothing_passes_a_join_by_itself(store):
    sweep(store)

    assert [name for name in ("best", "score", "rates", "depth") if name in Task(f"Sweep/{T0}/end/3")] == ["best", "depth"]


def test_data_gives_artifacts_as_attributes(store):
    hello(store)
    data = Task(f"{HELLO}/end/2").data

    assert (data.x, data.word, "y" in data, "nope" in data, "_success" in data, str(data)) == (
        1, "one", True, False, False, "<RayflowData: y, x, word, name>",
    )  # fmt: skip
    assert sorted(artifact.id for artifact in Task(f"{HELLO}/end/2").artifacts) == dir(data)


def test_data_without_the_artifact_raises_attribute_error(store):
    hello(store)

    with pytest.raises(AttributeError, match=rf"Task\('{HELLO}/end/2'\) has no artifact 'nope'"):
        Task(f"{HELLO}/end/2").data.nope


def test_hidden_artifacts_are_reached_by_name(store):
    RunBuilder(store, Hello).lone("start", _secret=4, x=1)
    task = Task(f"{HELLO}/start/1")

    assert ([artifact.id for artifact in task], "_secret" in task, task["_secret"].data) == (["x", "name"], True, 4)


def test_an_artifact_describes_itself_without_being_loaded(store):
    hello(store)
    artifact = Task(f"{HELLO}/end/2")["word"]

    assert (artifact.size, artifact.type, artifact.preview, len(artifact.sha), artifact.created_at, artifact.finished_at) == (
        3, "str", "'one'", 64, at(6), at(6),
    )  # fmt: skip


def test_equal_values_have_equal_digests(store):
    hello(store)
    hello(store, str(T0 + 1))

    assert Task(f"{HELLO}/end/2")["y"].sha == Task(f"Hello/{T0 + 1}/end/2")["y"].sha


def test_large_artifacts_are_read_from_their_blob(store):
    text = "x" * 100_000
    RunBuilder(store, Hello).lone("start", text=text)

    assert (Task(f"{HELLO}/start/1").data.text == text, Task(f"{HELLO}/start/1")["text"].size) == (True, 100_000)


def test_a_damaged_artifact_is_named_and_hides_no_other(store):
    RunBuilder(store, Hello).lone("start", text="x" * 100_000, small=1)
    (blob,) = store.list(f"Hello/runs/{T0}/blobs")
    store.write(blob, [b"y" * 100_000])
    data = Task(f"{HELLO}/start/1").data

    with pytest.raises(StoreCorrupt, match=rf"{blob} is damaged: it is not what was stored as artifact 'text'"):
        data.text
    assert data.small == 1


def test_the_parameters_have_a_task_of_their_own(store):
    sweep(store)
    step = Run(f"Sweep/{T0}")["_parameters"]
    task = step.task

    assert ({artifact.id: artifact.data for artifact in task}, task.successful, task.finished, task.exception, task.index) == (
        {"depth": 7, "kind": "tree", "name": "Sweep"}, False, True, None, None,
    )  # fmt: skip
    assert (task.pathspec, list(step), list(task.parent_tasks), list(task.child_tasks), step.finished_at) == (
        f"Sweep/{T0}/_parameters/0", [task], [], [], at(0),
    )  # fmt: skip
    assert (task["_graph_info"].data["start_step"], task.metadata_dict["end_step"], "_success" in task) == ("start", "end", False)


# Bookkeeping


def test_metaflow_s_bookkeeping_is_computed(store):
    sweep(store)
    names = [
        "name",
        "_task_ok",
        "_success",
        "_exception",
        "_transition",
        "_current_step",
        "_foreach_var",
        "_foreach_num_splits",
        "_iteration_stack",
    ]

    found = [[task[name].data for name in names] for task in (Task(f"Sweep/{T0}/start/1"), Task(f"Sweep/{T0}/train/101"))]

    assert found == [
        ["Sweep", True, True, None, (["train"], "rates"), "start", "rates", 4, []],
        ["Sweep", True, True, None, (["score"], None), "train", None, None, []],
    ]


def test_the_splits_are_shown_by_the_beginnings_of_their_texts(store):
    run = RunBuilder(store, Sweep)
    items = ["a" * 50, "b"]
    run.foreach("start", [2], _foreach_items=items, rates=items)
    run.packed("train", "start", IndexSet.span(0, 2), [{}, {}])
    train = Task(f"Sweep/{T0}/train/100")

    assert (Task(f"Sweep/{T0}/start/1")["_foreach_values"].data, train["_foreach_stack"].data[-1], "_foreach_values" in train) == (
        ["a" * 30, "b"], ("train", "rates", 2, 0, "a" * 30), False,
    )  # fmt: skip


def test_nested_frames_are_outermost_first(store):
    nested(store)
    stack = Task(f"Nested/{T0}/inner/108")["_foreach_stack"].data

    assert [(frame.step, frame.var, frame.num_splits, frame.index, frame.value) for frame in stack] == [
        ("outer", "letters", 2, 1, "b"), ("inner", "digits", 1, 0, "7"),
    ]  # fmt: skip


def test_a_frame_whose_items_are_not_known_has_no_value(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [1])
    run.packed("train", "start", IndexSet.span(0, 1), [{}])

    assert Task(f"Sweep/{T0}/train/100")["_foreach_stack"].data[0].value is None


def test_a_computed_artifact_has_a_size_and_a_digest(store):
    hello(store)
    artifact = Task(f"{HELLO}/end/2")["_success"]

    assert (artifact.size > 0, len(artifact.sha), artifact.type) == (True, 64, "builtins.bool")


def test_what_the_user_stored_wins_over_what_is_computed(store):
    RunBuilder(store, Hello).lone("start", name="mine")

    assert Task(f"{HELLO}/start/1").data.name == "mine"


# Attempts


def retried(store):
    run = RunBuilder(store, Hello)
    run.failed("start", attempt=0, is_final=False, early=1, logs=run.log("start/w1", b"first\n"))
    return run


def test_the_latest_attempt_that_is_over_is_shown(store):
    run = retried(store)
    before = Task(f"{HELLO}/start/1")
    seen = (before.data.early, before.finished, before.current_attempt, before.exception.type)
    run.lone("start", attempt=1, late=2, at=3)
    after = Task(f"{HELLO}/start/1")

    assert seen == (1, False, 0, "builtins.ValueError")
    assert (sorted(a.id for a in after), after.finished, after.current_attempt, after.exception) == (["late", "name"], True, 1, None)
    assert (after.created_at, after.finished_at) == (at(0), at(4))


def test_an_attempt_is_reached_by_its_number(store):
    retried(store).lone("start", attempt=1, late=2)
    first = Task(f"{HELLO}/start/1", attempt=0)

    assert (first.data.early, first.stdout, str(first.exception), first.finished, first["early"].parent == first) == (
        1, "first\n", "Traceback ...\nValueError: boom\n", False, True,
    )  # fmt: skip
    assert Task(f"{HELLO}/start/1", attempt=1).data.late == 2


def test_an_attempt_that_never_was_is_empty(store):
    retried(store)
    task = Task(f"{HELLO}/start/1", attempt=3)

    assert (list(task), task.finished, task.exception, task.current_attempt, task.stdout) == ([], False, None, 3, "")


def test_a_failed_task_shows_what_it_inherited(store):
    run = RunBuilder(store, Hello, parameters={"p": 1})
    run.lone("start", x=1)
    run.failed("end", parent="start", y=2)
    task = Task(f"{HELLO}/end/2")

    assert ({artifact.id: artifact.data for artifact in task}, list(task.parent_task_pathspecs)) == (
        {"y": 2, "p": 1, "x": 1, "name": "Hello"}, [f"{HELLO}/start/1"],
    )  # fmt: skip


def test_a_failed_start_shows_its_own(store):
    RunBuilder(store, Hello).failed("start", y=2)

    assert [artifact.id for artifact in Task(f"{HELLO}/start/1")] == ["y", "name"]


def test_an_exit_leaves_no_exception(store):
    RunBuilder(store, Hello).failed("start", failure=boom(FailureKind.EXIT, "builtins.SystemExit"))

    assert Task(f"{HELLO}/start/1").exception is None


def test_metadata_has_an_entry_per_attempt(store):
    retried(store).lone("start", attempt=1)
    task = Task(f"{HELLO}/start/1")

    assert [(fact.name, fact.value) for fact in task.metadata if fact.name.startswith("attempt")] == [
        ("attempt", "0"), ("attempt_ok", "False"), ("attempt-done", "0"), ("attempt", "1"), ("attempt_ok", "True"), ("attempt-done", "1"),
    ]  # fmt: skip
    assert (task.metadata_dict["attempt"], task.metadata[0].task, task.metadata[0].created_at) == ("1", task, T0 // 1000)


def test_metadata_tells_where_the_task_is_and_who_ran_it(store):
    sweep(store)
    facts = Task(f"Sweep/{T0}/train/101").metadata_dict

    assert {name: facts[name] for name in ("user", "runtime", "python_version", "foreach-stack", "foreach-execution-path", "ds-root")} == {
        "user": "ada", "runtime": "dev", "python_version": "3.11.7",
        "foreach-stack": ["rates=0.5"], "foreach-execution-path": "train:1", "ds-root": store.url,
    }  # fmt: skip
    assert Task(f"Sweep/{T0}/train/101").runtime_name == "dev"


# Relations


def nested(store):
    run = RunBuilder(store, Nested)
    run.foreach("start", [2], letters=["a", "b"], _foreach_items=["a", "b"])
    run.foreach("outer", [2, 1], "start", first_id=106, digits=[7, 8], _foreach_items=[7, 8])
    run.packed("inner", "outer", IndexSet.span(0, 3), [{"v": k} for k in range(3)])
    run.packed("inner_join", "outer", IndexSet.span(0, 2), [{}, {}])
    run.lone("outer_join", "start")
    run.lone("end", "outer_join")
    run.end()
    return run


def family(store, flow, *specs):
    return {
        spec: tuple([each.split("/", 2)[2] for each in found] for found in (task.parent_task_pathspecs, task.child_task_pathspecs))
        for spec in specs
        for task in [Task(f"{flow}/{T0}/{spec}")]
    }


def test_lineage_goes_through_a_foreach(store):
    sweep(store)

    assert family(store, "Sweep", "start/1", "train/101", "choose/2", "end/3") == {
        "start/1": ([], ["train/100", "train/101", "train/102", "train/103"]),
        "train/101": (["start/1"], ["score/105"]),
        "choose/2": (["score/104", "score/105", "score/106", "score/107"], ["end/3"]),
        "end/3": (["choose/2"], []),
    }


def test_lineage_goes_through_nested_foreaches(store):
    nested(store)

    assert family(store, "Nested", "outer/100", "inner/108", "inner_join/102", "outer_join/2") == {
        "outer/100": (["start/1"], ["inner/106", "inner/107"]),
        "inner/108": (["outer/101"], ["inner_join/103"]),
        "inner_join/102": (["inner/106", "inner/107"], ["outer_join/2"]),
        "outer_join/2": (["inner_join/102", "inner_join/103"], ["end/3"]),
    }


def test_lineage_goes_through_a_static_split(store):
    run = RunBuilder(store, Split)
    for step, parent in (("start", None), ("a", "start"), ("b", "start"), ("join", "start"), ("end", "join")):
        run.lone(step, parent)

    assert family(store, "Split", "start/1", "b/3", "join/4") == {
        "start/1": ([], ["a/2", "b/3"]),
        "b/3": (["start/1"], ["join/4"]),
        "join/4": (["a/2", "b/3"], ["end/5"]),
    }


def looped(store):
    run = RunBuilder(store, Loop)
    run.lone("start", x=1)
    for lap, way in enumerate(("again", "again", "right")):
        run.lone("again", "start" if lap == 0 else "again", lap=lap, n=lap, way=way, taken=Taken((way,)))
    run.lone("right", "again")
    run.lone("end", "right")
    run.end()


def test_lineage_goes_lap_by_lap(store):
    looped(store)
    again = [task.id for task in Run(f"Loop/{T0}")["again"]]

    assert family(store, "Loop", f"again/{again[-1]}", f"again/{again[0]}", "end/5") == {
        f"again/{again[-1]}": (["start/1"], [f"again/{again[1]}"]),
        f"again/{again[0]}": ([f"again/{again[1]}"], ["right/4"]),
        "end/5": (["right/4"], []),
    }
    assert [step.id for step in Run(f"Loop/{T0}")["end"].parent_steps] == ["right"]
    assert [step.id for step in Run(f"Loop/{T0}")["again"].child_steps] == ["again", "left", "right"]


def test_laps_are_tasks_of_their_own(store):
    looped(store)
    tasks = list(Run(f"Loop/{T0}")["again"])

    assert [(task.data.n, task.data.x, task["_iteration_stack"].data, task["_transition"].data) for task in tasks] == [
        (2, 1, [2], (["right"], None)), (1, 1, [1], (["again"], None)), (0, 1, [0], (["again"], None)),
    ]  # fmt: skip
    assert Task(f"Loop/{T0}/end/5").data.n == 2


def test_lineage_goes_through_the_arms_of_a_switch(store):
    run = RunBuilder(store, Arms)
    run.foreach("start", [3])
    run.packed("pick", "start", IndexSet.span(0, 3), [{}] * 3, taken=Taken(("x", "y"), bytes([0, 1, 0])))
    run.packed("x", "pick", IndexSet.of([0, 2]), [{}] * 2)
    run.packed("y", "pick", IndexSet.of([1]), [{}])

    assert family(store, "Arms", "pick/101", "x/105") == {"pick/101": (["start/1"], ["y/107"]), "x/105": (["pick/102"], [])}


def test_an_empty_foreach_leads_to_its_join(store):
    run = RunBuilder(store, Sweep)
    run.foreach("start", [0], _foreach_items=[])
    run.lone("choose", "start")

    assert family(store, "Sweep", "start/1", "choose/2") == {"start/1": ([], ["choose/2"]), "choose/2": ([], [])}


def test_a_gang_has_a_control_task(store):
    run = RunBuilder(store, Gang)
    run.foreach("start", [3])
    run.packed("work", "start", IndexSet.span(0, 3), [{}] * 3)
    step = Run(f"Gang/{T0}")["work"]

    assert (step.control_task.id, [task.id for task in step.control_tasks()], Run(f"Gang/{T0}")["start"].control_task) == (
        "100", ["100"], None,
    )  # fmt: skip
    assert [task.metadata_dict["parallel-world-size"] for task in step] == ["3", "3", "3"]
    assert step.task["_foreach_stack"].data[0] == ("work", None, None, 2, "2") and step.task["_parallel_ubf_iter"].data == 2


def test_index_is_the_position_in_the_innermost_foreach(store):
    nested(store)

    assert [Task(f"Nested/{T0}/{spec}").index for spec in ("start/1", "outer/101", "inner/107", "inner/108", "inner_join/103")] == [
        None, 1, 1, 0, 1,
    ]  # fmt: skip


# Logs


def test_logs_are_the_span_of_the_attempt(store):
    run = RunBuilder(store, Hello)
    run.log("start/w1", b"before\nh\xc3\xa9llo\nafter\n", b"oops")
    run.lone("start", logs=LogSpan("start/w1", 7, 14, 0, 4))
    task = Task(f"{HELLO}/start/1")

    assert (task.stdout, task.stderr, task.stdout_size, task.stderr_size) == ("h\u00e9llo\n", "oops\n", 7, 4)


def test_bytes_that_are_no_text_are_replaced(store):
    run = RunBuilder(store, Hello)
    run.lone("start", logs=run.log("start/w1", b"a\xffb\n"))

    assert Task(f"{HELLO}/start/1").stdout == "a\ufffdb\n"


def test_a_line_has_the_time_of_the_first_mark_that_covers_it(store):
    run = RunBuilder(store, Hello)
    marks = b"".join(_MARK.pack(T0 + later, size, 0) for later, size in ((10, 0), (20, 4), (30, 6), (40, 8))) + b"torn"
    run.lone("start", logs=run.log("start/w1", b"ab\ncd\ne\nf\n", b"", marks), seconds=2)

    assert list(Task(f"{HELLO}/start/1").loglines("stdout")) == [
        (UTC0 + timedelta(microseconds=20), "ab"),
        (UTC0 + timedelta(microseconds=30), "cd"),
        (UTC0 + timedelta(microseconds=40), "e"),
        (UTC0 + timedelta(seconds=2), "f"),
    ]


def test_lines_can_be_had_as_bytes(store):
    run = RunBuilder(store, Hello)
    run.lone("start", logs=run.log("start/w1", b"", b"\xff\n\nx"))

    assert [line for _, line in Task(f"{HELLO}/start/1").loglines("stderr", as_unicode=False)] == [b"\xff", b"", b"x"]


def test_a_stream_of_another_name_is_refused(store):
    hello(store)

    with pytest.raises(UserError, match=r"There is no stream 'out'\. The streams of a task are 'stdout' and 'stderr'"):
        Task(f"{HELLO}/start/1").loglines("out")


def test_a_log_that_is_gone_is_empty(store):
    RunBuilder(store, Hello).lone("start", logs=LogSpan("start/w1", 0, 5))

    assert (Task(f"{HELLO}/start/1").stdout, Task(f"{HELLO}/start/1").stderr) == ("", "")


def test_logs_are_read_while_the_task_runs(store):
    run = RunBuilder(store, Hello)
    run.log("start/w1", b"earlier\n")
    run.launched("start", log="start/w1", out=8)
    task = Task(f"{HELLO}/start/1")
    first = task.stdout
    run.log("start/w1", b"one\ntw")

    assert (first, task.stdout, task.stdout_size, [line for _, line in task.loglines("stdout")]) == ("", "one\ntw\n", 6, ["one", "tw"])


def test_the_log_of_a_retry_under_way_begins_where_the_attempt_before_ended(store):
    run = RunBuilder(store, Hello)
    run.launched("start", log="start/w1")
    run.failed("start", is_final=False, logs=run.log("start/w1", b"first\n"))
    run.log("start/w1", b"second\n")
    task = Task(f"{HELLO}/start/1")

    assert (task.stdout, task.current_attempt, Task(f"{HELLO}/start/1", attempt=0).stdout) == ("second\n", 1, "first\n")
    assert Task(f"{HELLO}/start/1", attempt=1).finished is False


def test_a_task_of_a_run_that_is_over_is_not_under_way(store):
    run = RunBuilder(store, Hello)
    run.launched("start", log="start/w1")
    run.failed("start", logs=run.log("start/w1", b"all\n"))
    run.log("start/w1", b"another task's\n")

    assert Task(f"{HELLO}/start/1").stdout == "all\n"


def test_a_task_that_is_removed_is_not_found_when_it_is_used(store):
    hello(store)
    task = Task(f"{HELLO}/start/1")
    made_elsewhere = task.parent._to(Task, *task.path_components[:3], "99")

    with pytest.raises(RayflowNotFound, match=rf"Task\('{HELLO}/start/99'\) does not exist"):
        made_elsewhere.finished
