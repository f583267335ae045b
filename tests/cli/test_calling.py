"""`MyFlow.run(...)`: a program that is its flow's driver."""

import os
import signal
import subprocess
import sys

import pytest

from rayflow import Config, Flow, FlowSpec, IncludeFile, JSONType, Parameter, Run, namespace, step
from rayflow.exception import LintWarn, TaskFailedException, UsageError


class CalledFlow(FlowSpec):
    alpha = Parameter("alpha", default=0.5)
    options = Parameter("some-options", type=JSONType, default="{}")
    fails = Parameter("fails", default=False)

    @step
    def start(self):
        print("alpha is", self.alpha)
        self.double = self.alpha * 2
        self.next(self.end)

    @step
    def end(self):
        if self.fails:
            raise ValueError("boom")


class StepNamedRun(FlowSpec):
    alpha = Parameter("alpha", default=1)

    @step
    def start(self):
        self.next(self.run)

    @step
    def run(self):
        self.done = self.alpha
        self.next(self.end)

    @step
    def end(self):
        pass


class ArtifactNamedRun(FlowSpec):
    @step
    def start(self):
        self.had = hasattr(self, "run")
        self.run = 5
        self.next(self.end)

    @step
    def end(self):
        self.more = self.run + 1


class WithFile(FlowSpec):
    notes = IncludeFile("notes")

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class Configured(FlowSpec):
    sizes = Config("sizes", required=True)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        self.total = self.sizes.a + self.sizes.b


class Broken(FlowSpec):
    @step
    def start(self):
        self.next(self.missing)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYFLOW_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("RAYFLOW_EXECUTOR", "inline")
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    monkeypatch.chdir(tmp_path)
    namespace("nobody's")
    yield
    namespace(None)


def test_it_performs_the_flow_and_returns_the_run(capsys):
    run = CalledFlow.run(alpha=1.5, some_options={"a": [1]}, tags=["best"])

    assert isinstance(run, Run)
    assert (run.successful, run.user_tags) == (True, {"best"})
    data = run["start"].task.data
    assert (data.alpha, data.options, data.double) == (1.5, {"a": [1]}, 3.0)
    shown = capsys.readouterr()
    assert "Workflow starting" in shown.out and shown.out.endswith("Done!\n") and shown.err == ""


def test_the_root_and_quiet_are_options_like_any(tmp_path, capsys):
    run = CalledFlow.run(root=tmp_path / "other", quiet=True)

    assert os.path.isdir(tmp_path / "other" / "CalledFlow" / "runs" / run.id)
    assert capsys.readouterr().out == "alpha is 0.5\n"


def test_the_environment_counts_as_on_the_command_line(monkeypatch):
    monkeypatch.setenv("RAYFLOW_RUN_ALPHA", "3")
    monkeypatch.setenv("RAYFLOW_RUN_TAG", "seen")

    run = CalledFlow.run(quiet=True)

    assert (run["start"].task.data.alpha, run.user_tags) == (3.0, {"seen"})


def test_a_failure_is_raised_with_the_users_own_lines_and_how_to_go_on(capsys):
    with pytest.raises(TaskFailedException) as caught:
        CalledFlow.run(fails=True)

    first, place, error, way_out = str(caught.value).split("\n")
    assert first.startswith("Run CalledFlow/") and first.endswith(" failed in step end.")
    assert place.strip().startswith(__file__) and place.endswith('in end    raise ValueError("boom")')
    assert (error, way_out) == ("  ValueError: boom", f"  Continue with: rayflow resume {__file__}")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": "much"}, UsageError, "Invalid value for '--alpha': 'much' is not a valid float"),
        ({"alhpa": 1}, ValueError, r"Unknown argument: 'alhpa'. Did you mean 'alpha'\? Possible args are: address, alpha, "),
        ({"tags": "best"}, TypeError, r"Invalid type for 'tags' \(str\): expected a list"),
        ({"max_workers": 0}, UsageError, "'--max-workers': 0 is not in the range"),
        ({"decospecs": ["nope"]}, Exception, "nope"),
        ({"executor": "cloud"}, ValueError, "'cloud' is not one of 'auto', 'ray'"),
    ],
)
def test_arguments_are_checked_as_on_the_command_line(arguments, error, message):
    with pytest.raises(error, match=message):
        CalledFlow.run(**arguments)

    assert not os.path.exists("root")


def test_a_flow_that_breaks_the_rules_is_refused_in_the_linters_words():
    with pytest.raises(LintWarn, match="missing"):
        Broken.run()


def test_a_step_called_run_stays_the_flows_own():
    run = super(StepNamedRun, StepNamedRun).run(alpha=4, quiet=True)

    assert run["run"].task.data.done == 4
    assert StepNamedRun.run.__qualname__ == "StepNamedRun.run"


def test_an_artifact_called_run_stays_the_flows_own():
    data = ArtifactNamedRun.run(quiet=True)["end"].task.data

    assert (data.had, data.run, data.more) == (False, 5, 6)


SCRIPT = """
from rayflow import FlowSpec, step


class ScriptFlow(FlowSpec):
    @step
    def start(self):
        self.x = 5
        self.next(self.end)

    @step
    def end(self):
        pass


{guard}run = ScriptFlow.run(executor="process")
{indent}print("x is", run["start"].task.data.x)
"""


def perform(text):
    with open("script.py", "w") as file:
        file.write(text)
    return subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=60)


def test_a_script_may_be_its_own_flow_file():
    result = perform(SCRIPT.format(guard='if __name__ == "__main__":\n    ', indent="    "))

    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "x is 5"), result.stderr


def test_a_call_that_every_worker_would_repeat_is_refused_with_the_way_out():
    result = perform(SCRIPT.format(guard="", indent=""))

    assert result.returncode == 1
    assert "ScriptFlow.run() was called while a worker imports" in result.stderr and 'if __name__ == "__main__":' in result.stderr


def test_ctrl_c_interrupts_the_run_and_says_how_to_go_on():
    with open("script.py", "w") as file:
        text = SCRIPT.format(guard='if __name__ == "__main__":\n    ', indent="    ")
        file.write(text.replace("self.x = 5", "print('begun', flush=True)\n        __import__('time').sleep(60)"))
    program = subprocess.Popen([sys.executable, "script.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in program.stdout if "begun" in line)

    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=30)

    assert program.returncode == -signal.SIGINT
    assert err.splitlines()[-1].startswith("KeyboardInterrupt: Run ScriptFlow/") and err.splitlines()[-1].endswith("script.py")
    namespace(None)
    assert [run.state for run in Flow("ScriptFlow")] == ["interrupted"]


def test_an_included_file_is_given_by_its_path(tmp_path):
    (tmp_path / "notes.txt").write_text("read me")

    assert WithFile.run(notes=tmp_path / "notes.txt", quiet=True)["end"].task.data.notes == "read me"


def test_configs_are_given_as_values_or_files(tmp_path):
    (tmp_path / "sizes.json").write_text('{"a": 10, "b": 20}')

    by_value = Configured.run(config_value=[("sizes", {"a": 1, "b": 2})], quiet=True)
    by_file = Configured.run(config=[("sizes", tmp_path / "sizes.json")], quiet=True)

    assert (by_value.data.total, by_file.data.total) == (3, 30)
