"""`doctor`: of the installation, with facts made up, and of files that no one runs."""

import io
import json
import os
from collections import Counter

import pytest

from rayflow.cli.checking import (
    State,
    checks,
    cluster_check,
    disk_check,
    package_checks,
    python_check,
    requires_of,
    root_checks,
    setting_checks,
    shm_check,
)
from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.porting import findings
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.flow.differences import BEHAVIOURS, DIFFERENCES, Kind, difference
from rayflow.model.errors import UserError
from rayflow.store import open_root

OLD = '''"""Uses --datastore in a docstring only, and METAFLOW_USER."""
import os, metaflow
from metaflow import FlowSpec, conda as c, kubernetes, batch, nonsense, resources, step
from metaflow.plugins.aws import Batch
import metaflow_extensions.foo
try:
    from metaflow import Deployer
except ImportError:
    Deployer = None
open("ran", "w")


@metaflow.trigger(event="e")
class Old(FlowSpec):
    @c(libraries={})
    @batch
    @step
    def start(self):
        os.environ["METAFLOW_USER"]
        os.system("python x.py --datastore=s3 run")
        self.next(self.end)

    @kubernetes(cpu=1)
    @step
    def end(self):
        pass


metaflow.Runner("x.py", datastore="s3", metadata="local")
'''


def doctor(cwd, *arguments, **environ):
    out, err = io.StringIO(), io.StringIO()
    call = Call(Prompt("rayflow"), Surroundings({"USER": "ann", "RAYFLOW_STATE_DIR": str(cwd / "state"), **environ}, str(cwd)), out, err)
    return run_program(call, ["doctor", *arguments]), out.getvalue(), err.getvalue()


# -- a flow's file -----------------------------------------------------------------------------------------------------


def test_a_file_is_told_line_by_line_what_differs_and_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.py").write_text(OLD)

    code, out, _ = doctor(tmp_path, "old.py")
    _, as_json, _ = doctor(tmp_path, "--json", "old.py:Old")

    assert [line for line in out.splitlines() if not line.startswith("    ")] == [
        "old.py:2: metaflow differs",
        "old.py:3: nonsense blocks",
        "old.py:4: metaflow.plugins.aws.Batch blocks",
        "old.py:5: metaflow_extensions.foo blocks",
        "old.py:7: Deployer differs",
        "old.py:13: @trigger differs",
        "old.py:15: @conda differs",
        "old.py:16: @batch blocks",
        "old.py:19: METAFLOW_USER differs",
        "old.py:20: --datastore differs",
        "old.py:23: @kubernetes differs",
        "old.py:29: --datastore blocks",
        "5 of 12 findings in the file keep the flow from running.",
    ]
    assert "    AWS Batch is not used, and a flow that asks for it is refused. Say what the step needs with @resources" in out
    assert (code, len(json.loads(as_json)), (tmp_path / "ran").exists()) == (1, 12, False)


@pytest.mark.parametrize(
    ("text", "expected", "code"),
    [
        ("from rayflow import FlowSpec, step\n", [], 0),
        ("import numpy\nfrom . import x\n", [], 0),
        ("from rayflow import R\n", [("R", True)], 1),
        ("from metaflow.decorators import StepDecorator, step\n", [("metaflow", False), ("metaflow.decorators.StepDecorator", True)], 1),
        ("from rayflow.nothing import x\n", [("rayflow.nothing.x", True)], 1),
        ("from metaflow import *\n", [("metaflow", False)], 0),
        ("import metaflow as mf\n@mf.batch\ndef f(): pass\n", [("metaflow", False), ("@batch", True)], 1),
        ("from metaflow.exception import MetaflowException\n", [("metaflow", False)], 0),
        ("from metaflow import resources\n@resources(cpu=1)\ndef f(): pass\n", [("metaflow", False), ("@resources", False)], 0),
    ],
)
def test_what_blocks_decides_the_exit_code(tmp_path, text, expected, code):
    (tmp_path / "flow.py").write_text(text)

    assert [(finding.name, finding.is_blocking) for finding in findings(str(tmp_path / "flow.py"))] == expected
    assert doctor(tmp_path, str(tmp_path / "flow.py"))[0] == code


def test_a_file_that_is_no_python_is_told_by_its_line(tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "zero.py").write_text("x = '\0'\n")

    code, _, err = doctor(tmp_path, str(tmp_path / "bad.py"))

    assert (code, "bad.py on line 2:\n    SyntaxError: invalid syntax" in err) == (1, True)
    assert (doctor(tmp_path, "nowhere.py")[0], doctor(tmp_path, str(tmp_path))[0]) == (2, 2)
    with pytest.raises(UserError):
        findings(str(tmp_path / "zero.py"))


def test_the_flows_of_the_tests_against_metaflow_run_and_are_told_so():
    directory = os.path.join(os.path.dirname(os.path.dirname(__file__)), "metaflow", "flows")
    flows = [os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".py")]

    assert [(path, found) for path in flows for found in findings(path) if found.is_blocking] == []


def test_every_difference_is_told_once_in_whole_sentences():
    assert [name for name, count in Counter((row.name, row.kind) for row in DIFFERENCES).items() if count > 1] == []
    assert [row.name for row in DIFFERENCES if row.here[-1] not in ".;" or row.way_out[-1] != "."] == []
    assert [what for what, count in Counter(row.what for row in BEHAVIOURS).items() if count > 1] == []
    assert difference("metaflow.plugins.aws.x").name == "metaflow.plugins"
    assert (difference("conda", Kind.NAME), difference("conda", Kind.DECORATOR).name) == (None, "conda")


# -- the installation --------------------------------------------------------------------------------------------------


def states(found):
    return [check.state for check in found]


def test_this_installation_is_fit(tmp_path):
    code, out, _ = doctor(tmp_path)
    as_json = json.loads(doctor(tmp_path, "--json")[1])

    assert code == 0, out
    assert {"ray", "pyarrow", "fsspec", "s3fs", "Python", "Root"} <= {line.split()[1] for line in out.splitlines() if line[:2] == "ok"}
    assert {each["state"] for each in as_json} <= {"ok", "warn"}
    assert os.listdir(tmp_path) == []


def test_packages_that_are_missing_or_too_old_fail_with_the_command_that_helps():
    needed = ["pyarrow>=17", "nothing-like-it>=1", "click>=9999", "tomli>=2; python_version < '3'", "pandas>=2; extra == 'pandas'"]
    found = list(package_checks(needed))

    assert states(found) == [State.OK, State.FAIL, State.FAIL]
    assert [check.fix for check in found] == ["", "pip install 'nothing-like-it>=1'", "pip install 'click>=9999'"]
    assert (len(requires_of("rayflow")) > 10, requires_of("nothing-like-it")) == (True, [])


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (python_check((3, 9)), State.FAIL),
        (python_check((3, 13)), State.OK),
        (python_check((3, 14)), State.FAIL),
        (disk_check("/", (100 << 30, 0, 100 << 20)), State.FAIL),
        (disk_check("/", (100 << 30, 0, 4 << 30)), State.WARN),
        (disk_check("/", (1000 << 30, 0, 40 << 30)), State.WARN),
        (disk_check("/", (100 << 30, 0, 50 << 30)), State.OK),
        (shm_check(64 << 20), State.WARN),
        (shm_check(8 << 30), State.OK),
    ],
)
def test_what_is_scarce_is_told_with_the_fix(check, state):
    assert (check.state, bool(check.fix)) == (state, state is not State.OK)


def test_a_root_that_is_there_not_there_yet_newer_or_a_file(tmp_path):
    open_root(str(tmp_path / "there"), create=True)
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "rayflow.json").write_text('{"version": 99}')
    (tmp_path / "file").write_text("")

    found = {name: states(root_checks(str(tmp_path / name))) for name in ("there", "absent", "newer", "file", "file/below")}

    assert found == {
        "there": [State.OK],
        "absent": [State.OK],
        "newer": [State.FAIL],
        "file": [State.FAIL],
        "file/below": [State.FAIL],
    }
    assert sorted(os.listdir(tmp_path)) == ["file", "newer", "there"] and os.listdir(tmp_path / "there") == ["rayflow.json"]


def test_a_root_that_cannot_be_written_is_told():
    [check] = root_checks("/proc/rayflow-root")

    assert (check.state, "nothing can be written in /proc" in check.told) == (State.FAIL, True)


def test_a_bucket_is_asked_and_left_as_it_was(bucket):
    url = bucket()
    found = list(root_checks(url))

    assert (states(found), found[0].told) == ([State.OK, State.OK], "S3 credentials: found (env)")
    assert "testing" not in "".join(check.told for check in found)
    assert list(open_root(url, create=True).list("probe")) == []


def test_a_bucket_that_is_not_there_fails(bucket):
    bucket()

    found = list(root_checks("s3://never-made/root"))

    assert (states(found), found[1].told.startswith("Root s3://never-made/root:")) == ([State.OK, State.FAIL], True)


def test_settings_that_cannot_be_used_fail(tmp_path):
    surroundings = Surroundings({"RAYFLOW_MAX_WORKERS": "x", "RAYFLOW_CACHE_GB": "-1"}, str(tmp_path))
    lost = Surroundings({"RAYFLOW_PROFILE": "gone", "HOME": str(tmp_path)}, str(tmp_path))

    assert (states(setting_checks(surroundings)), states(setting_checks(lost))) == ([State.FAIL] * 2, [State.FAIL])
    assert State.FAIL in states(checks(lost, None))
    assert doctor(tmp_path, RAYFLOW_MAX_WORKERS="x")[0] == 1


def test_a_directory_of_the_cluster_that_others_may_read_is_told(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    open_, absent = (cluster_check(Surroundings({"RAYFLOW_STATE_DIR": str(tmp_path / name)}, "/")) for name in ("open", "absent"))

    assert ((open_.state, open_.fix[:9]), absent.state) == ((State.WARN, "chmod 700"), State.OK)
