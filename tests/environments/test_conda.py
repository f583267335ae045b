"""Conda's part of an environment, by a stand-in for micromamba: a program that notes what it is asked, and makes a plain Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rayflow.environments.building import Builder
from rayflow.environments.locking import Locker
from rayflow.environments.tools import find_uv
from rayflow.model.errors import InvalidEnvironmentException
from rayflow.model.spec import Maker, PythonEnvironment

MICROMAMBA = """#!/bin/sh
echo "$@" >> {notes}
while [ "$#" -gt 0 ]; do
    case "$1" in
        --prefix) shift; prefix="$1" ;;
        --file) shift; cat "$1" >> {notes} ;;
        env) exporting=1 ;;
        nonsense*) echo "nothing provides requested nonsense" >&2; exit 1 ;;
    esac
    shift
done
if [ -n "$exporting" ]; then
    echo "# platform: linux-64"
    echo "@EXPLICIT"
    echo "https://conda.example/conda-forge/linux-64/python-{python}-h0_0_cpython.conda#0123"
    echo "https://conda.example/conda-forge/noarch/more-itertools-8.14.0-pyhd8ed1ab_0.conda#4567"
    exit 0
fi
{uv} venv --quiet --no-project --python {base} "$prefix"
{uv} pip install --quiet --python "$prefix/bin/python" more-itertools==8.14.0
"""

pytestmark = pytest.mark.timeout(300)  # environments are made, on machines that do other things too


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


@pytest.fixture
def environ(tmp_path, notes):
    """Where a micromamba is on the PATH."""
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    version = ".".join(map(str, sys.version_info[:3]))
    program.write_text(MICROMAMBA.format(notes=notes, uv=find_uv(os.environ), base=sys.executable, python=version))
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_what_conda_makes_is_locked_and_made_again_from_the_lock(tmp_path, environ, notes):
    wanted = PythonEnvironment(Maker.CONDA, (("more-itertools", "8.14.0"),), (("toolz", "0.12.0"),), channels=("conda-forge", "mine"))

    lock = Locker(str(tmp_path / "there"), environ).lock(wanted, "step 'a'")
    python = Builder(str(tmp_path / "there"), environ).python_of(lock, "step 'a'")

    asked = notes.read_text().splitlines()
    minor = ".".join(map(str, sys.version_info[:2]))
    assert asked[0].endswith(f"--override-channels --channel conda-forge --channel mine python={minor}.* more-itertools==8.14.0")
    assert (lock.conda_platform, lock.packages["more-itertools"], lock.packages["toolz"]) == ("linux-64", "8.14.0", "0.12.0")
    assert asked[-3:] == ["@EXPLICIT", *lock.conda]
    code = "import more_itertools, toolz, ray, rayflow; print(more_itertools.__version__, toolz.__version__)"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == "8.14.0 0.12.0\n"


def test_what_conda_says_against_it_is_told(tmp_path, environ):
    wanted = PythonEnvironment(Maker.CONDA, (("nonsense", ""),))

    with pytest.raises(InvalidEnvironmentException, match=r"cannot be solved by conda .*\n.*nothing provides requested nonsense"):
        Locker(str(tmp_path / "there"), environ).lock(wanted, "step 'a'")
