"""Every error of a user, as the command line tells it: its class, its words, its exit code, and nothing of what is inside rayflow."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path

import pytest

import rayflow
from rayflow import Flow, metadata, namespace
from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.exception import ParameterFieldFailed, RayflowException, TaskFailedException, UsageError
from tests.cli.catalogue import Row, commands, failing, flow, kuberay, plain, refused

PACKAGE = os.path.dirname(rayflow.__file__)


def rows(table: dict[str, list[Row]]) -> list[pytest.param]:
    return [pytest.param(row, id=f"{part}: {row.name}") for part, found in table.items() for row in found]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with what the rows name. Loading a flow changes `sys`: that is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    (tmp_path / "raw.bin").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "raw.json").write_text("{}")
    return tmp_path


def typed(here: Path, row: Row) -> tuple[int, str, str]:
    """What `rayflow ...` ends with and says: exit code, stdout, stderr."""
    words = shlex.split(row.typed)
    if row.source:
        (here / next(word for word in words if word.endswith(".py"))).write_text(row.source, encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    call = Call(Prompt("rayflow"), Surroundings({"USER": "ann", "HOME": str(here), "RAYFLOW_EXECUTOR": "inline"}, str(here)), out, err)
    code = run_program(call, words)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("row", rows({**refused.ROWS, **kuberay.ROWS}))
def test_an_error_before_any_task_has_its_class_its_words_and_its_exit_code(here, row):
    code, out, err = typed(here, row)

    assert (code, out) == (row.exit_code, ""), err
    headline = "Error: " if row.error is UsageError else f"    {row.error.headline}"
    assert sum(line.startswith(headline) for line in err.splitlines() if line.startswith("Error: ") or line.endswith(":")) == 1, err
    assert [words for words in row.words if words not in err] == [], err
    assert ("Traceback" in err, PACKAGE in err) == (row.error is ParameterFieldFailed, False), err
    assert not os.path.exists(here / ".rayflow" / "F" / "runs")


@pytest.mark.parametrize("row", rows(failing.ROWS))
def test_an_error_in_a_task_ends_the_run_and_is_told_by_its_class_and_its_words(here, row):
    code, out, err = typed(here, row)

    assert (code, out.splitlines()[-1].endswith("Workflow failed.")) == (1, True), err
    _, _, failure = err.partition("    Step failure:\n")
    assert ("Traceback" in failure, PACKAGE in failure) == (False, False), err
    named = row.error is TaskFailedException or f"{row.error.__name__}: " in failure
    assert (named, [words for words in row.words if words not in failure]) == (True, []), err
    assert "Continue with: rayflow resume flow.py" in failure
    metadata(str(here))
    namespace(None)
    task = next(task for step in Flow("F").latest_run for task in step if not task.finished)
    if issubclass(row.error, RayflowException) and row.error is not TaskFailedException:
        assert (f"    {row.error.headline}" in task.stderr, "Traceback" in task.stderr, PACKAGE in task.stderr) == (True, False, False), (
            task.stderr
        )


@pytest.fixture
def run(here):
    """The run of a flow that nothing is wrong with; its Parameter is required."""
    typed(here, Row("", "run flow.py --alpha 1", UsageError, (), plain(fields="alpha = Parameter('alpha', type=int, required=True)")))
    metadata(str(here))
    namespace(None)
    return Flow("F").latest_run


@pytest.mark.parametrize("row", rows(commands.COMMANDS))
def test_a_command_that_cannot_be_done_says_why(here, run, row):
    code, out, err = typed(here, row)

    assert (code, out) == (row.exit_code, ""), err
    headline = "Error: " if row.error is UsageError else f"    {row.error.headline}:"
    assert sum(line.startswith(headline) for line in err.splitlines()) == 1, err
    assert ([words for words in row.words if words not in err], "Traceback" in err, PACKAGE in err) == ([], False, False), err


@pytest.mark.parametrize("asked", [pytest.param(asked, id=asked.name) for asked in commands.ASKED])
def test_what_a_program_asks_for_in_vain_is_raised(run, asked):
    with pytest.raises(asked.error) as raised:
        asked.ask(run)

    assert (raised.type, [words for words in asked.words if words not in str(raised.value)]) == (asked.error, []), raised.value


def test_a_failure_that_is_caught_is_told_and_ends_well(here):
    source = flow("@catch(var='why')\nstart(self): self.next(self.end)", "end(self): pass").replace(
        "def start(self):", "def start(self): 1 / 0;"
    )

    code, out, _ = typed(here, Row("", "run flow.py", ZeroDivisionError, (), source))

    metadata(str(here))
    namespace(None)
    task = Flow("F").latest_run["start"].task
    assert (code, out.splitlines()[-1].endswith("Done!"), task.data.why.type) == (0, True, "builtins.ZeroDivisionError")
    assert "@catch caught an exception from <flow F step start>" in task.stdout
