"""Of two drivers of one run, or two plain resumes of it, one proceeds and the other names it; a replaced driver says nothing more."""

from __future__ import annotations

import signal
import time

import pytest

from tests.crash.flows import NESTED_ANSWER
from tests.crash.world import Driver, World, committed_names


def released_together(world: World, *commands: tuple[str, ...]) -> list[Driver]:
    """Drivers that have imported everything before any of them begins."""
    drivers = [world.drive(*command, "--barrier") for command in commands]
    for driver in drivers:
        driver.event("ready")
    for driver in drivers:
        driver.release()
    return drivers


def told_apart(drivers: list[Driver]) -> tuple[Driver, Driver]:
    """(who proceeded, who did not). The loser has ended within 5 s of the start, with one message."""
    begun = time.monotonic()
    while all(driver.process.poll() is None for driver in drivers):
        assert time.monotonic() - begun < 5, "nobody gave way"
        time.sleep(0.01)
    loser = next(driver for driver in drivers if driver.process.poll() is not None)
    winner = next(driver for driver in drivers if driver is not loser)
    return winner, loser


def answer_of(world: World, flow: str, run_id: str) -> object:
    return next(artifacts["answer"] for name, artifacts in world.read_all(flow, run_id).items() if name.startswith("end/"))


def rounds(at_every_commit: int) -> list[object]:
    """Twenty in all; the first so many at every commit."""
    return [pytest.param(number, marks=pytest.mark.nightly) if number >= at_every_commit else number for number in range(20)]


@pytest.mark.parametrize("number", rounds(5))
def test_of_two_resumes_at_once_one_proceeds_and_the_other_names_it(world: World, number: int):
    killed = world.drive("Nested", "run", "-p", "pause_ms=4")
    killed.progressed("leaf", 40)
    killed.kill()
    origin = killed.run_id
    committed, mark = committed_names(world.opened("Nested", str(origin))), world.mark()

    winner, loser = told_apart(released_together(world, ("Nested", "resume"), ("Nested", "resume")))

    assert loser.finish() == 1
    assert winner.finish() == 0, winner.errors
    assert f"pid {winner.pid} " in loser.errors or str(winner.run_id) in loser.errors, loser.errors
    assert "Traceback" not in loser.errors
    assert answer_of(world, "Nested", str(winner.run_id)) == NESTED_ANSWER
    assert [run for run in world.run_ids("Nested") if run != origin] == [winner.run_id]
    tasks = world.started(mark)
    assert len(tasks) == len(set(tasks))
    assert not committed.intersection(tasks)


@pytest.mark.parametrize("number", rounds(1))
def test_of_two_runs_of_one_id_at_once_one_proceeds_and_the_other_names_it(world: World, number: int):
    command = ("Nested", "run", "--run-id", "Same", "-p", "pause_ms=4")

    winner, loser = told_apart(released_together(world, command, command))

    assert loser.finish() == 1
    assert winner.finish() == 0, winner.errors
    assert "Same" in loser.errors
    assert f"pid {winner.pid} " in loser.errors
    assert "Traceback" not in loser.errors
    tasks = world.started()
    assert len(tasks) == len(set(tasks))
    assert answer_of(world, "Nested", "Same") == NESTED_ANSWER


@pytest.mark.parametrize("number", rounds(1))
def test_of_two_reattachments_at_once_one_proceeds(world: World, number: int):
    command = ("Nested", "run", "--run-id", "Same", "-p", "pause_ms=4")
    killed = world.drive(*command)
    killed.progressed("leaf", 20)
    killed.kill()
    committed = committed_names(world.opened("Nested", "Same"))
    mark = world.mark()

    winner, loser = told_apart(released_together(world, command, command))

    assert loser.finish() == 1
    assert winner.finish() == 0, winner.errors
    assert "Same" in loser.errors and "Traceback" not in loser.errors
    assert not committed.intersection(world.started(mark))
    assert answer_of(world, "Nested", "Same") == NESTED_ANSWER


def test_a_run_id_given_again_continues_the_killed_run_without_repeating_what_is_done(world: World):
    killed = world.drive("Nested", "run", "--run-id", "Mine")
    killed.progressed("leaf", 20)
    killed.kill(group=True)
    committed, mark = committed_names(world.opened("Nested", "Mine")), world.mark()

    again = world.perform("Nested", "run", "--run-id", "Mine")

    assert (again.process.returncode, again.run_id, again.errors) == (0, "Mine", "")
    assert len(committed) > 1
    assert not committed.intersection(world.started(mark))
    assert world.run_ids("Nested") == ["Mine"]
    assert answer_of(world, "Nested", "Mine") == NESTED_ANSWER


def test_a_finished_run_id_given_again_runs_nothing_and_succeeds(world: World):
    world.perform("Wide", "run", "--run-id", "Mine")
    mark = world.mark()

    again = world.perform("Wide", "run", "--run-id", "Mine")

    assert (again.process.returncode, world.started(mark)) == (0, [])


def test_a_failed_run_id_given_again_runs_what_failed_and_keeps_its_failed_attempts(world: World):
    world.perform("Wide", "run", "--run-id", "Mine", env={"BREAK": "work-3"})
    committed, mark = committed_names(world.opened("Wide", "Mine")), world.mark()

    again = world.perform("Wide", "run", "--run-id", "Mine")

    assert again.process.returncode == 0, again.errors
    assert "work-3" in world.started(mark) and not committed.intersection(world.started(mark))
    opened = world.opened("Wide", "Mine")
    assert opened.ending is not None and opened.ending.outcome.value == "succeeded"
    assert [key.step for key in opened.view.failed] == ["work"]


def test_a_run_id_given_again_with_other_parameters_is_refused_in_one_message(world: World):
    world.perform("Wide", "run", "--run-id", "Mine", env={"BREAK": "end"})
    mark = world.mark()

    again = world.perform("Wide", "run", "--run-id", "Mine", "-p", "count=7")

    assert again.process.returncode == 2
    assert again.errors.count("\n") == 1 and "Mine" in again.errors and "--run-id" in again.errors
    assert world.started(mark) == []


def test_a_run_id_of_a_run_in_progress_is_refused_naming_its_process(world: World):
    living = world.drive("Slow", "run", "--run-id", "Mine")
    living.event("task", step="nap")

    began = time.monotonic()
    again = world.perform("Slow", "run", "--run-id", "Mine")
    resumed = world.perform("Slow", "resume", "--origin", "Mine")

    assert time.monotonic() - began < 10
    for refused in (again, resumed):
        assert refused.process.returncode == 1
        assert f"pid {living.pid} " in refused.errors and "Mine" in refused.errors
    assert living.process.poll() is None


def test_a_resume_with_the_id_of_one_that_died_goes_on_with_that(world: World):
    world.perform("Wide", "run", "--run-id", "Origin", env={"BREAK": "work-3"})
    dead = world.drive("Wide", "resume", "--origin", "Origin", "--run-id", "Second", env={"BREAK": "join"})
    dead.finish()
    committed, mark = committed_names(world.opened("Wide", "Second")), world.mark()

    again = world.perform("Wide", "resume", "--origin", "Origin", "--run-id", "Second")

    assert (again.process.returncode, again.run_id) == (0, "Second"), again.errors
    assert not committed.intersection(world.started(mark))


def test_a_run_that_was_continued_is_not_driven_any_more(world: World):
    world.perform("Wide", "run", "--run-id", "Origin", env={"BREAK": "work-3"})
    world.perform("Wide", "resume", "--origin", "Origin", "--run-id", "Second")

    again = world.perform("Wide", "run", "--run-id", "Origin")

    assert again.process.returncode == 1
    assert "Second" in again.errors


def test_a_driver_that_was_stopped_and_replaced_acknowledges_nothing_and_says_so(world: World):
    zombie = world.drive("Nested", "run")
    zombie.progressed("leaf", 20)
    zombie.send(signal.SIGSTOP)

    taker = world.perform("Nested", "resume")
    sealed = committed_names(world.opened("Nested", str(zombie.run_id)))
    zombie.send(signal.SIGCONT)
    code = zombie.finish(10)

    assert taker.process.returncode == 0, taker.errors
    assert code == 1
    assert "taken over" in zombie.errors and f"pid {taker.pid} " in zombie.errors
    assert "Traceback" not in zombie.errors
    opened = world.opened("Nested", str(zombie.run_id))
    assert opened.ending is not None and opened.ending.outcome.value == "interrupted"
    assert committed_names(opened) == sealed
    acknowledged = zombie.acknowledged()
    assert all(done <= opened.view.totals().get(step, 0) for step, done in acknowledged.items()), (acknowledged, opened.view.totals())
    assert answer_of(world, "Nested", str(taker.run_id)) == NESTED_ANSWER


def test_a_replaced_driver_hears_of_it_though_it_has_nothing_to_commit(world: World):
    zombie = world.drive("Slow", "run", "-p", "seconds=120")
    zombie.event("task", step="nap")
    zombie.send(signal.SIGSTOP)
    hurry = world.ledger.with_name("ledger.hurry")
    hurry.touch()

    taker = world.perform("Slow", "resume")
    zombie.send(signal.SIGCONT)

    assert zombie.finish(10) == 1
    assert "taken over" in zombie.errors
    assert taker.process.returncode == 0, taker.errors
