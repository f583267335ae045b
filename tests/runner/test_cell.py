"""The script that a notebook's flow becomes. The notebook is a dictionary here; `test_notebook` asks a real one."""

import linecache
import os
import subprocess
import sys

import pytest

from rayflow.model.errors import UserError
from rayflow.runner.cell import flow_script


class Notebook:
    """Executes cells as a kernel does: in one namespace, each with its source where `linecache` finds it."""

    def __init__(self):
        self.names = {"__name__": "__main__"}
        self.files = []

    def run(self, source):
        name = f"<test cell {len(self.files)}>"
        self.files.append(name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), self.names)


@pytest.fixture
def notebook(monkeypatch):
    made = Notebook()
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    yield made
    for name in made.files:
        linecache.cache.pop(name, None)


FLOW = '''
SCALE = 2
print("a side effect")

class NbFlow(FlowSpec):
    """Of a cell."""
    alpha = Parameter("alpha", default=1)

    @step
    def start(self):
        self.x = scaled(self.alpha) * SCALE
        self.next(self.end)

    @step
    def end(self):
        print("x is", self.x, math.floor(1.5), type(Row(1)).__name__, od().__class__.__name__)

NbFlow
never_reached = undefined_below if False else 1
'''
OTHER = """
import math
import os.path as osp
from collections import OrderedDict as od
from rayflow import FlowSpec, Parameter, step

FACTOR, unpicklable = 5, open(os.devnull) if False else object()

def scaled(x):
    return x * FACTOR

class Base:
    pass

class Row(Base):
    def __init__(self, value):
        self.value = value
"""


def perform(script, tmp_path, *arguments):
    path = tmp_path / "written.py"
    path.write_text(script)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]), "RAYFLOW_USER": "ada"}
    command = [sys.executable, str(path), "--executor", "inline", "--root", str(tmp_path / "root"), "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=60)


def test_a_flow_takes_along_what_it_uses_of_other_cells(notebook, tmp_path):
    notebook.run(OTHER)
    notebook.run(FLOW)

    script = flow_script(notebook.names["NbFlow"], notebook.names)
    result = perform(script, tmp_path, "--alpha", "3")

    assert (result.returncode, "x is 30 1 Row OrderedDict" in result.stdout) == (0, True), result.stdout + result.stderr + script
    assert not any(text in script for text in ("side effect", "never_reached", "osp", "unpicklable"))


def test_a_flow_of_one_cell_is_that_cell(notebook, tmp_path):
    notebook.run(OTHER + FLOW)

    result = perform(flow_script(notebook.names["NbFlow"], notebook.names), tmp_path)

    assert "x is 10 1 Row OrderedDict" in result.stdout, result.stderr


def test_the_newest_definition_counts(notebook):
    notebook.run(OTHER)
    notebook.run(FLOW)
    notebook.run("def scaled(x):\n    return -x\n")

    script = flow_script(notebook.names["NbFlow"], notebook.names)

    assert "return -x" in script and "FACTOR" not in script


def test_a_class_without_a_cell_is_refused_with_the_way_out(notebook):
    exec("class Typed:\n    def start(self):\n        pass\n", notebook.names)

    with pytest.raises(UserError, match=r"cell that defines Typed could not be found.*run that cell again"):
        flow_script(notebook.names["Typed"], notebook.names)
