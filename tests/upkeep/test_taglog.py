"""What `verify`, `rm` and `gc` do about the tags of runs."""

from __future__ import annotations

import json
import os
import time

import pytest

from rayflow.client import Run, open_pathspec
from rayflow.client.roots import root_at
from rayflow.upkeep import plan_gc, plan_rm, verify_tags
from tests.upkeep.conftest import DAY_US, Garden
from tests.upkeep.test_commands import typed


def run_of(garden: Garden, run_id: str) -> Run:
    found = open_pathspec(garden.root, f"Grown/{run_id}")
    assert isinstance(found, Run)
    return found


def files(garden: Garden) -> list[int]:
    return sorted(int(path.stem) for path in (garden.path / "Grown" / "tags").glob("0*.json"))


def damage(garden: Garden, number: int) -> None:
    (garden.path / "Grown" / "tags" / f"{number:08d}.json").write_bytes(b"?" * 90)


def aged(garden: Garden) -> None:
    for path in (garden.path / "Grown" / "tags").iterdir():
        os.utime(path, (time.time() - 3 * 86400,) * 2)


def test_gc_keeps_runs_by_the_tags_that_they_have_now(garden: Garden, later: int):
    tagged, untagged, plain = garden.run(), garden.run(tags=["release"]), garden.run(salt="b")
    run_of(garden, tagged).add_tag("release")
    run_of(garden, untagged).remove_tag("release")

    found = plan_gc(garden.store, now_us=later, deletes=True, older_than_us=DAY_US, kept_tags=frozenset({"release"}))

    assert sorted(found.runs) == sorted([f"Grown/{untagged}", f"Grown/{plain}"])
    assert run_of(garden, tagged).user_tags == {"release"}


def test_gc_keeps_all_where_it_is_not_known_what_is_tagged(garden: Garden, later: int):
    tagged, plain = garden.run(), garden.run(salt="b")
    run_of(garden, tagged).add_tag("release")
    damage(garden, 1)
    root_at(garden.root).tags("Grown").__init__(garden.store, "Grown")
    run_of(garden, plain).add_tag("other")  # leaves the damage behind it; what was lost stays lost

    found = plan_gc(garden.store, now_us=later, deletes=True, older_than_us=DAY_US, kept_tags=frozenset({"release"}))

    assert found.runs == []
    assert "Grown/tags/00000001.json" in found.kept[0] and "rayflow tag add" in found.kept[0]
    assert files(garden) == [1, 2]

    (garden.path / "Grown" / "tags" / "00000001.json").unlink()
    run_of(garden, tagged).add_tag("release")
    found = plan_gc(garden.store, now_us=later, deletes=True, older_than_us=DAY_US, kept_tags=frozenset({"release"}))
    assert (found.runs, found.kept) == ([f"Grown/{plain}"], [])


def test_verify_names_damaged_tags(garden: Garden):
    run_id = garden.run()
    for number in range(3):
        run_of(garden, run_id).add_tag(f"t{number}")
    assert typed(garden, "verify")[0] == 0
    damage(garden, 2)

    code, out, _ = typed(garden, "verify")
    forms = json.loads(typed(garden, "verify", "--json", run_id)[1])

    assert code == 1
    assert f"Grown: {garden.path}/Grown/tags/00000002.json is damaged\n    it holds changes of the tags of runs\n" in out
    assert out.endswith("0 runs damaged, and the tags of Grown\n")
    assert [(form["run"], len(form["damages"])) for form in forms] == [(f"Grown/{run_id}", 0), ("Grown", 1)]


def test_gc_leaves_the_files_that_are_needed(garden: Garden, later: int):
    run_id = garden.run()
    for number in range(11):
        run_of(garden, run_id).add_tag(f"t{number}")

    young = plan_gc(garden.store, now_us=time.time_ns() // 1000, deletes=True)
    assert (young.objects, len(files(garden))) == (0, 11)
    aged(garden)
    run_of(garden, run_id).add_tag("new")  # covers 9 to 12 as of now: those who listed before may still want them

    found = plan_gc(garden.store, now_us=time.time_ns() // 1000, deletes=True)

    assert (found.objects, files(garden)) == (8, [8, 10, 11, 12])
    aged(garden)
    plan_gc(garden.store, now_us=later, deletes=True)
    assert files(garden) == [8, 12]
    root_at(garden.root).tags("Grown").__init__(garden.store, "Grown")
    assert run_of(garden, run_id).user_tags == {*(f"t{number}" for number in range(11)), "new"}
    assert verify_tags(garden.store, "Grown").damages == []


@pytest.mark.parametrize("deletes", [False, True])
def test_a_run_that_is_removed_leaves_its_tags_to_none_of_the_same_id(garden: Garden, deletes: bool):
    run_id, other = garden.run(), garden.run(salt="b")
    run_of(garden, run_id).add_tag("a")
    run_of(garden, other).add_tag("b")

    plan_rm(garden.store, [("Grown", run_id)], now_us=time.time_ns() // 1000, deletes=deletes)

    log = root_at(garden.root).tags("Grown")
    log.look()
    record = run_of(garden, other)._handle.record
    assert log.of(record).user == {"b"}
    assert log._state().of(run_id).applied([]) == (frozenset() if deletes else {"a"})
