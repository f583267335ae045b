"""Whole runs of unchanged Metaflow files: in launcher and workers, on resume, from stored code, in hooks and in runs that they start."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.test_end_to_end import perform

FLOWS = Path(__file__).parent.parent / "metaflow" / "flows"
FLOW = """
import sys
import metaflow
from metaflow import FlowSpec, Metaflow, Parameter, catch, current, exit_hook, retry, step, user_step_decorator
from metaflow.exception import MetaflowException


class Sad(MetaflowException):
    headline = "Sad"


@user_step_decorator
def marked(step_name, flow, inputs, attributes):
    yield
    flow.marks = [step_name]


def tell():
    import metaflow
    print("hook has", metaflow.Metaflow.__name__)


@exit_hook(on_success=[tell], on_error=[tell])
class OldFlow(FlowSpec):
    alpha = Parameter("alpha", default=1)

    @step
    def start(self):
        self.items = list(range(40))
        self.next(self.work, foreach="items")

    @catch(var="sadness", print_exception=False)
    @marked
    @step
    def work(self):
        import metaflow.client
        if self.input == 3:
            raise Sad("three")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.sad = [str(each.sadness.exception) for each in inputs if each.sadness]
        self.next(self.end)

    @step
    def end(self):
        if self.alpha > 1:
            raise Sad("too much")
        print("sad about", self.sad, metaflow.Flow(current.flow_name).id, "ray" in sys.modules)


if __name__ == "__main__":
    OldFlow()
"""


OURS = """
from rayflow import FlowSpec, step

class Ours(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Ours()
"""


def rayflow(directory, *arguments):
    return perform(directory, sys.executable, "-m", "rayflow", *arguments)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "old.py").write_text(FLOW)
    return tmp_path


def found(directory, run="latest"):
    shown = json.loads(rayflow(directory, "show", run, "--json").stdout)
    return shown["state"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "old.py", "--compat", "metaflow", "--executor", "process"),
        ("--compat", "metaflow", "run", "old.py", "--executor", "inline"),
        ("--compat=metaflow", "old.py", "run", "--executor", "inline"),
        ("run", "--executor=inline", "--compat=metaflow", "old.py"),
    ],
)
def test_an_unchanged_file_runs_wherever_the_option_stands(place, arguments):
    done = rayflow(place, *arguments)

    assert (done.returncode, done.stderr) == (0, done.stderr)
    assert "sad about ['three'] OldFlow False" in done.stdout and "hook has Rayflow" in done.stdout


@pytest.mark.ray
def test_an_unchanged_file_runs_on_ray(place):
    done = rayflow(place, "run", "old.py", "--compat", "metaflow", "--executor", "ray", "--address", "local")

    assert (done.returncode, "sad about ['three'] OldFlow True" in done.stdout) == (0, True), done.stderr


def test_a_run_goes_on_from_its_stored_code_without_the_option(place):
    failed = rayflow(place, "run", "old.py", "--compat", "metaflow", "--executor", "process", "--alpha", "2")
    (place / "old.py").unlink()
    resumed = rayflow(place, "resume", "latest-failed", "--executor", "process")

    assert (failed.returncode, resumed.returncode) == (1, 1)
    assert failed.stderr.splitlines()[-1] == "    Continue with: rayflow resume old.py --compat metaflow"
    for told in (failed.stderr, resumed.stderr):
        assert re.search(r"old\.py:\d+ in end +raise Sad\(\"too much\"\)\n.*Sad: too much", told), told


def test_the_command_that_continues_works_as_it_is_told(place):
    failed = rayflow(place, "run", "old.py", "--compat", "metaflow", "--executor", "inline", "--alpha", "2")
    (place / "old.py").write_text(FLOW.replace("self.alpha > 1", "self.alpha > 9"))
    command = failed.stderr.splitlines()[-1].partition("Continue with: rayflow ")[2].split()

    assert (rayflow(place, *command).returncode, found(place)) == (0, "succeeded")


def test_it_may_be_a_setting(place):
    rayflow(place, "configure", "set", "--here", "COMPAT", "metaflow")

    assert (rayflow(place, "check", "old.py").returncode, rayflow(place, "run", "old.py", "--executor", "inline").returncode) == (0, 0)


def test_a_flow_that_starts_another_starts_it_in_the_same_way(tmp_path):
    for name in ("outer.py", "quality.py"):
        shutil.copy(FLOWS / name, tmp_path)

    done = rayflow(tmp_path, "run", "outer.py", "--compat", "metaflow", "--executor", "process")
    dumped = rayflow(tmp_path, "dump", "OuterFlow/latest/join")

    assert (done.returncode, "'failed'" in dumped.stdout or "'successful'" in dumped.stdout) == (0, True), done.stderr


def test_a_runner_can_be_told(place, monkeypatch):
    from rayflow import Runner

    monkeypatch.chdir(place)
    with Runner("old.py", show_output=False, compat="metaflow", executor="inline").run(alpha=1) as running:
        assert (running.status, running.run.data.sad) == ("successful", ["three"])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("run", "old.py"), 1, "could not be imported. ModuleNotFoundError: No module named 'metaflow'"),
        (("run", "old.py"), 1, "Write `from rayflow import ...` there, or say --compat metaflow."),
        (("--compat", "airflow", "run", "old.py"), 2, "There is no --compat airflow. Give metaflow."),
        (("run", "lacking.py", "--compat", "metaflow"), 1, "ImportError: rayflow has no 'metaflow.R'. Call R as"),
        (("run", "ours.py", "--compat", "airflow"), 2, "'airflow' is not 'metaflow'"),
    ],
)
def test_what_does_not_work_is_said_with_the_way_out(place, arguments, code, told):
    (place / "lacking.py").write_text("from metaflow import FlowSpec, R\n")
    (place / "ours.py").write_text(OURS)

    done = rayflow(place, *arguments)

    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_python_itself_is_told_that_it_is_too_late(place):
    (place / "ours.py").write_text(OURS)

    done = perform(place, sys.executable, "ours.py", "run", "--compat", "metaflow")

    assert (done.returncode, "Use: rayflow run FLOW.py --compat metaflow" in done.stderr) == (2, True)


def test_a_real_metaflow_is_neither_imported_with_it_nor_hidden_without_it(place):
    real = place / "metaflow"
    real.mkdir()
    (real / "__init__.py").write_text("real = True\n")
    (place / "both.py").write_text(
        "import metaflow\nfrom rayflow import FlowSpec, step\nclass Both(FlowSpec):\n    @step\n    def start(self):\n"
        "        print('real', hasattr(metaflow, 'real'))\n        self.next(self.end)\n    @step\n    def end(self):\n        pass\n"
    )

    without = rayflow(place, "run", "both.py", "--executor", "process")
    with_it = rayflow(place, "run", "both.py", "--executor", "process", "--compat", "metaflow")

    assert ("real True" in without.stdout, "real False" in with_it.stdout) == (True, True)
