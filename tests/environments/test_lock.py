"""What an environment is made of, as it is stored."""

from __future__ import annotations

import pytest
from blake3 import blake3

from rayflow.environments.lock import Lock, parse_lock
from rayflow.model.errors import StoreCorrupt, StoreNewer

PYPI = Lock("3.11", "six==1.16.0 \\\n    --hash=sha256:00\ntorch==2.5 ; sys_platform == 'linux'\nmine @ git+https://host/mine@v1")
ADDRESSES = ("https://host/linux-64/python-3.11.9-h1_0.conda#md5", "https://host/noarch/a-b-2.0-py_0.tar.bz2")
CONDA = Lock("3.11", "ray==2.60.0", ADDRESSES, "linux-64")


@pytest.mark.parametrize("lock", [PYPI, CONDA])
def test_a_lock_is_read_as_it_was_written(lock):
    assert parse_lock(lock.text.encode(), lock.digest, "key") == lock


def test_its_name_is_of_its_contents():
    assert PYPI.digest == Lock("3.11", PYPI.requirements + "\n").digest
    assert PYPI.digest != Lock("3.12", PYPI.requirements).digest


def test_pip_sees_requirements_alone():
    assert [line for line in CONDA.text.splitlines() if not line.startswith("#")] == ["ray==2.60.0"]


def test_its_packages_are_by_name():
    assert PYPI.packages == {"mine": "git+https://host/mine@v1", "six": "1.16.0", "torch": "2.5"}
    assert CONDA.packages == {"a-b": "2.0", "python": "3.11.9", "ray": "2.60.0"}


def test_a_damaged_one_is_refused_and_so_is_one_of_a_newer_rayflow():
    newer = PYPI.text.replace("format 1", "format 2").encode()
    with pytest.raises(StoreCorrupt, match="key, is damaged"):
        parse_lock(PYPI.text.encode() + b"x", PYPI.digest, "key")
    with pytest.raises(StoreNewer, match=r"format \(2\)"):
        parse_lock(newer, blake3(newer).hexdigest(), "key")
