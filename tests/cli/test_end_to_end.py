"""The whole program as its user starts it: processes, real runs on the inline executor, real roots."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = '''
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import step


class TrainFlow(FlowSpec):
    """Trains."""

    alpha = Parameter("alpha", default=0.5, help="Learning rate.")

    @step
    def start(self):
        self.items = [1, 2, 3]
        self.next(self.train, foreach="items")

    @step
    def train(self):
        print("training", self.input)
        if self.input == 2 and self.alpha > 1:
            raise ValueError("boom")
        self.score = self.input * 10
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.score for each in inputs)
        self.note = "two\\nlines \\x1b[2Jof text"
        self.next(self.end)

    @step
    def end(self):
        print("total", self.total)


if __name__ == "__main__":
    TrainFlow()
'''


def perform(directory, *arguments):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW_")}
    environ["RAYFLOW_USER"] = "ann"
    return subprocess.run(arguments, check=False, cwd=directory, capture_output=True, text=True, timeout=100, env=environ)


def python(directory, *arguments):
    return perform(directory, sys.executable, "train.py", *arguments)


def rayflow(directory, *arguments):
    return perform(directory, sys.executable, "-c", "from rayflow.cli.main import main; main()", *arguments)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A directory with the script and a run that succeeded."""
    directory = tmp_path_factory.mktemp("done")
    (directory / "train.py").write_text(SCRIPT)
    result = python(directory, "run", "--executor", "inline", "--run-id-file", "id")
    assert result.returncode == 0, result.stderr
    return directory


def run_id(directory):
    return (directory / "id").read_text()


def test_both_ways_in_perform_the_same_command(done):
    by_script, by_program = python(done, "show"), rayflow(done, "show", "train.py")

    assert (by_script.returncode, by_script.stdout, by_script.stderr) == (0, by_program.stdout, by_program.stderr)


def test_a_failed_run_exits_with_1_shows_the_users_frame_and_its_resume_works(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)

    failed = rayflow(tmp_path, "run", "train.py", "--alpha", "2", "--executor", "inline")
    (tmp_path / "train.py").write_text(SCRIPT.replace("self.alpha > 1", "self.alpha > 9"))
    resumed = python(tmp_path, "resume", "--executor", "inline")

    assert (failed.returncode, resumed.returncode) == (1, 0)
    assert '        train.py:21 in train    raise ValueError("boom")\n      ValueError: boom\n' in failed.stderr
    assert failed.stderr.splitlines()[-1] == "    Continue with: rayflow resume train.py"
    assert "of run" in resumed.stdout and resumed.stdout.splitlines()[-1].endswith(" Done!")


def test_a_run_is_resumed_by_its_id_with_its_stored_code(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    python(tmp_path, "run", "--alpha", "2", "--executor", "inline", "--run-id-file", "id")
    (tmp_path / "train.py").unlink()

    resumed = rayflow(tmp_path, "resume", run_id(tmp_path), "--executor", "inline")

    assert resumed.returncode == 1
    assert "ValueError: boom" in resumed.stderr
    assert resumed.stderr.splitlines()[-1].startswith("    Continue with: rayflow resume 1")


def test_ls_and_show_tell_what_there_is(done):
    listed = json.loads(rayflow(done, "ls", "--json").stdout)
    shown = json.loads(rayflow(done, "show", "latest", "--json").stdout)

    assert [(run["flow"], run["run_id"], run["state"], run["user"]) for run in listed] == [("TrainFlow", run_id(done), "succeeded", "ann")]
    assert (shown["parameters"], shown["steps"], shown["failure"]) == (
        {"alpha": "0.5"},
        [{"step": step, "done": count, "failed": 0, "running": 0} for step, count in [("start", 1), ("train", 3), ("join", 1), ("end", 1)]],
        None,
    )


def test_show_draws_runs_steps_tasks_and_tables(done):
    run, step, task, table = (
        rayflow(done, "show", *arguments).stdout
        for arguments in (["latest"], ["latest/train"], ["latest/end"], ["latest/train", "--table"])
    )

    assert ["train  3     0       0"] == [line for line in run.splitlines() if line.startswith("train")]
    assert [line.split()[1:3] for line in step.splitlines()[1:]] == [["0", "done"], ["1", "done"], ["2", "done"]]
    assert len(task.splitlines()) == 2
    assert [line.split() for line in table.splitlines()] == [["index", "score"], ["0", "10"], ["1", "20"], ["2", "30"]]


def test_logs_show_what_was_printed_on_stdout_and_whose_it_is_on_stderr(done):
    result = python(done, "--quiet", "logs", f"{run_id(done)}/train")
    of_step = rayflow(done, "logs", "latest/end")

    assert (result.returncode, result.stdout, result.stderr) == (0, "training 1\ntraining 2\ntraining 3\n", "")
    assert (of_step.stdout, of_step.stderr) == ("total 60\n", f"Dumping stdout of {run_id(done)}/end/3\n")


def test_dump_shows_artifacts_sorted_and_leaves_large_ones_out(done):
    result = rayflow(done, "dump", "latest/join", "--include", "total,alpha")
    names = rayflow(done, "dump", "latest/join", "--max-value-size", "0", "--quiet")

    assert result.stdout == "alpha [size: 3 type: <class 'float'>] = 0.5\ntotal [size: 2 type: <class 'int'>] = 60\n"
    assert names.stdout.split() == ["alpha", "name", "note", "total"]


def test_dump_shows_texts_as_they_are_and_does_nothing_to_the_terminal(done):
    result = rayflow(done, "dump", "latest/join", "--include", "note")

    assert result.stdout.partition(" = ")[2] == "two\nlines of text\n"


def test_path_names_the_file_that_holds_an_artifact(done):
    found = json.loads(rayflow(done, "path", "latest/join/total", "--json").stdout)

    assert (found["name"], found["type"], os.path.exists(found["url"])) == ("total", "int", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "latest/trian"], "has no task of a step 'trian'. Did you mean 'train'?"),
        (["logs", "latest/train/99"], "/train has no task '99'. Tasks are: "),
        (["show", "nosuchrun"], "There is no run 'nosuchrun' under "),
        (["ls", "TrianFlow"], "There is no flow 'TrianFlow' under "),
        (["path", "latest/join/nope"], "has no artifact 'nope'."),
        (["dump", "latest"], "Expects RUN/step or RUN/step/task; got 'latest'."),
    ],
)
def test_what_is_not_there_exits_with_1_and_one_short_message(done, arguments, message):
    result = rayflow(done, *arguments)

    assert (result.returncode, result.stdout, "Traceback" in result.stderr) == (1, "", False)
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [["run"], ["bogus"], ["run", "nofile.py"], ["ls", "-n", "0"], ["show", "latest", "--table"]])
def test_wrong_usage_exits_with_2_and_one_message(done, arguments):
    result = rayflow(done, *arguments)

    assert (result.returncode, result.stdout, result.stderr.count("Error: ")) == (2, "", 1)


def test_help_loads_nothing_that_is_slow(done):
    code = (
        "import sys\nsys.argv = ['rayflow', '--help']\nfrom rayflow.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'rich', 'ray', 'pyarrow', 'numpy', 'fsspec', 'asyncio'} & set(sys.modules)), file=sys.stderr)"
    )

    result = perform(done, sys.executable, "-c", code)

    assert (result.returncode, result.stderr) == (0, "[]\n")


def test_a_reader_that_stops_reading_sees_no_traceback(done):
    line = f"{sys.executable} -c 'from rayflow.cli.main import main; main()' ls | true"

    result = perform(done, "bash", "-c", line)

    assert (result.returncode, result.stderr) == (0, "")
