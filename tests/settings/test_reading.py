"""Where a setting is looked for, and what a text or a JSON value of each kind becomes."""

import json
import os

import pytest

from rayflow.client import find_root
from rayflow.model.errors import UsageError
from rayflow.settings import SETTINGS, Origin, read_settings, setting_named
from rayflow.settings.table import (
    CACHE,
    CACHE_GB,
    DEFAULT_DECOSPECS,
    EXECUTOR,
    FLOW_CONFIG,
    MAX_WORKERS,
    ROOT,
    STRICT_RESOURCES,
    USER,
)


def written(path, **entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def settings(home, cwd, **environ):
    cwd.mkdir(parents=True, exist_ok=True)
    return read_settings({"HOME": str(home), **environ}, str(cwd))


def test_the_environment_comes_before_the_project_and_that_before_the_profile(home):
    written(home / ".rayflow" / "config.json", RAYFLOW_USER="profile", RAYFLOW_EXECUTOR="ray", RAYFLOW_MAX_WORKERS=1)
    written(home / "p" / ".rayflow" / "config.json", RAYFLOW_USER="project", RAYFLOW_EXECUTOR="inline")

    found = settings(home, home / "p" / "deep" / "er", RAYFLOW_USER="mine")

    stated = [found.stated(each) for each in (USER, EXECUTOR, MAX_WORKERS, CACHE)]
    assert (found[USER], found[EXECUTOR], found[MAX_WORKERS], found[CACHE]) == ("mine", "inline", 1, None)
    assert [each and each.origin for each in stated] == [Origin.ENVIRONMENT, Origin.PROJECT, Origin.PROFILE, None]


def test_only_the_nearest_project_counts(home):
    written(home / "p" / ".rayflow" / "config.json", RAYFLOW_USER="outer")
    (home / "p" / "q" / ".rayflow").mkdir(parents=True)

    assert settings(home, home / "p" / "q")[USER] is None


def test_a_profile_is_another_file(home):
    written(home / ".rayflow" / "config.json", RAYFLOW_USER="one", RAYFLOW_MAX_WORKERS=1)
    written(home / ".rayflow" / "config_prod.json", RAYFLOW_USER="two")
    elsewhere = written(home / "other" / "config.json", RAYFLOW_USER="three")

    prod = settings(home, home / "p", RAYFLOW_PROFILE="prod")

    assert (prod[USER], prod[MAX_WORKERS], settings(home, home, RAYFLOW_HOME=str(elsewhere.parent))[USER]) == ("two", None, "three")


@pytest.mark.parametrize("profile", ["prod", "../x", "a/b", "a\nb"])
def test_a_profile_that_does_not_exist_is_an_error_that_names_the_variable(home, profile):
    with pytest.raises(UsageError, match=r"RAYFLOW_PROFILE|A profile cannot be named"):
        settings(home, home / "p", RAYFLOW_PROFILE=profile)


def test_the_home_of_profiles_is_no_root_unless_runs_are_there(home):
    written(home / ".rayflow" / "config.json", RAYFLOW_USER="ada")
    before = find_root(settings(home, home / "p"))
    (home / ".rayflow" / "rayflow.json").write_text("{}")

    assert (before, find_root(settings(home, home / "p"))) == (str(home / "p" / ".rayflow"), str(home / ".rayflow"))
    assert settings(home, home / "p").stated(USER).origin is Origin.PROFILE


def test_paths_in_a_file_are_relative_to_it_and_those_of_a_variable_to_where_one_is(home):
    written(home / ".rayflow" / "config.json", RAYFLOW_CACHE="cache")
    written(home / "p" / ".rayflow" / "config.json", RAYFLOW_ROOT="../runs")
    deep = home / "p" / "deep"

    assert (settings(home, deep)[CACHE], settings(home, deep)[ROOT]) == (str(home / ".rayflow" / "cache"), str(home / "runs"))
    assert settings(home, deep, RAYFLOW_ROOT="runs")[ROOT] == str(deep / "runs")
    assert settings(home, deep, RAYFLOW_ROOT="s3://b/x")[ROOT] == "s3://b/x"


def test_a_file_is_read_again_when_it_changed(home):
    file = written(home / ".rayflow" / "config.json", RAYFLOW_USER="one")
    first = settings(home, home)[USER]
    written(file, RAYFLOW_USER="another")

    assert (first, settings(home, home)[USER]) == ("one", "another")


@pytest.mark.parametrize(
    ("setting", "raw", "value"),
    [
        (MAX_WORKERS, "4", 4),
        (MAX_WORKERS, 4, 4),
        (CACHE_GB, "0.5", 0.5),
        (CACHE_GB, 0, 0.0),
        (STRICT_RESOURCES, "0", False),
        (STRICT_RESOURCES, "False", False),
        (STRICT_RESOURCES, "true", True),
        (STRICT_RESOURCES, True, True),
        (DEFAULT_DECOSPECS, "retry catch:var=x", ("retry", "catch:var=x")),
        (DEFAULT_DECOSPECS, '["retry"]', ("retry",)),
        (DEFAULT_DECOSPECS, ["retry"], ("retry",)),
        (FLOW_CONFIG, '{"a": "f"}', {"a": "f"}),
        (FLOW_CONFIG, {"a": "f"}, {"a": "f"}),
        (EXECUTOR, "RAY", "ray"),
        (USER, 77, "77"),
        (CACHE, "off", "off"),
    ],
)
def test_texts_and_json_become_values(home, setting, raw, value):
    written(home / ".rayflow" / "config.json", **{setting.variable: raw})

    assert settings(home, home)[setting] == value
    if isinstance(raw, str):
        assert read_settings({setting.variable: raw}, "/")[setting] == value


@pytest.mark.parametrize(
    ("setting", "raw", "told"),
    [
        (MAX_WORKERS, "many", "is 'many'"),
        (MAX_WORKERS, True, "is true"),
        (MAX_WORKERS, 0, "is 0"),
        (MAX_WORKERS, [1], r"is \[1\]"),
        (CACHE_GB, "nan", "is 'nan'"),
        (STRICT_RESOURCES, "perhaps", "is 'perhaps'"),
        (STRICT_RESOURCES, {}, r"is \{\}"),
        (DEFAULT_DECOSPECS, [1], r"is \[1\]"),
        (FLOW_CONFIG, "{", "is '{'"),
        (FLOW_CONFIG, ["a"], "is"),
        (EXECUTOR, "k8s", "is 'k8s'"),
        (USER, {"a": 1}, "is"),
    ],
)
def test_what_cannot_be_a_value_is_told_with_its_name_its_place_and_the_fix(home, setting, raw, told):
    file = written(home / ".rayflow" / "config.json", **{setting.variable: raw})
    found = settings(home, home)

    with pytest.raises(UsageError, match=f"{setting.variable} {told}.* in {file}.* Give "):
        found[setting]


def test_an_empty_variable_states_nothing_except_that_a_flag_is_off(home):
    written(home / ".rayflow" / "config.json", RAYFLOW_USER="ada", RAYFLOW_STRICT_RESOURCES=True)

    found = settings(home, home, RAYFLOW_USER="", RAYFLOW_STRICT_RESOURCES="")

    assert (found[USER], found[STRICT_RESOURCES]) == ("ada", False)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_file_that_is_none_is_named(home, text):
    written(home / ".rayflow" / "config.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(UsageError, match=f"The settings in {home / '.rayflow' / 'config.json'} "):
        settings(home, home)


def test_without_a_home_there_is_no_profile():
    assert read_settings({}, "/").files == ()


def test_settings_are_known_by_every_spelling_of_their_name():
    spelled = ("max-workers", "RAYFLOW_MAX_WORKERS", " Max_Workers ", "workers")

    assert [setting_named(name) for name in spelled] == [MAX_WORKERS, MAX_WORKERS, MAX_WORKERS, None]
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_a_notebook_finds_the_runs_where_the_settings_say(home, monkeypatch):
    from rayflow.client import default_metadata, default_namespace

    written(home / "p" / ".rayflow" / "config.json", RAYFLOW_ROOT="data", RAYFLOW_USER="projected")
    (home / "p" / "data").mkdir()
    for name in ("RAYFLOW_ROOT", "RAYFLOW_USER", "RAYFLOW_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "p")

    assert (default_metadata(), default_namespace()) == (f"local@{home / 'p' / 'data'}", "user:projected")
    assert os.getcwd() == str(home / "p")
