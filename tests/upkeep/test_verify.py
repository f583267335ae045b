"""Damage is named wherever it is, and what a resume can bring back it brings back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rayflow.model.errors import RayflowNotFound, StoreCorrupt
from rayflow.upkeep import Verified, verify_run
from tests.upkeep.conftest import Garden

DAMAGES: dict[str, Callable[[Path], object]] = {
    "flip": lambda path: path.write_bytes(_flipped(path.read_bytes())),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "remove": lambda path: path.unlink(),
}


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def verified(garden: Garden, run_id: str) -> Verified:
    return verify_run(garden.store, "Grown", run_id)


def test_a_whole_run_is_whole_and_every_object_was_looked_at(garden: Garden):
    run_id = garden.run()

    found = verified(garden, run_id)

    assert (found.damages, found.steps) == ([], ())
    assert found.objects >= 1 + 1 + 4 + 1 + 1  # the code, the big value, four parts, the junk, a pack


def test_a_run_that_is_not_there_is_said_so(garden: Garden):
    garden.run()

    with pytest.raises(RayflowNotFound, match="Nothing"):
        verified(garden, "Nothing")


@pytest.mark.parametrize("kind", DAMAGES)
def test_whichever_object_is_damaged_it_is_named(garden: Garden, kind: str):
    run_id = garden.run()
    files = [name for name in garden.files(f"Grown/runs/{run_id}") if "/epoch/" not in name and not name.endswith("beat.json")]
    files += garden.files("Grown/code")
    missed: list[str] = []
    for name in files:
        path = garden.path / name
        if path.stat().st_size == 0 or (path.suffix in (".out", ".err", ".marks") and kind == "flip"):
            continue  # what was printed has no digest
        if path.suffix == ".marks" or path.name == "end.json":
            continue  # times of lines may be missing; without its end a run is one that goes on
        aside = path.rename(garden.path / "aside")
        shutil.copy2(aside, path)
        DAMAGES[kind](path)
        try:
            damages = verified(garden, run_id).damages
        except RayflowNotFound:
            damages = []
            missed += [] if path.name == "run.json" and kind == "remove" else [f"{name}: not found"]
        if path.name != "run.json" and not any(each.key in name or path.name in each.key for each in damages):
            missed.append(f"{name}: {damages}")
        aside.rename(path)
    assert missed == []


def test_of_two_objects_that_were_swapped_both_are_named(garden: Garden):
    run_id = garden.run()
    one, other = _blob_with(garden, run_id, b"1...."), _blob_with(garden, run_id, b"2....")
    content = one.read_bytes()
    assert len(content) == other.stat().st_size
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)

    keys = {Path(damage.key).name for damage in verified(garden, run_id).damages}

    assert keys == {one.name, other.name}


def test_it_says_which_steps_a_resume_performs_again(garden: Garden):
    run_id = garden.run()
    blobs = garden.path / "Grown" / "runs" / run_id / "blobs"
    part = next(path for path in sorted(blobs.iterdir()) if path.read_bytes().startswith(b"2....") or b"2...." in path.read_bytes()[:50])
    part.unlink()

    found = verified(garden, run_id)

    assert [(each.step, list(each.indices), each.problem) for each in found.damages] == [("work", [2], "is gone")]
    assert found.steps == ("work", "join", "end")


def _blob_with(garden: Garden, run_id: str, text: bytes) -> Path:
    blobs = garden.path / "Grown" / "runs" / run_id / "blobs"
    (found,) = [path for path in blobs.iterdir() if text in path.read_bytes()[:60]]
    return found


def performed(garden: Garden, run_id: str) -> set[tuple[str, int]]:
    return {(segment.step, index) for segment in garden.segments(run_id) if segment.run == run_id for index in segment.indices}


@pytest.mark.parametrize(
    ("gone", "other", "expected"),
    [
        (b"2....", "", {("work", 2)}),
        (b"2....", "!", {("work", 2), ("join", 0), ("end", 0)}),
        (b"x" * 20, "", {("start", 0), ("join", 0)}),  # the join has it from `start`
        (b"x" * 20, "!", {("start", 0), *(("work", index) for index in range(4)), ("join", 0), ("end", 0)}),
    ],
    ids=["a split", "a split that comes out differently", "before the fan-out", "before the fan-out, and it comes out differently"],
)
def test_what_follows_from_what_was_damaged_stays_where_it_comes_out_the_same(garden: Garden, monkeypatch, gone, other, expected):
    origin = garden.run()
    before = garden.values(origin)
    _blob_with(garden, origin, gone).unlink()
    monkeypatch.setenv("OTHER", other)

    resumed = garden.resume(origin)

    assert performed(garden, resumed) == expected
    assert verified(garden, resumed).damages == []
    assert (garden.values(resumed) == before) is (other == "")


def test_a_resume_performs_again_what_is_gone_and_what_follows(garden: Garden, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    _blob_with(garden, origin, b"2....").unlink()
    monkeypatch.setenv("MENDED", "1")

    resumed = garden.resume(origin)

    assert any("is gone" in text and "work" in text for text in garden.warnings())
    assert verified(garden, resumed).damages == []
    assert garden.values(resumed)["join/0/lengths"] == [40_001] * 4
    assert performed(garden, resumed) == {("work", 2), ("join", 0), ("end", 0)}


def test_a_resume_that_verifies_performs_again_what_was_changed_too(garden: Garden, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    path = _blob_with(garden, origin, b"x" * 20)
    path.write_bytes(_flipped(path.read_bytes()))
    monkeypatch.setenv("MENDED", "1")

    resumed = garden.resume(origin, verifies=True)

    assert any("is not what was stored" in text for text in garden.warnings())
    assert verified(garden, resumed).damages == []
    assert performed(garden, resumed) == {("start", 0), ("join", 0), ("end", 0)}


def test_a_pack_that_is_gone_costs_its_tasks_and_no_others(garden: Garden, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    packs = sorted((garden.path / "Grown" / "runs" / origin / "packs").rglob("*.arrow"))
    packs[0].unlink()
    monkeypatch.setenv("MENDED", "1")

    resumed = garden.resume(origin)

    assert garden.values(resumed)["join/0/total"] == 12
    assert "start" not in {segment.step for segment in garden.segments(resumed) if segment.run == resumed}


@pytest.mark.parametrize("verifies", [False, True])
def test_a_parameter_that_is_damaged_is_refused_since_no_task_brings_it_back(garden: Garden, verifies: bool):
    origin = garden.run(breaks="join", salt="p" * 50_000)
    path = next(path for path in (garden.path / "Grown" / "runs" / origin / "blobs").iterdir() if path.suffix == ".txt")
    if verifies:
        path.write_bytes(_flipped(path.read_bytes()))
    else:
        path.unlink()

    with pytest.raises(StoreCorrupt, match=f"{path.name} .*parameter 'salt'. No task can compute that again: start a new run"):
        garden.resume(origin, verifies=verifies)
