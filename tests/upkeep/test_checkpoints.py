"""Checkpoints stay while a resume may want them, are verified meanwhile, and go once the run has succeeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayflow import FlowSpec, Parameter, checkpoint, current, step
from rayflow.store import open_root
from rayflow.testing import run_flow
from rayflow.upkeep import plan_gc, plan_rm, verify_run


class Kept(FlowSpec):
    breaks = Parameter("breaks", default=False)

    @checkpoint
    @step
    def start(self):
        current.checkpoint.save(b"state")
        if self.breaks:
            raise ValueError("broken")
        self.next(self.end)

    @step
    def end(self):
        pass


def files(root: Path) -> list[Path]:
    return [path for path in root.glob("Kept/runs/*/checkpoints/**/*") if path.is_file()]


@pytest.mark.parametrize(("breaks", "left"), [(True, 2), (False, 0)])
def test_gc_takes_those_of_runs_that_succeeded(tmp_path, later, breaks, left):
    run = run_flow(Kept, root=tmp_path, breaks=breaks, check=False)
    before, store = len(files(tmp_path)), open_root(str(tmp_path), create=False)

    plan_gc(store, now_us=later, deletes=True)

    assert (before, len(files(tmp_path)), verify_run(store, "Kept", run.id).damages) == (2, left, [])


def test_rm_takes_them_all(tmp_path, later):
    run = run_flow(Kept, root=tmp_path, breaks=True, check=False)

    plan_rm(open_root(str(tmp_path), create=False), [("Kept", run.id)], now_us=later, deletes=True)

    assert files(tmp_path) == []


def test_verify_names_a_damaged_one(tmp_path):
    run = run_flow(Kept, root=tmp_path, breaks=True, check=False)
    (data,) = (path for path in files(tmp_path) if path.name == "0")
    data.write_bytes(b"STATE")

    (damage,) = verify_run(open_root(str(tmp_path), create=False), "Kept", run.id).damages

    assert str(damage).endswith("/0 is not what was stored: a checkpoint of start-0, which a resume does without")
