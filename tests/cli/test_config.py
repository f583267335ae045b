"""`config` and `configure`, and what settings do to a run: over the real files of a directory of the test's own."""

import io
import json
import os
import stat

import pytest

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.main import run_flow_command, run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import step
from rayflow.settings import SETTINGS
from tests.cli.telling import Outcomes, Runtime, TrainFlow


class Place:
    """A user's home and the directory of a project below it."""

    def __init__(self, path):
        self.home, self.cwd = path / "home", path / "home" / "project"
        self.cwd.mkdir(parents=True)
        self.profile = self.home / ".rayflow" / "config.json"
        self.project = self.cwd / ".rayflow" / "config.json"

    def write(self, path, **entries):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(entries))

    def __call__(self, *arguments, flow=None, **environ):
        runtime, out, err = Runtime(), io.StringIO(), io.StringIO()
        surroundings = Surroundings({"USER": "ann", "HOME": str(self.home), **environ}, str(self.cwd))
        call = Call(Prompt("rayflow"), surroundings, out, err, runtime.run, runtime.resume)
        code = run_flow_command(FlowCall(call, flow), list(arguments)) if flow else run_program(call, arguments)
        return Outcomes(code, out.getvalue(), err.getvalue(), runtime.asked)

    def settings(self, *arguments, flow=TrainFlow, **environ):
        """The runtime's settings of a run."""
        outcomes = self(*arguments, flow=flow, **environ)
        assert outcomes.code == 0, outcomes.err
        return outcomes.asked[0]["settings"]

    def lines(self, *arguments, **environ):
        return {line["name"]: line for line in json.loads(self("config", "--json", *arguments, **environ).out)}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_config_shows_every_setting_and_who_says_so(place):
    place.write(place.profile, RAYFLOW_USER="profiled", MAX_WORKERS=2, RAYFLOW_TABLES="parquet")
    place.write(place.project, RAYFLOW_USER="projected", RAYFLOW_MAX_WORKERS=3)

    told = place("config", RAYFLOW_USER="me")
    lines = place.lines(RAYFLOW_USER="me")

    assert (told.code, list(lines)) == (0, [setting.name for setting in SETTINGS])
    assert {name: (line["value"], line["origin"], line["place"]) for name, line in lines.items() if line["value"] is not None} == {
        "ROOT": (str(place.cwd / ".rayflow"), "default", ""),
        "USER": ("me", "environment", "RAYFLOW_USER"),
        "MAX_WORKERS": (3, "project", str(place.project)),
        "TABLES": ("parquet", "profile", str(place.profile)),
        "STATE_DIR": (str(place.home / ".local" / "state" / "rayflow"), "default", ""),
        "HOME": (str(place.home / ".rayflow"), "default", ""),
    }
    assert ("MAX_WORKERS", "3", str(place.project)) in [tuple(line.split(maxsplit=2)) for line in told.out.splitlines()]


def test_a_value_that_cannot_be_used_is_told_with_its_place_and_the_way_out(place):
    place.write(place.profile, RAYFLOW_MAX_WORKERS="many")

    told = place("config")
    run = place("run", flow=TrainFlow)

    words = f"Error: RAYFLOW_MAX_WORKERS is 'many' in {place.profile}. Give a whole number from 1 on.\n"
    assert (told.code, told.err, run.code, run.err.endswith(words), run.asked) == (1, words, 2, True, [])


def test_what_nothing_reads_is_told_with_what_it_may_have_meant(place):
    place.write(place.profile, RAYFLOW_EXECUTER="ray", colour="dark", rayflow_home="/x")
    known = {"RAYFLOW_RUN_ALPHA": "1", "RAYFLOW_CLUSTER_0": "t", "RAYFLOW_LS_TAG": "x", "RAYFLOW_WITH": "retry", "RAYFLOW_OUTPUT_RAW_X": ""}

    told = place("config", RAYFLOW_ROOTS="x", RAYFLOW_SOMETHING="y", **known)

    assert (told.code, told.err.splitlines()) == (
        0,
        [
            "Warning: Nothing reads the variable RAYFLOW_ROOTS. Did you mean RAYFLOW_ROOT?",
            "Warning: Nothing reads the variable RAYFLOW_SOMETHING.",
            f"Warning: {place.profile} has 'RAYFLOW_EXECUTER', which is no setting that a file can state. Did you mean RAYFLOW_EXECUTOR?",
            f"Warning: {place.profile} has 'colour', which is no setting that a file can state.",
            f"Warning: {place.profile} has 'rayflow_home', which is no setting that a file can state. Did you mean RAYFLOW_HOME?",
        ],
    )


def test_what_looks_like_a_secret_is_hidden(place):
    value = {"cfg": {"db_password": "hunter2", "keyboard": "de", "list": ["https://ada:pw@host/x"], "API_KEY": "k1"}}
    place.write(place.profile, RAYFLOW_ROOT="s3://key:hunter2@bucket/x", RAYFLOW_FLOW_CONFIG_VALUE=value, my_token="hunter2")

    shown, listed = place("configure", "show"), place("config")

    assert "hunter2" not in shown.out + listed.out and "k1" not in shown.out + listed.out and ":pw@" not in shown.out
    assert "my_token=(hidden)\n" in shown.out and "s3://(hidden)@bucket/x" in shown.out and '"keyboard": "de"' in listed.out


# -- changing them -----------------------------------------------------------------------------------------------------


def test_what_configure_sets_is_what_a_run_gets_until_it_is_unset(place):
    place("configure", "set", "max-workers", "4")
    place("configure", "set", "RAYFLOW_DEFAULT_DECOSPECS", "retry:times=2 timeout:minutes=1")
    set_, mode = place.settings("run"), stat.S_IMODE(place.profile.stat().st_mode)
    unset = place("configure", "unset", "MAX_WORKERS")
    again = place("configure", "unset", "MAX_WORKERS")

    assert (set_.max_workers, mode) == (4, 0o600)
    assert (unset.code, json.loads(place.profile.read_text())) == (0, {"RAYFLOW_DEFAULT_DECOSPECS": ["retry:times=2", "timeout:minutes=1"]})
    assert (again.code, place.settings("run").max_workers) == (2, None)


def test_a_setting_replaces_what_the_file_says_without_the_prefix_and_leaves_the_rest(place):
    place.write(place.profile, MAX_WORKERS=2, theme="dark")

    place("configure", "set", "MAX_WORKERS", "5")

    assert json.loads(place.profile.read_text()) == {"RAYFLOW_MAX_WORKERS": 5, "theme": "dark"}


def test_a_profile_is_made_by_setting_something_and_is_chosen_by_the_environment(place):
    missing = place("config", RAYFLOW_PROFILE="prod")
    place("configure", "set", "executor", "process", "--profile", "prod")

    assert (missing.code, "no profile 'prod', which RAYFLOW_PROFILE names" in missing.err) == (2, True)
    assert (place.settings("run", RAYFLOW_PROFILE="prod").executor, place.settings("run").executor) == ("process", "auto")


def test_here_are_the_settings_of_the_nearest_root(place):
    place("configure", "set", "--here", "tables", "parquet")
    place("configure", "set", "tables", "arrow")
    (place.cwd / "below").mkdir()
    place.cwd = place.cwd / "below"

    assert (json.loads(place.project.read_text()), place.settings("run").tables) == ({"RAYFLOW_TABLES": "parquet"}, "parquet")
    assert place("configure", "show", "--here", "--profile", "p").code == 2


def test_settings_travel_from_file_to_file(place, tmp_path):
    place.write(place.profile, RAYFLOW_MAX_WORKERS=3, RAYFLOW_USER="ada")
    exported = tmp_path / "out.json"

    first, second = place("configure", "export", str(exported)), place("configure", "export", str(exported))
    imported = place("configure", "import", str(exported), "--profile", "copy")
    removed = place("configure", "reset", "--yes")

    assert (first.code, second.code, imported.code, removed.code) == (0, 2, 0, 0)
    assert json.loads((place.home / ".rayflow" / "config_copy.json").read_text()) == {"RAYFLOW_MAX_WORKERS": 3, "RAYFLOW_USER": "ada"}
    assert not place.profile.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "max-worker", "3"), "There is no setting 'max-worker'. Did you mean 'MAX_WORKERS'"),
        (("set", "METAFLOW_USER", "x"), "There is no setting 'METAFLOW_USER'."),
        (("set", "MAX_WORKERS", "0"), "MAX_WORKERS cannot be '0'. Give a whole number from 1 on."),
        (("set", "EXECUTOR", "k8s"), "EXECUTOR cannot be 'k8s'. Give auto, ray, process or inline."),
        (("set", "FLOW_CONFIG", "[1]"), "FLOW_CONFIG cannot be '[1]'. Give JSON such as"),
        (("set", "PROFILE", "x"), "RAYFLOW_PROFILE says which files there are, so no file can set it."),
        (("set", "USER", "x", "--profile", "../../x"), "A profile cannot be named '../../x'."),
        (("unset", "USR"), "USR is not set in"),
        (("import", "nowhere.json"), "There is no file 'nowhere.json'."),
        (("import", "bad.json"), "RAYFLOW_CACHE_GB in bad.json is true. Give a number of gigabytes"),
        (("import", "list.json"), "The settings in list.json are no JSON object."),
        (("export", "/nowhere/x"), "/nowhere/x cannot be written: No such file or directory."),
        (("reset",), "Say so with --yes."),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out_and_changes_nothing(place, arguments, words, monkeypatch):
    monkeypatch.chdir(place.cwd)
    place.write(place.profile, RAYFLOW_TABLES="arrow")
    (place.cwd / "bad.json").write_text('{"RAYFLOW_USER": "ada", "RAYFLOW_CACHE_GB": true}')
    (place.cwd / "list.json").write_text("[]")
    before = place.profile.read_bytes()

    told = place("configure", *arguments)

    assert (told.code, words in told.err, place.profile.read_bytes(), told.out) == (2, True, before, "")


def test_a_broken_file_is_named_and_can_be_reset(place):
    place.write(place.profile)
    place.profile.write_text('{"RAYFLOW_USER": ')

    broken, reset = place("run", flow=TrainFlow), place("configure", "reset", "-y")

    assert (broken.code, f"The settings in {place.profile} are not valid JSON" in broken.err) == (2, True)
    assert (reset.code, place("config").code) == (0, 0)


def test_a_link_to_the_settings_stays_one(place):
    real = place.home / "dotfiles.json"
    real.write_text("{}")
    place.profile.parent.mkdir()
    place.profile.symlink_to(real)

    place("configure", "set", "USER", "ada")

    assert (place.profile.is_symlink(), json.loads(real.read_text()), os.listdir(place.profile.parent)) == (
        True,
        {"RAYFLOW_USER": "ada"},
        ["config.json"],
    )


# -- what they do ------------------------------------------------------------------------------------------------------


def test_an_option_comes_before_the_environment_that_before_files_and_those_before_the_default(place):
    place.write(place.profile, RAYFLOW_MAX_LOG_SIZE=20)

    found = [
        place.settings("run", "--max-log-size", "50", RAYFLOW_MAX_LOG_SIZE="30").max_log_mb,
        place.settings("run", RAYFLOW_MAX_LOG_SIZE="30").max_log_mb,
        place.settings("run").max_log_mb,
        place.settings("run", RAYFLOW_HOME="/none").max_log_mb,
    ]

    assert found == [50, 30, 20, 10]


def test_every_option_that_a_setting_is_the_default_of_gets_it(place):
    place.write(
        place.profile,
        RAYFLOW_EXECUTOR="inline",
        RAYFLOW_ADDRESS="local",
        RAYFLOW_MAX_WORKERS=2,
        RAYFLOW_MAX_NUM_SPLITS="9",
        RAYFLOW_TABLES="Parquet",
        RAYFLOW_STRICT_RESOURCES=True,
        RAYFLOW_BRANCH="b",
        RAYFLOW_ROOT="runs",
    )

    for command in ("run", "resume"):
        got = place.settings(command)
        assert (got.executor, got.address, got.max_workers, got.max_num_splits, got.tables, got.is_strict, got.branch, got.root) == (
            *("inline", "local", 2, 9, "parquet", True, "b"),
            str(place.profile.parent / "runs"),
        )
    assert place.settings("run", "--executor", "ray", RAYFLOW_BRANCH="c").branch == "c"


def test_quiet_can_be_set_and_be_taken_back(place):
    place.write(place.profile, RAYFLOW_QUIET=True)

    assert (place("check", flow=TrainFlow).err, place("--not-quiet", "check", flow=TrainFlow).err != "") == ("", True)


class Taken(FlowSpec):
    tables = Parameter("tables", default="mine")

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_a_parameter_of_the_name_of_an_option_does_not_get_its_setting(place):
    place.write(place.profile, RAYFLOW_TABLES="parquet")

    asked = place("run", flow=Taken).asked[0]

    assert (asked["given"], asked["settings"].tables) == ({}, "parquet")
