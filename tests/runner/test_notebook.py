"""A real kernel: flows are defined, run, fail and are looked at in cells."""

import os
import re
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

REPO = Path(__file__).parent.parent.parent

HELPERS = """
import math
FACTOR = 3
def scaled(x):
    return x * FACTOR
"""
DEFINITION = '''
from rayflow import FlowSpec, NBRunner, Parameter, step

class NbFlow(FlowSpec):
    """Of a notebook."""
    alpha = Parameter("alpha", default=2)

    @step
    def start(self):
        print("alpha is", self.alpha)
        self.items = [1, 4, 9]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.root = math.sqrt(scaled(self.input) * self.alpha)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = round(sum(each.root for each in inputs), 3)
        if self.alpha > 5:
            raise ValueError("too much")
        self.next(self.end)

    @step
    def end(self):
        import os
        self.pid = os.getpid()
'''.lstrip()
LINE = 1 + next(number for number, line in enumerate(DEFINITION.splitlines()) if "too much" in line)
CELLS = {
    "helpers": HELPERS,
    "definition": DEFINITION,
    "run": "run = NbFlow.run(alpha=3, tags=['nb'])\nimport os\nprint(run.data.total, run.data.pid != os.getpid(), run.user_tags)\nrun",
    "failing": "NbFlow.run(alpha=9)",
    "wrong": "NbFlow.run(alpha='x')",
    "inline": "run = NbFlow.run(alpha=3, executor='inline')\nprint(run.data.total, run.data.pid == os.getpid())",
    "nbrun": "run = NBRunner(NbFlow, show_output=False).nbrun(alpha=3)\nprint(run.successful, run.data.total, sorted(os.listdir('.')))",
    "nbresume": "failed = [each for each in __import__('rayflow').Flow('NbFlow') if each.state == 'failed'][0]\n"
    "r = NBRunner(NbFlow, show_output=False).nbresume(origin_run_id=failed.id)\nprint(r.origin_pathspec == failed.pathspec, r.state)",
    "async": "runner = NBRunner(NbFlow)\nrunning = await runner.async_run(alpha=1)\nawait running.wait()\n"
    "print(running.status)\nrunner.cleanup()\nprint(sorted(os.listdir('.')))",
    "end": "run['work']",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell put out: [(type, text, HTML)]. All in one kernel, as somebody would work."""
    directory = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW_R")},
        "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")]),
        "RAYFLOW_USER": "ada",
        "RAYFLOW_EXECUTOR": "process",
        "IPYTHONDIR": str(directory / ".ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    client = nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(directory)}}
    )
    client.execute(env=environ)
    return {name: [told(output) for output in cell.outputs] for name, cell in zip(CELLS, notebook.cells, strict=True)}


def told(output):
    if output.output_type == "stream":
        return output.name, output.text, ""
    if output.output_type == "error":
        return "error", re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback)), ""
    return output.output_type, output.data.get("text/plain", ""), output.data.get("text/html", "")


def text_of(outputs, kind="stdout"):
    return "".join(text for name, text, _ in outputs if name == kind)


def test_a_flow_of_a_cell_runs_in_child_processes_and_returns_the_run(outputs):
    assert text_of(outputs["run"]) == "[start] alpha is 3\n18.0 True frozenset({'nb'})\n"
    assert text_of(outputs["run"], "stderr") == ""


def test_its_progress_is_one_display_that_ends_with_the_outcome(outputs):
    (display,) = [each for each in outputs["run"] if each[0] == "display_data"]

    assert re.fullmatch(r"Run NbFlow/\d+ succeeded in .*s\n  start: 1\n  work: 3\n  join: 1\n  end: 1", display[1])
    assert "<table" in display[2] and "<script" not in display[2]


def test_the_run_and_its_steps_are_shown_as_html(outputs):
    (shown,) = [html for kind, _, html in outputs["run"] if kind == "execute_result"]
    (step,) = [html for kind, _, html in outputs["end"] if kind == "execute_result"]

    assert "Run(&#x27;NbFlow/" in shown and "succeeded" in shown and "alpha=3" in shown
    assert "/work&#x27;)" in step


def test_a_failure_shows_the_call_the_line_of_the_cell_and_the_way_on(outputs):
    error = text_of(outputs["failing"], "error")

    assert "----> 1 NbFlow.run(alpha=9)" in error
    assert f'    Cell In[2]:{LINE} in join    raise ValueError("too much")\n  ValueError: too much\n' in error
    assert re.search(r"Continue with: NBRunner\(NbFlow\).nbresume\(origin_run_id='\d+'\)$", error)
    assert "Traceback" not in text_of(outputs["failing"], "stderr")


def test_a_wrong_argument_is_told_in_the_words_of_the_command_line(outputs):
    assert "Invalid value for '--alpha': 'x' is not a valid int" in text_of(outputs["wrong"], "error")


def test_the_same_flow_runs_in_the_kernel_itself(outputs):
    assert text_of(outputs["inline"]).endswith("18.0 True\n")


def test_nbrunner_makes_a_file_of_the_cell_and_removes_it(outputs):
    assert text_of(outputs["nbrun"]) == "True 18.0 ['.ipython', '.rayflow']\n", outputs["nbrun"]


def test_a_failed_run_of_a_notebook_is_resumed_there(outputs):
    assert text_of(outputs["nbresume"]) == "True failed\n", outputs["nbresume"]


def test_nbrunner_works_in_the_event_loop_of_the_notebook(outputs):
    assert text_of(outputs["async"]).endswith("successful\n['.ipython', '.rayflow']\n"), outputs["async"]


def test_outside_a_notebook_nbrunner_says_what_to_use_instead():
    from rayflow import NBRunner
    from rayflow.runner import NBRunnerInitializationError
    from tests.client.flows import Hello

    with pytest.raises(NBRunnerInitializationError, match=r"there is Runner\('FLOW.py'\)"):
        NBRunner(Hello)
    assert sys.modules.get("IPython") is None or sys.modules["IPython"].get_ipython() is None
