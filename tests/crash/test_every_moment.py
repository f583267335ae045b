"""A small run, stopped after each operation of its disk, in every way that a crash may leave; and each operation failing in turn."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rayflow import FlowSpec, step
from rayflow.catalog.index import runs_of
from rayflow.catalog.reading import open_run
from rayflow.client import open_pathspec
from rayflow.flow.definition import define
from rayflow.model.errors import RayflowException, RayflowNotFound, StoreMissing
from rayflow.model.records import Outcome
from rayflow.runtime import session
from rayflow.runtime.launch import Settings, resume_flow, run_flow
from rayflow.runtime.notices import Notice, Progressed, RunEnded, StepsReused, TaskDone
from rayflow.store import open_root
from tests.crash.disk import ERRORS, Disk, failing, recorded, state_after, unsafe, written

RAN: list[str] = []
ANSWER = 50_000 + sum(range(3))


class Small(FlowSpec):
    """A value in a file of its own, a foreach, a join."""

    @step
    def start(self):
        RAN.append("start")
        self.big = b"b" * 50_000
        self.numbers = [0, 1, 2]
        self.next(self.work, foreach="numbers")

    @step
    def work(self):
        RAN.append(f"work-{self.input}")
        self.value = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        RAN.append("join")
        self.total = sum(each.value for each in inputs)
        self.big = inputs[0].big
        self.next(self.end)

    @step
    def end(self):
        RAN.append("end")
        self.answer = self.total + len(self.big)


class Acknowledging:
    """Notes what a user is told is done, and when."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.disk = disk

    def tell(self, notice: Notice) -> None:
        if isinstance(notice, TaskDone):
            self.done |= Counter({notice.label.step: 1})
        elif isinstance(notice, StepsReused):
            self.done |= Counter(dict(notice.tasks))
        elif isinstance(notice, (Progressed, RunEnded)):
            self.done |= Counter({each.step: each.done for each in notice.steps})
        if self.disk is not None:
            self.disk.say(self.done.copy())


def settings(root: Path | str) -> Settings:
    return Settings(root=str(root), executor="inline", user="ada")


def acknowledged(disk: Disk, moment: int) -> Counter[str]:
    told = disk.before(moment)
    return told[-1] if told else Counter()


def committed(root: Path) -> tuple[str | None, Counter[str]]:
    """The newest run, and the tasks that it or a run that it continues has committed, as a reader finds them."""
    try:
        store = open_root(str(root), create=False)
        runs = [entry.run_id for entry in runs_of(store, "Small")]
        found: Counter[str] = Counter()
        for run_id in runs:
            found |= Counter(open_run(store, "Small", run_id).view.totals())
    except (StoreMissing, RayflowNotFound):
        return None, Counter()
    return (runs or [None])[0], found


def check(root: Path, told: Counter[str], what: str, asked: frozenset[str] = frozenset()) -> None:
    """A reader finds what was acknowledged, and a resume (a run, where there was none) ends right, repeating nothing of it but the steps
    that were `asked` for."""
    session._sessions.clear()  # the machine was stopped: no worker remembers what it stored
    run_id, found = committed(root)
    assert found >= told, f"{what}: told {told}, committed {found}"
    RAN.clear()
    again = Acknowledging()
    if run_id is None:
        result = run_flow(define(Small), {}, settings(root), again)
    else:
        try:
            result = resume_flow(define(Small), settings(root), again)
        except RayflowNotFound:
            assert not told, f"{what}: told {told}, nothing to resume"
            result = run_flow(define(Small), {}, settings(root), again)
    assert result.outcome is Outcome.SUCCEEDED, what
    assert open_pathspec(str(root), f"Small/{result.run_id}").data.answer == ANSWER, what
    ran = Counter(name.partition("-")[0] for name in RAN)
    for name, count in found.items():
        if name in asked:
            continue
        total = 3 if name == "work" else 1
        assert ran[name] <= total - count, f"{what}: {count} of {name} committed, {ran[name]} ran again"


def crashes(disk: Disk, *, is_all: bool) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """What may be left after each operation: nothing lost; all lost that was not synced; its last write torn. With `is_all` also each
    single operation lost."""
    for moment in range(len(disk.ops) + 1):
        ops = disk.ops[:moment]
        at_risk = unsafe(ops)
        yield f"after {moment}, all kept", moment, state_after(ops)
        if at_risk:
            yield f"after {moment}, {len(at_risk)} lost", moment, state_after(ops, frozenset(at_risk))
        if ops and ops[-1].kind == "write" and len(ops[-1].data) > 1:
            size = len(ops[-1].data)
            for torn in (0, 1, size // 2, size - 1) if is_all else (size // 2,):
                yield f"after {moment}, torn at {torn} of {size}", moment, state_after(ops, torn=torn)
        for number in at_risk if is_all else ():
            yield f"after {moment}, {disk.ops[number].kind} {number} lost", moment, state_after(ops, frozenset({number}))


@pytest.fixture(scope="module")
def told_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Disk, str]:
    root = str(tmp_path_factory.mktemp("told") / "root")
    with recorded() as disk:
        result = run_flow(define(Small), {}, settings(root), Acknowledging(disk))
    assert result.outcome is Outcome.SUCCEEDED
    return disk, root


@pytest.fixture(scope="module")
def told_resume(tmp_path_factory: pytest.TempPathFactory) -> tuple[Disk, str]:
    """The run, then a resume of its join: operations of both."""
    root = str(tmp_path_factory.mktemp("told") / "root")
    with recorded() as disk:
        run_flow(define(Small), {}, settings(root), Acknowledging())
        disk.said.clear()
        resume_flow(define(Small), settings(root), Acknowledging(disk), step="join")
    return disk, root


@pytest.mark.parametrize("is_all", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["three ways", "every way"])
def test_whenever_the_machine_stops_what_was_acknowledged_is_there_and_the_run_goes_on(
    told_run: tuple[Disk, str], tmp_path: Path, is_all: bool
):
    disk, root = told_run
    assert len(disk.ops) > 60
    place = tmp_path / "root"
    for what, moment, state in crashes(disk, is_all=is_all):
        shutil.rmtree(place, ignore_errors=True)
        written(state, root, place)
        check(place, acknowledged(disk, moment), what)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_resume_of_a_killed_run_may_be_stopped_by_a_power_failure_too(told_run: tuple[Disk, str], every: int):
    """What the resume read of the killed run was in memory only, some of it."""
    disk, told_root = told_run
    root = Path(told_root).parent / "again"
    for moment in range(30, len(disk.ops), every):
        ops = [
            replace(op, path=op.path.replace(told_root, str(root)), other=op.other.replace(told_root, str(root)))
            for op in disk.ops[:moment]
        ]
        shutil.rmtree(root, ignore_errors=True)
        written(state_after(ops), str(root), root)
        told = acknowledged(disk, moment)
        with recorded(after=ops) as more:
            resume_flow(define(Small), settings(root), Acknowledging(more))
        for later in range(moment, len(more.ops) + 1, every):
            left = more.ops[:later]
            shutil.rmtree(root)
            written(state_after(left, frozenset(unsafe(left))), str(root), root)
            check(root, max(told, acknowledged(more, later), key=Counter.total), f"killed after {moment}, power lost after {later}")


@pytest.mark.nightly
def test_the_same_of_a_resume(told_resume: tuple[Disk, str], tmp_path: Path):
    disk, root = told_resume
    place = tmp_path / "root"
    first = next(at for at, _ in disk.said)
    for what, moment, state in crashes(disk, is_all=False):
        if moment >= first:
            shutil.rmtree(place, ignore_errors=True)
            written(state, root, place)
            check(place, acknowledged(disk, moment), what, asked=frozenset({"join", "end"}))


def attempts(count: int, *, is_all: bool) -> Iterator[tuple[int, int, bool]]:
    for number in range(count):
        for code in ERRORS if is_all else (ERRORS[number % len(ERRORS)],):
            for for_ever in (False, True):
                yield number, code, for_ever


@pytest.mark.parametrize("is_all", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["one error each", "every error"])
def test_whichever_operation_fails_the_error_names_the_path_and_nothing_acknowledged_is_lost(
    told_run: tuple[Disk, str], tmp_path: Path, is_all: bool
):
    disk, _ = told_run
    for number, code, for_ever in attempts(len(disk.ops), is_all=is_all):
        what = (
            f"operation {number} ({disk.ops[number].kind} {disk.ops[number].path}) fails with {errno.errorcode[code]}, for ever: {for_ever}"
        )
        root = tmp_path / "root"
        shutil.rmtree(root, ignore_errors=True)
        telling = Acknowledging()
        with recorded(failing(number, code, for_ever=for_ever)):
            try:
                run_flow(define(Small), {}, settings(root), telling)
            except RayflowException as error:
                assert str(root) in str(error), f"{what}: {error}"
                assert os.strerror(code) in str(error), f"{what}: {error}"
        check(root, telling.done, what)
