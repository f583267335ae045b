"""Environments on this machine: whole or not at all, and made once. They are real ones, of a package without needs of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from rayflow.environments.building import Builder
from rayflow.environments.locking import Locker
from rayflow.model.errors import InvalidEnvironmentException
from rayflow.model.spec import Maker, PythonEnvironment

OLD = PythonEnvironment(Maker.PYPI, (("more-itertools", "8.14.0"),))
MAKE = """
import os, sys
from rayflow.environments.building import Builder
from rayflow.environments.lock import parse_lock
text, digest, directory = sys.argv[1:]
print(Builder(directory, dict(os.environ)).python_of(parse_lock(text.encode(), digest, ""), "step 'a'"))
"""

pytestmark = pytest.mark.timeout(300)  # environments are made, on machines that do other things too


@pytest.fixture
def place(tmp_path):
    """Where this test's environments are, and no others."""
    return str(tmp_path / "environments")


@pytest.fixture(scope="module")
def lock():
    return Locker(os.environ["RAYFLOW_ENVIRONMENTS_DIR"], dict(os.environ)).lock(OLD, "step 'a'")


def making(lock, place):
    command = [sys.executable, "-c", MAKE, lock.text, lock.digest, place]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(python, code):
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_one_whose_maker_was_killed_is_made_again_and_only_once_by_all_who_want_it(lock, place):
    builder = Builder(place, dict(os.environ))
    killed = making(lock, place)
    while not any(os.path.exists(os.path.join(place, name, "lib")) for name in (os.listdir(place) if os.path.isdir(place) else ())):
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    was_there = builder.has(lock)

    makers = [making(lock, place) for _ in range(2)]
    pythons = {maker.communicate()[0].strip() for maker in makers}

    (python,) = pythons
    assert (was_there, builder.has(lock), builder.python_of(lock, "step 'a'")) == (False, True, python)
    assert said(python, "import more_itertools, rayflow, ray, sys; print(more_itertools.__version__, sys.prefix)") == (
        f"8.14.0 {os.path.dirname(os.path.dirname(python))}"
    )
    assert said(python, "import importlib.util as u; print(u.find_spec('pytest'))") == "None"


def test_one_that_cannot_be_made_is_none(place, tmp_path):
    (tmp_path / "environments").write_text("a file")

    with pytest.raises(InvalidEnvironmentException, match=r"cannot be kept in .* RAYFLOW_ENVIRONMENTS_DIR"):
        Locker(place, dict(os.environ)).lock(OLD, "step 'a'")


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ((("more-itertools", "8.99"),), r"of step 'a' cannot be resolved \(asked for: more-itertools==8.99;"),
        ((("packaging", "20.0"),), r"packaging==20.0.*needed by rayflow: .*packaging>=23"),
    ],
)
def test_what_does_not_exist_or_excludes_what_a_worker_needs_is_refused(tmp_path, packages, words):
    locker = Locker(str(tmp_path), dict(os.environ))

    with pytest.raises(InvalidEnvironmentException, match=words):
        locker.lock(PythonEnvironment(Maker.PYPI, packages), "step 'a'")
    assert os.listdir(tmp_path) == []


def test_what_was_resolved_is_not_resolved_again_and_half_of_it_is_nothing(tmp_path, lock):
    locker = Locker(str(tmp_path), dict(os.environ))
    first = locker.lock(OLD, "step 'a'")
    (kept,) = (tmp_path / "locks").iterdir()

    again = Locker(str(tmp_path), {**os.environ, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "empty")}).lock(OLD, "step 'a'")
    kept.write_bytes(kept.read_bytes()[:-10])

    assert (first, again, locker.lock(OLD, "step 'a'")) == (lock, lock, lock)


@pytest.mark.parametrize("python", ["3.7", "3.99"])
def test_a_python_that_rayflow_does_not_run_in_is_refused(tmp_path, python):
    with pytest.raises(InvalidEnvironmentException, match=f"step 'a' is to have Python {python}. What performs it needs one of .*3"):
        Locker(str(tmp_path), dict(os.environ)).lock(PythonEnvironment(Maker.PYPI, python=python), "step 'a'")


@pytest.mark.nightly
def test_another_python_is_locked_for_itself(tmp_path):
    wanted = PythonEnvironment(Maker.PYPI, (("more-itertools", "8.14.0"),), python="3.10")

    lock = Locker(str(tmp_path), dict(os.environ)).lock(wanted, "step 'a'")

    assert (lock.python, "tomli" in lock.packages, lock.packages["more-itertools"]) == ("3.10", True, "8.14.0")
