"""`spin`: one step again by itself, with the inputs of an earlier task, and nothing of that run changed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from rayflow import Config, FlowSpec, Parameter, catch, current, environment, exit_hook, parallel, retry, step, timeout
from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.main import run_flow_command
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client import Flow, inspect_spin, metadata, namespace
from rayflow.model.errors import UserError


class Spun(FlowSpec):
    cfg = Config("cfg", default_value={"add": 100})
    alpha = Parameter("alpha", default=2)

    @environment(vars={"SPUN": "yes"})
    @step
    def start(self):
        self.numbers, self.large = [1, 2, 3], "x" * 100_000
        self.alpha_then, self.spun_then = self.alpha, os.environ.get("SPUN")
        self.next(self.body, foreach="numbers")

    @catch(var="problem")
    @retry(times=2)
    @timeout(minutes=1)
    @step
    def body(self):
        self.attempt = current.retry_count
        if self.alpha == 13 and self.index == 1:
            raise ValueError("unlucky")
        self.y = self.input * self.alpha + self.cfg.add + getattr(self, "extra", 0)
        self.length = len(self.large)
        self.next(self.loop)

    @step
    def loop(self):
        self.laps = getattr(self, "laps", 0) + 1
        self.case = "again" if self.laps < 3 else "on"
        self.next({"again": self.loop, "on": self.out}, condition="case")

    @step
    def out(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.ys = [getattr(each, "y", None) for each in inputs]
        self.merge_artifacts(inputs, include=["large"])
        self.next(self.call)

    @step
    def call(self):
        self.next(self.gang, num_parallel=2)

    @parallel
    @step
    def gang(self):
        self.next(self.after)

    @step
    def after(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        self.was = os.environ.get("SPUN")


def leave_word(run):
    with open("word", "a", encoding="utf-8") as file:
        file.write(f"{run.successful}\n")


@exit_hook(on_success=[leave_word], on_error=[leave_word])
class Hooked(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


@dataclass
class Said:
    code: int
    out: str
    err: str


class Desk:
    """Where commands of the flow are typed."""

    def __init__(self, directory):
        self.directory, self.root = directory, str(directory / ".rayflow")

    def __call__(self, *arguments, flow=Spun):
        surroundings = Surroundings({"RAYFLOW_USER": "ada", "RAYFLOW_EXECUTOR": "inline"}, str(self.directory))
        call = Call(Prompt("python spun.py"), surroundings, io.StringIO(), io.StringIO())
        return Said(run_flow_command(FlowCall(call, flow), arguments), call.out.getvalue(), call.err.getvalue())

    def spun(self, step):
        """The task of the newest spin that was kept."""
        inspect_spin(str(self.directory))
        namespace(None)
        return next(task for task in next(iter(Flow("Spun")))[step] if "origin-task-id" not in task.metadata_dict)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


@pytest.fixture
def done(desk):
    """A run that is over."""
    assert desk("run", "--alpha", "5").code == 0
    return desk


def every_file(directory):
    return {path: path.read_bytes() for path in (directory / ".rayflow").rglob("*") if path.is_file()}


def test_a_step_is_spun_with_the_inputs_of_the_newest_run_and_its_parameters(done):
    before = every_file(done.directory)

    said = done("spin", "join", "--persist")

    task = done.spun("join")
    assert (said.code, task.data.ys, len(task.data.large)) == (0, [105, 110, 115], 100_000)
    assert (task.metadata_dict["origin-run-id"], every_file(done.directory)) == (before_run(done), before)
    assert "ys: [105, 110, 115]" in said.out and "--root .rayflow_spin" in said.out


def before_run(desk):
    """The id of the run that was spun from."""
    metadata(desk.root)
    namespace(None)
    found = Flow("Spun").latest_run.id
    inspect_spin(str(desk.directory))
    return found


def test_nothing_is_kept_unless_it_is_asked_for(done):
    said = done("spin", "body")

    assert (said.code, "y: 105" in said.out, os.path.exists(".rayflow_spin")) == (0, True, False)


def test_a_task_can_be_named(done):
    metadata(done.root)
    namespace(None)
    second = sorted(Flow("Spun").latest_run["body"], key=lambda task: task.index)[1]

    assert done("spin", f"latest/body/{second.id}", "--persist").code == 0
    assert (done.spun("body").data.y, done.spun("body").index, done.spun("body").id) == (110, 1, second.id)
    assert done("spin", f"Spun/{second.parent.parent.id}/body", "--persist").code == 0


@pytest.mark.parametrize(("name", "told"), [("start", "alpha_then: 5"), ("loop", "laps: 1"), ("out", ""), ("after", ""), ("end", "was: ")])
def test_every_kind_of_step_can_be_spun(done, name, told):
    said = done("spin", name)

    assert (said.code, told in said.out) == (0, True), said.err


def test_a_later_lap_starts_from_the_one_before(done):
    metadata(done.root)
    namespace(None)
    lap = next(task.id for task in Flow("Spun").latest_run["loop"] if task.id.endswith("-2"))

    assert "laps: 3" in done("spin", f"latest/loop/{lap}").out


def test_artifacts_of_a_module_go_before_those_of_the_run(done):
    (done.directory / "a.py").write_text("ARTIFACTS = {'extra': 1000, 'large': 'short'}\n")
    (done.directory / "b.py").write_text("ARTIFACTS = {'alpha': 7}\n")

    (done.directory / "c.py").write_text("ARTIFACTS = {'alpha': 1000}\n")
    assert "y: 1100" in done("spin", "body", "--artifacts-module", "c.py").out  # a Parameter's too
    said = done("spin", "body", "--artifacts-module", "a.py")
    start = done("spin", "start", "--artifacts-module", "b.py")

    assert ("y: 1105" in said.out, "length: 5" in said.out, "alpha_then: 7" in start.out) == (True, True, True)


def test_the_inputs_of_a_join_are_named(done):
    metadata(done.root)
    namespace(None)
    join = Flow("Spun").latest_run["join"].task
    first = next(iter(join.parent_tasks))
    pathspec = "/".join(first.path_components[1:])
    (done.directory / "a.py").write_text(f"ARTIFACTS = {{{pathspec!r}: {{'y': 1}}}}\n")
    (done.directory / "b.py").write_text("ARTIFACTS = {'y': 1}\n")

    (done.directory / "c.py").write_text(f"ARTIFACTS = {{{pathspec!r}: 1}}\n")

    assert "ys: [1, 110, 115]" in done("spin", "join", "--artifacts-module", "a.py").out
    flat = done("spin", "join", "--artifacts-module", "c.py")
    assert (flat.code, "is no dict. Write the artifacts of that input" in flat.err) == (2, True)
    wrong = done("spin", "join", "--artifacts-module", "b.py")
    assert (wrong.code, "'y', which is no input of the join" in wrong.err, pathspec in wrong.err) == (2, True, True)


def test_only_what_a_step_cannot_do_without_acts(done):
    said = done("spin", "body")
    bare = done("spin", "body", "--skip-decorators")
    quiet = done("spin", "start")
    nothing = done("spin", "start", "--skip-decorators")

    assert "is spun without its decorators retry, catch." in said.out
    assert "is spun without its decorators timeout, retry, catch." in bare.out
    assert ("without its decorators" in quiet.out, "spun_then: 'yes'" in quiet.out) == (False, True)
    assert ("without its decorators environment." in nothing.out, "spun_then: 'yes'" in nothing.out) == (True, False)


def test_a_failure_fails_the_spin_at_once(desk):
    assert desk("run", "--alpha", "13").code == 0
    metadata(desk.root)
    namespace(None)
    unlucky = next(task for task in Flow("Spun").latest_run["body"] if task.index == 1)

    said = desk("spin", f"latest/body/{unlucky.id}")

    assert (said.code, said.out.count("Task is starting"), "unlucky" in said.out) == (1, 1, True)


@pytest.mark.parametrize(
    ("pathspec", "code", "words"),
    [
        ("nope", 1, "The flow has no step 'nope'. Steps are: start, body"),
        ("bodi", 1, "Did you mean 'body'?"),
        ("latest", 1, "The flow has no step 'latest'"),
        ("latest/nope", 1, "has no task of a step 'nope'"),
        ("latest/body/99", 1, "has no task '99'"),
        ("gang", 2, "Step 'gang' is a gang (@parallel)"),
    ],
)
def test_what_cannot_be_spun_is_said(done, pathspec, code, words):
    said = done("spin", pathspec)

    assert (said.code, words in said.err, "Traceback" in said.err) == (code, True, False), said.err


def test_without_a_run_there_is_nothing_to_spin(desk):
    said = desk("spin", "body")

    assert (said.code, "You have no run of Spun that reached step 'body'" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("X = 1\n", "has no dict ARTIFACTS"),
        ("ARTIFACTS = [1]\n", "has no dict ARTIFACTS"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("(", "SyntaxError"),
    ],
)
def test_a_module_without_artifacts_is_refused(done, content, words):
    (done.directory / "a.py").write_text(content)

    said = done("spin", "body", "--artifacts-module", "a.py")

    assert (said.code, words in said.err, "Traceback" in said.err) == (1, True, False)


def test_a_spin_calls_no_exit_hooks(desk):
    assert desk("run", flow=Hooked).code == 0
    before = (desk.directory / "word").read_text()

    assert desk("spin", "start", flow=Hooked).code == 0
    assert (before, (desk.directory / "word").read_text()) == ("True\n", "True\n")


def test_there_must_be_spins_to_look_at_them(tmp_path):
    with pytest.raises(UserError, match="There are no spins in"):
        inspect_spin(str(tmp_path))


def test_a_spin_can_be_spun_again(done):
    assert done("spin", "body", "--persist").code == 0

    assert done("--root", ".rayflow_spin", "spin", "body").code == 0


def test_a_step_with_packages_of_its_own_is_spun_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packed.py").write_text((Path(__file__).parent.parent / "upkeep" / "packed.py").read_text() + "\nPacked()\n")
    environ = {**os.environ, "RAYFLOW_ROOT": str(tmp_path / "root"), "RAYFLOW_USER": "ada"}

    def call(*arguments):
        return subprocess.run([sys.executable, "packed.py", *arguments], env=environ, capture_output=True, text=True, check=False)

    ran, spun = call("run", "--environment", "pypi"), call("spin", "start")
    without = call("spin", "start", "--skip-decorators")

    assert (ran.returncode, spun.returncode, without.returncode) == (0, 0, 1), (ran.stderr, spun.stderr)
    assert ("version: '10.1.0'" in spun.stdout, "No module named 'more_itertools'" in without.stderr) == (True, True), spun.stdout
