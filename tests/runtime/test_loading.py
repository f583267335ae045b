"""Importing the user's flow file, in whatever process performs its steps."""

from __future__ import annotations

import os
import sys

import pytest

from rayflow.model.errors import UserError
from rayflow.runtime.loading import file_digest, import_file, is_loading, load_flow, module_name_of, register_inline
from rayflow.runtime.shared import FlowSource

FLOW = """
from rayflow import FlowSpec, step
from rayflow.runtime.loading import is_loading
was_loading = is_loading()

class Loaded(FlowSpec):
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass

if __name__ == "__main__":
    Loaded()
"""


@pytest.fixture
def flow_file(tmp_path, monkeypatch):
    """A flow file under a name of its own; modules and path are put back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    path = tmp_path / f"loaded_{os.getpid()}_{tmp_path.name}.py"
    path.write_text(FLOW, encoding="utf-8")
    yield str(path)
    for name in set(sys.modules) - before:
        sys.modules.pop(name, None)


def no_package(code):
    raise AssertionError("the package was asked for")


def source_at(path: str, **changes) -> FlowSource:
    given = {"class_name": "Loaded", "module": module_name_of(path), "path": path, "digest": file_digest(path), **changes}
    return FlowSource(**given)


def test_the_class_is_found_in_its_file_and_found_again(flow_file):
    source = source_at(flow_file)

    flow = load_flow(source, no_package)

    assert (flow.__name__, flow.__module__, load_flow(source, no_package) is flow) == ("Loaded", source.module, True)
    assert (sys.modules[source.module].was_loading, is_loading()) == (True, False)


def test_a_file_that_changed_since_the_run_began_is_taken_from_the_package(flow_file, tmp_path):
    source = source_at(flow_file, code="c0de")
    stored = tmp_path / "stored"
    stored.mkdir()
    with open(flow_file, encoding="utf-8") as file:
        (stored / os.path.basename(flow_file)).write_text(file.read() + "\nLoaded.origin = 'package'\n", encoding="utf-8")
    with open(flow_file, "a", encoding="utf-8") as file:
        file.write("\nraise RuntimeError('half edited')\n")

    flow = load_flow(source, lambda code: str(stored) if code == "c0de" else "")

    assert flow.origin == "package"


def test_a_class_that_is_not_there_any_more_is_named(flow_file):
    with pytest.raises(UserError, match=r"has no flow class 'Gone' any more"):
        load_flow(source_at(flow_file, class_name="Gone"), no_package)


def test_a_file_that_fails_to_import_is_no_module(flow_file):
    with open(flow_file, "a", encoding="utf-8") as file:
        file.write("\nraise RuntimeError('on import')\n")

    with pytest.raises(RuntimeError, match="on import"):
        import_file(flow_file, "broken_module")

    assert ("broken_module" in sys.modules, is_loading()) == (False, False)


def test_a_pickled_class_needs_no_file():
    import cloudpickle

    from rayflow import FlowSpec, step

    class Local(FlowSpec):
        @step
        def start(self):
            self.x = 1

    flow = load_flow(FlowSource("Local", __name__, pickled=cloudpickle.dumps(Local)), no_package)

    assert flow.__name__ == "Local"


def test_in_the_launchers_own_process_the_source_means_the_class_itself(flow_file):
    source = source_at(flow_file, module="inline_module")
    marker = type("Marker", (), {})

    register_inline(source, marker)

    assert load_flow(source, no_package) is marker


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/train.py", "train"),
        ("/a/my-flow.py", "rayflow_flow_my_flow"),
        ("/a/json.py", "rayflow_flow_json"),
        ("/a/2x.py", "rayflow_flow_2x"),
    ],
)
def test_a_script_gets_a_module_name_that_is_nobody_elses(path, name):
    assert module_name_of(path) == name


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path):
    assert file_digest(str(tmp_path / "nowhere.py")) == ""
