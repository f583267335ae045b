"""What a shell offers at TAB, over a real root; and that bash itself takes the script."""

import io
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from rayflow.cli.commands.call import Call
from rayflow.cli.commands.completion import script
from rayflow.cli.completing import answer, completions
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from tests.cli.test_end_to_end import SCRIPT, python


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a flow, two of its runs, of which the first failed, and a directory."""
    directory = tmp_path_factory.mktemp("place")
    (directory / "train.py").write_text(SCRIPT)
    (directory / "below").mkdir()
    for run_id, alpha in (("first", "2"), ("second", "0.5")):
        python(directory, "run", "--executor", "inline", "--run-id", run_id, "--alpha", alpha)
    return directory


@pytest.fixture
def offered(place, monkeypatch):
    monkeypatch.chdir(place)
    call = Call(Prompt("rayflow"), Surroundings({"USER": "ann"}, str(place)), io.StringIO(), io.StringIO())

    def offer(line):
        *words, incomplete = line.split(" ")
        return [item.value for item in completions(call, words, incomplete)]

    return offer


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conf", ["config", "configure"]),
        ("configure un", ["unset"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("run ", ["below/", "train.py"]),
        ("run --max-w", ["--max-workers"]),
        ("run train.py --al", ["--alpha"]),
        ("run train.py --max-w", ["--max-workers"]),
        ("run train.py --executor p", ["process"]),
        ("train.py re", ["resume"]),
        ("train.py resume ", ["start", "train", "join", "end"]),
        ("train.py spin t", ["train"]),
        ("tra", ["train.py"]),
        ("ls ", ["TrainFlow"]),
        ("show ", ["latest", "latest-failed", "second", "first", "TrainFlow/"]),
        ("show f", ["first"]),
        ("show t", ["train.py"]),
        ("show TrainFlow/", ["TrainFlow/second", "TrainFlow/first"]),
        ("logs latest/", ["latest/start", "latest/train", "latest/join", "latest/end"]),
        ("logs scrub first/t", ["first/train"]),
        ("dump TrainFlow/latest-failed/e", ["TrainFlow/latest-failed/end"]),
        ("resume latest-failed j", ["join"]),
        ("diff first sec", ["second"]),
        ("tag add sec", ["second"]),
        ("rm first sec", ["second"]),
    ],
)
def test_what_may_come_next_is_offered(offered, line, expected):
    assert offered(line) == expected


def test_nobodys_code_is_run_to_know_the_parameters(offered, place):
    (place / "careless.py").write_text("open('ran', 'w')\nalpha = Parameter('alpha', help='a')\nbad = Parameter(name)\n")

    assert (offered("run careless.py --alp"), (place / "ran").exists()) == (["--alpha"], False)


@pytest.mark.parametrize("content", ["def broken(:", "\0"])
def test_whatever_goes_wrong_nothing_is_said(place, monkeypatch, capfd, content):
    (place / "broken.py").write_text(content)
    monkeypatch.chdir(place)
    for words in ("rayflow run broken.py --alp", "rayflow show nothing/", "rayflow nonsense x", "rayflow 'unclosed"):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert answer(Call(Prompt("rayflow"), Surroundings({"HOME": "/nowhere"}, str(place)), io.StringIO()), "bash_complete") == 0

    assert capfd.readouterr() == ("", "")


def test_no_names_are_looked_for_on_a_bucket(place):
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": "s3://nowhere/x"}, str(place)))

    assert [item.value for item in completions(call, ["show"], "")] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes(place):
    program = f"{os.path.dirname(sys.executable)}/rayflow"
    typed = f"""
        {script("bash")}
        COMP_WORDS=({shlex.quote(program)} resume latest-failed tr); COMP_CWORD=3
        _rayflow_completion {shlex.quote(program)}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", typed], cwd=place, capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == ("train\n", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_scripts_too(shell):
    assert f"_RAYFLOW_COMPLETE={shell}_complete" in script(shell)


def test_completing_loads_neither_the_client_nor_anything_heavy():
    code = (
        "import os, sys; from rayflow.cli.completing import answer; from rayflow.cli.commands.call import Call; "
        "from rayflow.cli.reporting.prompt import Prompt; os.environ.update(COMP_WORDS='rayflow show x', COMP_CWORD='2'); "
        "answer(Call(Prompt('rayflow')), 'bash_complete'); "
        "print(sorted({'rayflow.client', 'ray', 'pyarrow', 'fsspec', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr == "[]\n"
