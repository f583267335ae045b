"""The locks of environments are looked after as the code is. The environment is a real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rayflow.client import open_pathspec
from rayflow.flow.definition import define
from rayflow.model.errors import StoreCorrupt
from rayflow.runtime.launch import Settings, run_flow
from rayflow.upkeep import plan_gc, plan_rm, verify_run
from tests.upkeep.conftest import Garden
from tests.upkeep.packed import Packed

pytestmark = pytest.mark.timeout(300)  # environments are made, on machines that do other things too


def run(garden: Garden) -> str:
    kept = {"environments_dir": os.environ["RAYFLOW_ENVIRONMENTS_DIR"], "environ": dict(os.environ)}
    return run_flow(define(Packed), {}, Settings(garden.root, "process", user="ada", environment="pypi", **kept), garden).run_id


def test_a_lock_is_verified_named_when_it_is_damaged_and_goes_with_the_last_run_that_has_it(garden: Garden, later: int):
    first, second = run(garden), run(garden)
    (name,) = garden.files("Packed/environments")
    lock = Path(garden.root, name)
    content = lock.read_bytes()
    whole = verify_run(garden.store, "Packed", first)

    lock.write_bytes(content[:-20] + b"#" * 20)
    damaged = verify_run(garden.store, "Packed", first)
    with pytest.raises(StoreCorrupt, match="The lock of an environment"):
        _ = open_pathspec(garden.root, f"Packed/{first}")["start"].environment_info
    lock.write_bytes(content)
    plan_rm(garden.store, [("Packed", first)], now_us=later, deletes=True)
    is_kept = lock.exists()
    plan_rm(garden.store, [("Packed", second)], now_us=later, deletes=True)

    assert (whole.damages, [damage.key for damage in damaged.damages]) == ([], [name])
    assert "the lock of the environment of start" in str(damaged.damages[0])
    assert (is_kept, lock.exists()) == (True, False)


def test_a_lock_that_no_run_has_is_swept_after_a_day(garden: Garden, later: int):
    run(garden)
    stray = garden.path / "Packed" / "environments" / f"{'0' * 64}.txt"
    stray.write_text("")

    at_once = plan_gc(garden.store, now_us=later - 3 * 24 * 3600 * 1_000_000, deletes=True)
    then = plan_gc(garden.store, now_us=later, deletes=True)

    assert (at_once.objects, then.objects, stray.exists(), len(garden.files("Packed/environments"))) == (0, 1, False, 1)
