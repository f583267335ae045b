"""Full disks, roots that cannot be written, damaged files: one clear error, acknowledged work intact, nothing wrong returned as data."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rayflow.catalog.index import runs_of
from rayflow.client import open_pathspec
from rayflow.client.roots import Root
from rayflow.model.errors import RayflowException, RayflowNotFound, StoreFault
from rayflow.store import open_root
from rayflow.store.local import LocalStore
from tests.crash.world import REPO, World, committed_names

# -- roots that cannot be written --------------------------------------------------------------------------------------


def plain_error(text: str) -> str:
    """The message, which is short and no traceback."""
    assert "Traceback" not in text and "Internal error" not in text, text
    assert len(text.strip().splitlines()) <= 4, text
    return text


@pytest.mark.parametrize("command", ["run", "resume"])
@pytest.mark.parametrize("kind", ["a file", "below a file", "in /proc"])
def test_a_root_that_cannot_be_is_refused_before_any_task(world: World, kind: str, command: str):
    file = world.path / "file"
    file.write_text("x")
    root = {"a file": str(file), "below a file": f"{file}/root", "in /proc": "/proc/nope"}[kind]
    driver = world.drive("Wide", command)
    driver.finish()
    refused = subprocess.run(
        [sys.executable, "-m", "tests.crash.driver", "Wide", command, "--root", root],
        cwd=REPO,
        env={**os.environ, "LEDGER": str(world.path / "ledger2")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 1
    assert root.rpartition("/")[0] in plain_error(refused.stderr)
    assert not (world.path / "ledger2").exists()
    assert file.read_text() == "x"


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from tests.crash.driver import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("limit", [100_000, *(pytest.param(limit, marks=pytest.mark.nightly) for limit in (3_000, 8_000, 20_000))])
def test_a_disk_that_is_full_ends_the_run_with_its_path_and_keeps_what_was_acknowledged(world: World, limit: int):
    full = subprocess.run(
        [sys.executable, "-c", LIMITED.format(limit=limit), "Nested", "run", "--root", world.root],
        cwd=REPO,
        env={**os.environ, "LEDGER": str(world.ledger), "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert full.returncode == 1, full.stderr
    assert "Internal error" not in full.stderr
    told = full.stderr + full.stdout
    assert world.root in told and "larger than this file system or the process limit" in told
    known = [run for run in world.run_ids("Nested") if world.has_record("Nested", run)]
    committed = {name for run in known for name in committed_names(world.opened("Nested", run))}
    mark = world.mark()

    again = world.perform("Nested", "resume" if known else "run")

    assert again.process.returncode == 0, again.errors
    assert not committed.intersection(world.started(mark))


# -- damage: each file of a small root in turn -------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[Path], None]] = {
    "flip": lambda path: _rewrite(
        path, lambda text: text[: len(text) // 2] + bytes([text[len(text) // 2] ^ 4]) + text[len(text) // 2 + 1 :]
    ),
    "flip at the end": lambda path: _rewrite(path, lambda text: text[:-2] + bytes([text[-2] ^ 1]) + text[-1:]),
    "cut": lambda path: _rewrite(path, lambda text: text[: len(text) // 2]),
    "empty": lambda path: _rewrite(path, lambda _: b""),
    "garbage": lambda path: _rewrite(path, lambda text: text + b"garbage\n"),
    "remove": lambda path: path.unlink(),
}


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    text = path.read_bytes()
    if text:
        path.write_bytes(change(text))


def everything(root: str) -> dict[str, Any]:
    """What a reader finds of every run: values by pathspec, or the fault instead, for the run, the step or the artifact."""
    found: dict[str, Any] = {}
    reading = Root(LocalStore(root))
    for flow in reading.flows():
        for entry in reading.runs(flow):
            for name, value in _of_run(root, f"{flow}/{entry.run_id}"):
                found[name] = value
    return found


def _of_run(root: str, run: str) -> Iterator[tuple[str, Any]]:
    try:
        for step in open_pathspec(root, run):
            for task in step:
                if task.finished:
                    yield from _of_task(task)
    except RayflowException as fault:
        yield run, fault


def _of_task(task: Any) -> Iterator[tuple[str, Any]]:
    try:
        for artifact in task:
            name = f"{task.pathspec}/{artifact.id}"
            try:
                yield name, artifact.data
            except RayflowException as fault:
                yield name, fault
    except RayflowException as fault:
        yield task.pathspec, fault


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A root with a run that succeeded, one that failed, its resume, and one whose driver was killed."""
    world = World(tmp_path_factory.mktemp("small"))
    world.perform("Wide", "run", "--run-id", "Failed", "-p", "count=3", env={"BREAK": "join"})
    world.perform("Wide", "resume", "--origin", "Failed", "--run-id", "Second")
    world.perform("Wide", "run", "--run-id", "Good", "-p", "count=3")
    killed = world.drive("Wide", "run", "--run-id", "Killed", "-p", "count=4", "-p", "pause_s=0.3")
    killed.progressed("work", 2)
    killed.kill()
    yield world
    world.close()


@pytest.mark.parametrize(
    "kinds", [("flip", "cut", "remove"), pytest.param(tuple(DAMAGES), marks=pytest.mark.nightly)], ids=["three", "all"]
)
def test_whatever_happens_to_one_file_nothing_wrong_is_read_and_no_other_run_is_hidden(
    small: World, tmp_path: Path, kinds: tuple[str, ...]
):
    before = everything(small.root)
    assert not any(isinstance(value, Exception) for value in before.values())
    files = sorted(path.relative_to(small.root) for path in Path(small.root).rglob("*") if path.is_file())
    wrong: list[str] = []
    root = tmp_path / "root"
    shutil.copytree(small.root, root)
    for number, file in enumerate(files):
        for kind in kinds:
            root = root.rename(tmp_path / f"{number}-{kind.replace(' ', '-')}")  # what the client has open it finds by path
            aside = (root / file).rename(tmp_path / "aside")
            shutil.copy2(aside, root / file)
            DAMAGES[kind](root / file)
            wrong += [f"{kind} {file}: {text}" for text in _compare(before, str(root), file)]
            aside.rename(root / file)
    assert wrong == []


def _twins(files: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Files that a careless copy could exchange: of the same kind, in one run and in different ones."""
    kinds: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        directory = file.parts[3] if len(file.parts) > 4 else ""
        name = file.name if not directory else file.suffix
        kinds.setdefault((directory, name), []).append(file)
    for same in kinds.values():
        yield from pairwise(same)


def test_files_that_changed_places_are_not_believed(small: World, tmp_path: Path):
    before = everything(small.root)
    files = sorted(path.relative_to(small.root) for path in Path(small.root).rglob("*") if path.is_file() and "index" not in path.parts)
    root = tmp_path / "root"
    shutil.copytree(small.root, root)
    wrong: list[str] = []
    seen = 0
    for number, (one, other) in enumerate(_twins(files)):
        root = root.rename(tmp_path / f"{number}")
        contents = (root / one).read_bytes(), (root / other).read_bytes()
        if contents[0] == contents[1] or "logs" in one.parts:
            continue
        seen += 1
        (root / one).write_bytes(contents[1])
        (root / other).write_bytes(contents[0])
        after = everything(str(root))
        wrong += [
            f"{one} and {other}: {name} reads as {after[name]!r}" for name, value in after.items() if _is_wrong(value, before.get(name))
        ]
        (root / one).write_bytes(contents[0])
        (root / other).write_bytes(contents[1])
    assert (wrong, seen > 10) == ([], True)


def _is_wrong(value: Any, expected: Any) -> bool:
    return not isinstance(value, RayflowException) and value != expected


def _compare(before: dict[str, Any], root: str, file: Path) -> Iterator[str]:
    _flow, _, run = (*file.parts, "", "", "")[:3]
    if len(file.parts) == 1:  # rayflow.json: the root itself
        try:
            open_root(root, create=False)
        except StoreFault as fault:
            if "rayflow.json" not in str(fault):
                yield f"an error that does not name it: {fault}"
            return
    try:
        after = everything(root)
    except RayflowException as fault:
        yield f"the whole root is unreadable: {fault}"
        return
    for name, value in after.items():
        if isinstance(value, StoreFault):
            if not re.search(re.escape(root), str(value)) and file.name not in str(value):
                yield f"{name} fails without naming a path: {value}"
        elif isinstance(value, RayflowNotFound):
            continue
        elif isinstance(value, Exception):
            yield f"{name} fails with {type(value).__name__}: {value}"
        elif value != before[name]:
            yield f"{name} reads as {value!r} instead of {before[name]!r}"
    owners = {run, *({"Second"} if run == "Failed" else set())} if file.parts[1:2] == ("runs",) else {""}
    for name in before.keys() - after.keys():
        if name.split("/")[1] not in owners:
            yield f"{name} is hidden"


def test_a_resume_of_a_damaged_run_names_the_damage_and_of_another_works(small: World, tmp_path: Path):
    world = World(tmp_path)
    shutil.copytree(small.root, world.root)
    run = Path(world.root) / "Wide" / "runs"
    DAMAGES["flip"](run / "Failed" / "end.json")
    (run / "Failed" / "continued.json").unlink()

    refused = world.perform("Wide", "resume", "--origin", "Failed")
    works = world.perform("Wide", "resume", "--origin", "Good", "--step", "end")

    assert refused.process.returncode == 1
    assert str(run / "Failed" / "end.json") in plain_error(refused.errors)
    assert works.process.returncode == 0, works.errors


def test_a_plain_resume_passes_a_damaged_run_over_and_says_so(small: World, tmp_path: Path):
    world = World(tmp_path)
    shutil.copytree(small.root, world.root)
    newest = next(iter(runs_of(open_root(world.root, create=False), "Wide"))).run_id
    DAMAGES["cut"](Path(world.root) / "Wide" / "runs" / newest / "run.json")

    driver = world.perform("Wide", "resume")

    assert driver.process.returncode == 0, driver.errors
    assert any(fact["event"] == "warned" and newest in fact["text"] for fact in driver.facts)
