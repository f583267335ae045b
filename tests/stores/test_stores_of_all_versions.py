"""What was stored once is read for ever, and gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rayflow.client import open_pathspec
from rayflow.flow.definition import define
from rayflow.model.errors import StoreNewer
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.store import open_root
from rayflow.store.opening import FORMAT_VERSION
from rayflow.upkeep import verify_run
from tests.stores.kept import Kept

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if path.is_dir() and path.name[1:].isdecimal())


def test_there_is_a_store_of_this_version():
    assert VERSIONS[-1] == f"v{FORMAT_VERSION}"


@pytest.fixture(params=VERSIONS)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A copy: opening a store must not need the place where it was made."""
    shutil.copytree(HERE / request.param, tmp_path / "root")
    return str(tmp_path / "root")


def test_every_value_is_what_it_was(root: str):
    run = open_pathspec(root, "Kept/resumed")

    assert (run.successful, run.data.answer, run.origin_pathspec) == (True, (40_000, 7), "Kept/failed2")
    start = run["start"].task
    assert (start.data.text, start.data.number, start.data.nothing, len(start.data.big)) == ("żółć", 7, None, 40_000)
    assert start.stdout == "hello Ada\n"
    assert [(task.index, task.successful, task.data.letter) for task in list(run["work"])[::-1]] == [
        (0, True, "a"),
        (1, False, "b"),
        (2, True, "c"),
    ]
    assert run["join"].task.data.all == ["a", "b", "c"]
    assert "kept" in open_pathspec(root, "Kept/failed1").user_tags


def test_all_of_it_is_whole(root: str):
    assert [verify_run(open_root(root, create=False), "Kept", run).damages for run in ("failed1", "failed2", "resumed")] == [[], [], []]


def test_a_run_of_then_goes_on_today(root: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MENDED", "1")

    result = resume_flow(define(Kept), Settings(root=root, executor="inline", user="ada"), origin_run_id="failed1")

    run = open_pathspec(root, f"Kept/{result.run_id}")
    assert run.data.answer == (40_000, 7)
    assert run["work"].origin_pathspec == "Kept/failed1/work"


def test_a_store_of_a_newer_program_is_refused_and_left_as_it_is(root: str):
    path = Path(root) / "rayflow.json"
    path.write_text(json.dumps({"format": "rayflow", "version": FORMAT_VERSION + 1}))
    before = {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}

    with pytest.raises(StoreNewer, match="Upgrade rayflow"):
        resume_flow(define(Kept), Settings(root=root, executor="inline", user="ada"), origin_run_id="failed1")

    assert {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()} == before
