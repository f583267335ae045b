"""The packages of the project that a flow is in."""

from __future__ import annotations

import os

import pytest

from rayflow.environments.locking import Locker
from rayflow.environments.projects import find_project
from rayflow.environments.tools import find_uv
from rayflow.model.errors import InvalidEnvironmentException
from rayflow.model.spec import Maker, PythonEnvironment

PYPROJECT = """
[project]
name = "mine"
version = "0"
requires-python = ">=3.10"
dependencies = ["more-itertools==8.14.0", "toolz==0.12.0"]
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert os.spawnl(os.P_WAIT, find_uv(os.environ), "uv", "lock", "--quiet", "--directory", str(tmp_path)) == 0
    return find_project(str(tmp_path))


def test_all_packages_of_the_project_are_there_but_for_those_that_a_step_replaces(project, tmp_path):
    locker = Locker(str(tmp_path / "environments"), dict(os.environ), str(tmp_path), project)

    plain = locker.lock(PythonEnvironment(Maker.UV, project=project.digest), "step 'a'").packages
    own = PythonEnvironment(Maker.UV, (("More_Itertools", "10.1.0"), ("six", "")), project=project.digest)
    changed = locker.lock(own, "step 'b'").packages

    with pytest.raises(InvalidEnvironmentException, match=r"a uv\.lock in"):
        Locker(str(tmp_path / "other"), dict(os.environ), str(tmp_path)).lock(own, "step 'b'")
    wanted = ("more-itertools", "toolz", "mine")
    assert [plain.get(name) for name in wanted] == ["8.14.0", "0.12.0", None]
    assert [changed.get(name) for name in wanted] == ["10.1.0", "0.12.0", None]
