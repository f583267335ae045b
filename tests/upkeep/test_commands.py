"""`verify`, `rm`, `gc` and `show --why`, as their user types them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from tests.upkeep.conftest import Garden
from tests.upkeep.test_removal import orphan


def typed(garden: Garden, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `rayflow ARGUMENTS`."""
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": garden.root}, os.getcwd()), io.StringIO(), io.StringIO())
    code = run_program(call, arguments)
    return code, call.out.getvalue(), call.err.getvalue()  # type: ignore[attr-defined] - both are StringIO


def test_verify_says_that_all_is_well(garden: Garden):
    garden.run()
    garden.run(salt="b")

    code, out, err = typed(garden, "verify")

    assert (code, err) == (0, "")
    assert out.startswith("2 runs, ") and out.endswith(": all as it was stored\n")


def test_verify_names_what_is_damaged_and_what_a_resume_performs_again(garden: Garden):
    garden.run(salt="a")
    run_id = garden.run(salt="b")
    blob = next(path for path in (garden.path / "Grown" / "runs" / run_id / "blobs").iterdir() if path.stat().st_size > 90_000)
    blob.write_bytes(b"?" * blob.stat().st_size)

    code, out, _ = typed(garden, "verify")
    code_of_one, out_of_one, _ = typed(garden, "verify", run_id)
    code_of_json, out_of_json, _ = typed(garden, "verify", "--json", run_id)

    assert (code, code_of_one, code_of_json) == (1, 1, 1)
    assert f"Grown/{run_id}: {blob} is not what was stored\n    it holds artifact 'big' of start\n" in out
    assert "performs that again (start, join), and unless it comes out the same what follows (work, end)\n" in out
    assert "2 runs" in out and "1 run damaged" in out
    assert "1 run, " in out_of_one
    (form,) = json.loads(out_of_json)
    assert (form["run"], form["steps"]) == (f"Grown/{run_id}", ["start", "work", "join", "end"])
    assert form["damages"][0]["key"].endswith(blob.name)


def test_verify_of_a_root_without_runs_says_so(garden: Garden):
    garden.path.mkdir()

    assert typed(garden, "verify")[0] == 1


def test_rm_asks_unless_it_is_told_not_to(garden: Garden):
    run_id = garden.run()

    code, out, err = typed(garden, "rm", run_id)
    assert (code, out) == (2, "")
    assert "would be removed" in err and "--yes" in err and f"Grown/{run_id}" in err

    code, out, _ = typed(garden, "rm", "--yes", run_id)
    assert code == 0
    assert out.startswith(f"1 run (Grown/{run_id}), ") and out.endswith(" removed.\n")
    assert typed(garden, "ls")[0] == 1


@pytest.mark.parametrize("command", ["rm", "verify"])
def test_a_run_that_is_not_there_is_named(garden: Garden, command: str):
    garden.run()

    code, _, err = typed(garden, command, "123456789")

    assert code == 1
    assert "123456789" in err and "Traceback" not in err and len(err.splitlines()) <= 4


def test_rm_of_what_is_needed_says_by_whom(garden: Garden):
    origin = garden.run(breaks="join")
    second = garden.resume(origin)

    code, _, err = typed(garden, "rm", "--yes", origin)

    assert code == 1
    assert f"run {second} continues it" in err and f"rayflow rm {origin} {second}" in err


def test_gc_shows_first_and_removes_when_it_is_told_to(garden: Garden):
    run_id = garden.run()
    path = orphan(garden, run_id)

    shown = typed(garden, "gc")
    assert shown == (0, "1 object of 5,000 bytes would be removed.\n", "Nothing was removed yet: say --delete.\n")
    assert path.exists()

    assert typed(garden, "gc", "--delete", "--flow", "Grown") == (0, "1 object of 5,000 bytes removed.\n", "")
    assert not path.exists()
    assert typed(garden, "gc", "--older-than", "1d") == (0, "0 objects of 0 bytes would be removed.\n", "")


def test_gc_of_what_is_not_there_says_so(garden: Garden):
    code, _, err = typed(garden, "gc")
    assert code == 1 and "no rayflow root" in err

    garden.run()
    code, _, err = typed(garden, "gc", "--flow", "Groan")
    assert code == 1 and "no flow 'Groan'" in err


@pytest.mark.parametrize("age", ["", "soon", "-3d", "3", "3 y"])
def test_an_age_that_is_none_is_refused_with_the_forms_that_are(garden: Garden, age: str):
    garden.run()

    code, _, err = typed(garden, "gc", "--older-than", age)

    assert code == 2
    assert "12h, 30d, 8w" in err


def test_why_tells_of_each_step_of_a_resume(garden: Garden, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run(breaks="join")
    monkeypatch.setenv("MENDED", "1")
    resumed = garden.resume(origin)
    again = garden.resume(resumed, step="join")

    whys = {line.split()[0]: line for line in typed(garden, "show", "--why", resumed)[1].splitlines()[1:]}
    assert whys["work"].split() == ["work", "4", "0", "done", "in", "run", origin]
    assert whys["join"].split(maxsplit=3)[1:] == ["0", "1", f"1 failed in run {origin}"]
    assert whys["end"].split(maxsplit=3)[1:] == ["0", "1", f"1 not done in run {origin}"]

    whys = {each["step"]: each for each in json.loads(typed(garden, "show", "--why", "--json", again)[1])}
    assert whys["join"]["reason"] == "asked for: resume join"
    assert whys["end"]["reason"] == "follows from join, which was asked for"
    assert (whys["start"]["reused"], whys["start"]["reason"]) == (1, f"done in run {origin}")

    assert typed(garden, "show", "--why", origin)[1].count("not resumed: everything runs") == 2
    assert typed(garden, "show", "--why", f"{resumed}/join")[0] == 2


def test_why_tells_of_what_was_damaged(garden: Garden, monkeypatch: pytest.MonkeyPatch):
    origin = garden.run()
    blobs: Path = garden.path / "Grown" / "runs" / origin / "blobs"
    next(path for path in blobs.iterdir() if b"2...." in path.read_bytes()[:60]).unlink()
    monkeypatch.setenv("OTHER", "!")  # it comes out differently
    resumed = garden.resume(origin)

    whys = {each["step"]: each for each in json.loads(typed(garden, "show", "--why", "--json", resumed)[1])}

    assert whys["work"]["reason"] == f"done in run {origin}; 1 again: what run {origin} stored of it is damaged or gone"
    assert whys["join"]["reason"] == "1 again: what it starts from ran again (work)"
