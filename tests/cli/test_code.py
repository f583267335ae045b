"""The code of runs on the command line: `package` before a run, `code pull` and `code diff` after it: all of it is the same code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

FLOW = """
import sys

from rayflow import FlowSpec, Parameter, isolated, package_suffixes, step

import helper


@package_suffixes([".json"])
class CodeFlow(FlowSpec):
    edits = Parameter("edits", default="")
    fails = Parameter("fails", default=False)

    @step
    def start(self):
        import common.tools

        if self.edits:
            with open(self.edits, "w") as file:
                file.write("VALUE = 'edited while the run went on'")
        self.seen = [helper.VALUE, common.tools.VALUE]
        self.next(self.middle)

    @isolated
    @step
    def middle(self):
        import os

        self.files = sorted(os.listdir(os.path.dirname(helper.__file__)))
        self.seen = [*self.seen, helper.VALUE]
        if self.fails and os.path.exists(self.edits + ".fail"):
            raise ValueError("as asked")
        self.next(self.end)

    @step
    def end(self):
        print(" ".join(self.seen))


if __name__ == "__main__":
    CodeFlow()
"""


@pytest.fixture
def place(tmp_path):
    """A project with a flow, and a directory of modules besides."""
    files = {
        "project/flow.py": FLOW,
        "project/helper.py": "VALUE = 'own'\n",
        "project/table.json": '{"rows": 3}\n',
        "project/notes.md": "",
        "project/server.json.pem": "",
        "shared/common/tools.py": "VALUE = 'common'\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def perform(place):
    def perform(*words, cwd="project", path="shared"):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW_")}
        environ = {**environ, "RAYFLOW_USER": "ann", "RAYFLOW_ROOT": str(place / "root"), "PYTHONPATH": str(place / path) if path else ""}
        environ["HOME"] = str(place)
        done = subprocess.run(
            [sys.executable, *words], check=False, cwd=place / cwd, capture_output=True, text=True, timeout=100, env=environ
        )
        return done.returncode, done.stdout, done.stderr

    return perform


RUN = ("flow.py", "--package-modules", "common", "--executor", "process", "run")
RAYFLOW = ("-m", "rayflow")
CODE = ["common/tools.py", "flow.py", "helper.py", "table.json"]


def test_package_shows_what_a_run_stores_and_stores_nothing(perform, place):
    listed = perform("flow.py", "package", "list", "--package-modules", "common")
    told = json.loads(perform(*RAYFLOW, "package", "info", "flow.py", "--package-modules", "common", "--json")[1])
    saved = perform("flow.py", "--package-modules", "common", "package", "save", "out.zip")
    is_empty = not (place / "root").exists()
    assert perform(*RUN)[0] == 0

    assert listed == (0, "".join(f"{name}\n" for name in CODE), "")
    assert (told["files"], told["suffixes"], told["modules"]) == (4, [".py", ".json"], ["common"])
    assert (saved, is_empty) == ((0, "", "Code package with 4 files written to *out.zip*\n"), True)
    assert os.listdir(place / "root" / "CodeFlow" / "code") == [f"{told['digest']}.zip"]
    with zipfile.ZipFile(place / "project" / "out.zip") as archive:
        assert archive.namelist() == CODE


def test_every_worker_runs_the_code_that_was_there_when_the_run_began(perform, place):
    code, out, _ = perform(*RUN, "--edits", str(place / "project" / "helper.py"))

    assert (code, "own common own" in out) == (0, True)


def test_a_run_goes_on_with_its_code_where_no_file_of_it_is_left(perform, place):
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "x.fail").write_text("")
    failed = perform(*RUN, "--fails", "1", "--edits", str(place / "elsewhere" / "x"))
    before = os.listdir(place / "root" / "CodeFlow" / "code")
    for directory in ("project", "shared"):
        shutil.rmtree(place / directory)
    (place / "elsewhere" / "x.fail").unlink()

    resumed = perform(*RAYFLOW, "resume", "latest", "--executor", "process", cwd="elsewhere", path="")

    assert (failed[0], resumed[0], "own common own" in resumed[1]) == (1, 0, True), resumed
    assert os.listdir(place / "root" / "CodeFlow" / "code") == before


def test_code_pull_brings_the_files_back_once_as_they_were_and_they_are_no_part_of_the_next_package(perform, place):
    assert perform(*RUN)[0] == 0
    (place / "project" / "helper.py").write_text("VALUE = 'new'\n")

    code, out, err = perform(*RAYFLOW, "code", "pull", "latest")
    again = perform(*RAYFLOW, "code", "pull", "latest")
    listed = perform("flow.py", "package", "list")[1].split()

    pulled = place / "project" / out.strip()
    assert (code, out.startswith("codeflow_"), err.startswith("4 files of CodeFlow/")) == (0, True, True)
    assert (pulled / "helper.py").read_text() == "VALUE = 'own'\n"
    assert (again[0], "exists, and is left as it is. Name another with --dir." in again[2]) == (1, True)
    assert listed == CODE[1:]


def test_code_diff_is_a_patch_that_git_takes_back(perform, place):
    assert perform(*RUN)[0] == 0
    project = place / "project"
    same = perform(*RAYFLOW, "code", "diff", "latest")
    (project / "helper.py").write_text("VALUE = 'new'")
    (project / "added.py").write_text("")
    (project / "my table.json").write_text("[]\n")
    (project / "table.json").unlink()

    code, patch, err = perform(*RAYFLOW, "code", "diff", "latest")
    elsewhere = perform(*RAYFLOW, "code", "diff", "latest", "--dir", "project", cwd=".")
    (place / "changes.patch").write_text(patch)
    git = subprocess.run(["git", "apply", "-R", "../changes.patch"], cwd=project, capture_output=True, text=True, check=False)

    assert (same[:2], same[2].endswith(" and here: the same code\n")) == ((0, ""), True)
    assert (code, err.endswith(" and here: 4 files differ\n"), elsewhere[:2]) == (1, True, (1, patch))
    assert (git.returncode, git.stderr) == (0, "")
    assert perform(*RAYFLOW, "code", "diff", "latest")[0] == 0
    assert sorted(os.listdir(project)) == ["__pycache__", "flow.py", "helper.py", "notes.md", "server.json.pem", "table.json"]


def test_code_diff_compares_two_runs_and_says_what_cannot_be_compared(perform, place):
    assert perform(*RUN)[0] == 0
    (place / "project" / "helper.py").write_text("VALUE = 'new'\n")
    assert perform(*RUN)[0] == 0
    first, second = sorted(os.listdir(place / "root" / "CodeFlow" / "runs"))

    code, out, err = perform(*RAYFLOW, "code", "diff", first, second, "--json", cwd=".")
    found = json.loads(out)
    quiet = perform(*RAYFLOW, "code", "diff", first, second, "--quiet")
    nowhere = perform(*RAYFLOW, "code", "diff", first, cwd="shared")

    assert (code, err, found["is_equal"], [(each["name"], each["change"]) for each in found["files"]]) == (
        1, "", False, [("helper.py", "changed")],
    )  # fmt: skip
    assert found["files"][0]["diff"].endswith("@@ -1 +1 @@\n-VALUE = 'own'\n+VALUE = 'new'\n")
    assert quiet == (1, "", "")
    assert (nowhere[0], "There is no flow.py in " in nowhere[2]) == (2, True)
