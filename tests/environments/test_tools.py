"""How the programs that make environments are found and called."""

from __future__ import annotations

import os

import pytest

from rayflow.environments import conda, tools
from rayflow.environments.projects import find_project, missing_project
from rayflow.environments.tools import Calling, told, uv_environ
from rayflow.model.errors import InvalidEnvironmentException


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An account whose pip has a file of settings, on a machine that has none."""
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://index.example/simple\nextra-index-url =\n    https://more.example/simple\n    file:///nowhere/simple\n"
    )
    return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none"), "VIRTUAL_ENV": "/venv", "PYTHONPATH": "/mine"}


def test_uv_has_the_indexes_of_pip_where_it_has_none_of_its_own(home):
    given = uv_environ(home)

    assert (given["UV_INDEX_URL"], given["UV_EXTRA_INDEX_URL"]) == ("https://index.example/simple", "https://more.example/simple")
    assert given["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert uv_environ({**home, "PIP_INDEX_URL": "https://other.example"})["UV_INDEX_URL"] == "https://other.example"
    assert "UV_INDEX_URL" not in uv_environ({**home, "UV_DEFAULT_INDEX": "https://own.example"})


def test_uv_knows_nothing_of_the_environment_that_the_launcher_is_in(home):
    assert {"VIRTUAL_ENV", "PYTHONPATH"} & set(uv_environ(home)) == set()


def test_what_a_tool_says_when_it_fails_is_told_without_passwords():
    with pytest.raises(InvalidEnvironmentException) as raised:
        Calling({}).run(["/bin/sh", "-c", "echo 'no https://ann:secret@host/six' >&2; exit 3"], "It cannot be made")

    assert str(raised.value) == "It cannot be made:\nno https://***@host/six"
    assert told("") == "(it said nothing)"
    assert len(told("line\n" * 100).splitlines()) == 30


def test_without_conda_it_is_said_how_to_get_it(tmp_path):
    with pytest.raises(InvalidEnvironmentException, match=r"@conda needs micromamba .* or use @pypi"):
        conda.find_conda({"PATH": str(tmp_path)})
    for name in ("conda", "micromamba"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert conda.find_conda({"PATH": str(tmp_path)}) == str(tmp_path / "micromamba")


def test_uv_is_found_beside_this_python():
    assert os.path.basename(tools.find_uv({"PATH": "/nowhere"})) == "uv"


def test_a_project_is_where_the_nearest_lock_is(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "uv.lock").write_text("1")
    above = find_project(str(tmp_path / "a" / "b"))
    (tmp_path / "a" / "uv.lock").write_text("2")

    nearest = find_project(str(tmp_path / "a" / "b"))

    assert (above.directory, nearest.directory, above.digest == nearest.digest) == (str(tmp_path), str(tmp_path / "a"), False)
    assert "uv lock" in str(missing_project("/x"))
