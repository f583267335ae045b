import os

import pytest

from rayflow.client import (
    Flow,
    Rayflow,
    Run,
    default_metadata,
    default_namespace,
    get_metadata,
    get_namespace,
    metadata,
    namespace,
)
from rayflow.model.errors import RayflowNamespaceMismatch, UserError
from rayflow.store import open_root
from tests.client.building import T0, hello


def test_the_default_namespace_is_that_of_the_user():
    assert (default_namespace(), get_namespace()) == ("user:ada", "user:ada")


def test_a_namespace_is_returned_and_kept():
    assert (namespace("team"), get_namespace(), namespace(None), get_namespace()) == ("team", "team", None, None)


def test_an_object_outside_the_namespace_is_refused_with_the_way_out(store):
    hello(store)
    namespace("user:bob")

    with pytest.raises(RayflowNamespaceMismatch, match=r"Object not in namespace 'user:bob'.*namespace\(None\)"):
        Run(f"Hello/{T0}")


def test_a_flow_is_in_a_namespace_where_one_of_its_runs_is(store):
    hello(store, tags=("team",))
    namespace("team")
    inside = Flow("Hello").is_in_namespace()
    namespace("other")

    with pytest.raises(RayflowNamespaceMismatch, match="Object not in namespace 'other': Flow"):
        Flow("Hello")
    assert inside and Rayflow().flows == []


def test_an_object_keeps_the_namespace_that_it_was_made_in(store):
    hello(store)
    run = Run(f"Hello/{T0}")
    namespace("user:bob")

    assert [step.id for step in run] == ["end", "start"]


def test_runs_outside_the_namespace_are_not_listed(store):
    hello(store)
    hello(store, str(T0 + 1), system_tags=("user:bob",))
    namespace("user:ada")

    assert [run.id for run in Flow("Hello")] == [str(T0)]


def test_metadata_takes_a_directory_and_means_the_root_in_it(tmp_path):
    open_root(str(tmp_path / ".rayflow"), create=True)

    assert (metadata(str(tmp_path)), get_metadata()) == (f"local@{tmp_path}", f"local@{tmp_path}")


def test_metadata_takes_a_root_of_any_name(tmp_path):
    open_root(str(tmp_path / "runs"), create=True)

    assert metadata(f"local@{tmp_path}/runs") == f"local@{tmp_path}/runs"


def test_metadata_takes_a_url():
    assert metadata("memory://somewhere") == "memory://somewhere"


def test_metadata_refuses_a_directory_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"There is no directory .*/nowhere, so it cannot hold a rayflow root"):
        metadata(str(tmp_path / "nowhere"))


def test_the_default_root_is_the_one_that_the_working_directory_tells(tmp_path, monkeypatch):
    (tmp_path / ".rayflow").mkdir()
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.delenv("RAYFLOW_ROOT", raising=False)

    assert default_metadata() == f"local@{os.path.realpath(tmp_path)}"


def test_a_root_that_is_not_there_yet_is_empty(tmp_path):
    metadata(str(tmp_path))
    before = Rayflow().flows
    hello(open_root(str(tmp_path / ".rayflow"), create=True))

    assert (before, Rayflow().flows) == ([], [Flow("Hello")])
