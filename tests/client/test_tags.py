"""Tags through the client: what may be one, what follows them, and who may change them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rayflow.client import Flow, Run, Task, namespace
from rayflow.client.roots import root_at
from rayflow.model.errors import RayflowNamespaceMismatch, RayflowTaggingError
from rayflow.store import open_root
from tests.client.building import T0, hello

SYSTEM = {"user:ada", "rayflow_version:0.1.0", "python_version:3.11.7", "runtime:dev"}
NAME = f"Hello/{T0}"


@pytest.fixture
def run(store):
    hello(store, tags=("first",))
    return Run(NAME)


def test_tags_are_added_removed_and_replaced_and_steps_and_tasks_show_them(run):
    run.add_tag("a")
    run.add_tags(["b", "c", "grün und 5 €"])
    run.remove_tag("first")
    run.remove_tags(["b", "never there"])
    run.replace_tag("c", "d")
    run.replace_tags(["d"], ["e", "f"])

    expected = {"a", "e", "f", "grün und 5 €"}
    task = Task(f"{NAME}/start/1")
    assert (run.user_tags, run.system_tags, run.tags) == (expected, SYSTEM, expected | SYSTEM)
    assert (run["start"].user_tags, task.user_tags, task["x"].tags) == (expected, expected, expected | SYSTEM)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda run: run.add_tag("one tag"), {"first", "one tag"}),
        (lambda run: run.add_tags("one tag"), {"first", "one tag"}),
        (lambda run: run.add_tag(["x", "y"]), {"first", "x", "y"}),
        (lambda run: run.add_tag("grün".encode()), {"first", "grün"}),
        (lambda run: run.add_tag("first"), {"first"}),
        (lambda run: run.add_tag("user:ada"), {"first"}),
        (lambda run: run.remove_tag(["first", "x"]), set()),
        (lambda run: run.remove_tag("unknown"), {"first"}),
        (lambda run: run.replace_tag("first", "first"), {"first"}),
        (lambda run: run.replace_tag(["first"], ["x"]), {"x"}),
        (lambda run: run.add_tag("x" * 500), {"first", "x" * 500}),
        (lambda run: run.add_tags([f"t{n}" for n in range(49)]), {"first", *(f"t{n}" for n in range(49))}),
    ],
)
def test_what_may_be_done(run, change, after):
    change(run)
    change(run)

    assert run.user_tags == after


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.add_tags([]), "at least one tag"),
        (lambda run: run.replace_tags([], []), "at least one tag"),
        (lambda run: run.remove_tag("user:ada"), "Cannot remove 'user:ada'"),
        (lambda run: run.remove_tags(["first", "runtime:dev"]), "Cannot remove 'runtime:dev'"),
        (lambda run: run.remove_tags("first"), "list of tags"),
        (lambda run: run.replace_tags("first", "x"), "list of tags"),
        (lambda run: run.add_tags(7), "list of tags; got 7"),
        (lambda run: run.add_tags(["x", 7]), "7 is no tag"),
        (lambda run: run.add_tag(""), "must not be empty"),
        (lambda run: run.add_tag(b"\xff\xfe"), "not UTF-8"),
        (lambda run: run.add_tag("\ud800"), "not UTF-8"),
        (lambda run: run.add_tag("x" * 501), "at most 500 characters; got 501"),
        (lambda run: run.add_tags([f"t{n}" for n in range(50)]), "would have 51 tags"),
    ],
)
def test_what_is_refused_changes_nothing(run, store, change, message):
    with pytest.raises(RayflowTaggingError, match=message):
        change(run)

    assert run.user_tags == {"first"}
    assert list(store.list("Hello/tags")) == []


def test_a_run_with_more_tags_than_are_kept_may_keep_or_lose_some(store):
    hello(store, tags=[f"t{n}" for n in range(60)])
    run = Run(NAME)

    run.replace_tag("t0", "u0")
    run.remove_tags([f"t{n}" for n in range(1, 5)])
    with pytest.raises(RayflowTaggingError, match="would have 57 tags"):
        run.add_tag("more")

    assert len(run.user_tags) == 56


def test_namespaces_lists_and_the_latest_run_follow_changed_tags(store):
    for number in range(4):
        hello(store, str(T0 + number))
    flow = Flow("Hello")
    for number in (0, 2, 3):
        Run(f"Hello/{T0 + number}").add_tag("good")
    Run(f"Hello/{T0 + 3}").remove_tag("good")

    assert [run.id for run in flow.runs("good", "user:ada")] == [str(T0 + 2), str(T0)]
    namespace("good")
    assert [run.id for run in Flow("Hello")] == [str(T0 + 2), str(T0)]
    assert Flow("Hello").latest_run.id == str(T0 + 2)
    with pytest.raises(RayflowNamespaceMismatch):
        Run(f"Hello/{T0 + 3}")


def test_another_process_sees_a_change_when_it_names_the_run_and_soon_without(store, run):
    other = root_at(store.url).run("Hello", str(T0))
    assert run.user_tags == {"first"}

    fresh = type(other.tags)(open_root(store.url, create=False), "Hello")
    fresh.change(other.record, add=["theirs"])

    assert Run(NAME).user_tags == {"first", "theirs"} == run.user_tags


def test_tags_of_many_runs_are_one_look(store, monkeypatch):
    for number in range(20):
        hello(store, str(T0 + number))
        Run(f"Hello/{T0 + number}").add_tag(f"t{number}")
    looks = []
    root = root_at(store.url)
    listed = type(root.store).list
    monkeypatch.setattr(type(root.store), "list", lambda self, prefix: looks.append(prefix) or listed(self, prefix))
    monkeypatch.setattr("rayflow.client.tags._LOOK_EVERY_S", 60.0)
    root.tags("Hello")._every_s = 60.0

    assert [sorted(run.user_tags) for run in Flow("Hello").runs()] == [[f"t{number}"] for number in reversed(range(20))]
    assert looks.count("Hello/tags") == 1


def test_a_namespace_that_is_a_system_tag_looks_at_no_changes(store, run, monkeypatch):
    monkeypatch.setattr("rayflow.client.tags.read_tags", lambda *_: pytest.fail("the log was read"))

    namespace("user:ada")

    assert Run(NAME).id == str(T0)


def test_a_damaged_change_is_named_once_and_hides_no_run_and_no_other_change(store, caplog):
    for number in range(3):
        hello(store, str(T0 + number))
        Run(f"Hello/{T0 + number}").add_tag(f"t{number}")
    with open(store.local_path("Hello/tags/00000003.json"), "wb") as file:
        file.write(b"?" * 100)
    root_at(store.url)._tags.clear()
    root_at(store.url)._open.handles.clear()

    assert [sorted(run.user_tags) for run in Flow("Hello").runs()] == [[], ["t1"], ["t0"]]
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [f"{store.url}/Hello/tags/00000003.json is damaged."]


def test_eight_threads_tag_one_run_and_never_pass_its_limit(run):
    def tag(number: int) -> bool:
        try:
            Run(NAME).add_tag(f"t{number}")
        except RayflowTaggingError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        namespace(None)
        added = sum(pool.map(tag, range(80)))

    assert (added, len(Run(NAME).user_tags)) == (49, 50)
