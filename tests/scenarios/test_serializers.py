"""Values that a serializer of the flow's own stores: from task to task, in packs, over a resume, and where the serializer is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rayflow.flow.definition import define
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.testing import run_flow
from rayflow.testing.flows import opened
from scenarios.flows.serialized import Bought, Money, Unpaid

TOTAL = 2 * 3 * sum(range(40))


def test_values_go_through_all_steps_of_a_flow(play):
    played = play(Bought)

    assert (played.data.sum, played.data.weights) == (TOTAL + 3, {100_000})
    assert [each.cents for each in played.each("pay", "paid")] == [3 * number for number in range(40)]
    assert isinstance(played.data.large, Money)


def test_a_failure_names_the_serializer_and_the_artifact(play):
    played = play(Unpaid, fails=True)

    assert "Serializer MoneySerializer failed on artifact 'last': ValueError: debts are not stored" in played.failure.message


def test_catch_saves_a_step_whose_value_is_refused(play):
    played = play(Unpaid, fails=True)

    start = played.run["start"].task
    assert start.data.kept == 1
    assert "Serializer MoneySerializer failed on artifact 'debt'" in str(start.data.problem)
    assert played.failure.type.endswith("ArtifactUnserializable")


def test_errors_of_the_family_are_told_as_they_are(play):
    played = play(Unpaid, cents=-2, fails=True)

    assert (played.failure.message, played.failure.type) == ("money is out", "rayflow.model.errors.RayflowException")
    start = played.run["start"].task
    assert (start.data.kept, "money is out" in str(start.data.problem), [each.id for each in played.run]) == (1, True, ["end", "start"])


def test_a_resume_takes_such_values_over(play, tmp_path):
    failed = play(Bought, file=str(tmp_path / "there"), fails=True)
    (tmp_path / "there").touch()

    settings = Settings(root=play.root, executor=play.executor, user="ada", **play.always)
    result = resume_flow(define(Bought), settings)

    assert (result.outcome.value, result.run_id != failed.run.id) == ("succeeded", True)
    assert opened(play.root, result).data.sum == TOTAL + 3


# -- without the serializer --------------------------------------------------------------------------------------------


def said(*words):
    """Exit code and output of Python in a process that has no serializer."""
    told = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
    return told.returncode, told.stdout + told.stderr


READ = """
from rayflow import Run, metadata, namespace
metadata({root!r}); namespace(None)
run = Run("Bought/{id}")
assert run["double"].table("weight").num_rows == 40
assert run["end"].task["total"].type == "scenarios.flows.serialized.Money"
print(run["end"].task.data.sum)
try:
    run["end"].task.data.total
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def on_disk(tmp_path):
    """Runs of `Bought`, and the root where they are."""
    root = str(tmp_path / "root")
    return root, lambda **given: run_flow(Bought, root=root, **given)


def test_without_the_serializer_everything_but_the_value_is_there(on_disk):
    root, run = on_disk
    made = run()

    code, told = said("-c", READ.format(root=root, id=made.id))

    assert code == 0, told
    assert f"{TOTAL + 3}\nUserError Artifact 'total' (<class 'scenarios.flows.serialized.Money'>) has the encoding 'money-v1'" in told
    assert "One of scenarios wrote it: import that first" in told


@pytest.mark.parametrize("words", [("verify",), ("ls", "Bought"), ("show", "end"), ("path", "end/large"), ("dump", "end"), ("dump", "pay")])
def test_commands_never_need_the_serializer(on_disk, words):
    root, run = on_disk
    made = run()
    command, *rest = words
    named = [f"Bought/{made.id}/{each}" if each != "Bought" else each for each in rest]

    code, told = said("-m", "rayflow", command, *named, "--root", root)

    assert (code, "Traceback" in told) == (0, False), told


def test_runs_are_compared_by_what_was_stored_and_with_the_serializer_by_value(on_disk):
    root, run = on_disk
    one, other = f"Bought/{run().id}", f"Bought/{run(cents=4).id}"

    code, told = said("-m", "rayflow", "diff", one, other, "--root", root)
    with_values = said("-m", "rayflow", "diff", "--values", one, other, "--root", root)

    assert (code, "price" in told, "large" in told) == (1, True, False), told
    assert "no serializer here reads" in with_values[1] and "Traceback" not in with_values[1]
