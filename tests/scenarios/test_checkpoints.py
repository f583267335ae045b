"""A task goes on where its last attempt, or the run before, left off."""

from __future__ import annotations

import pytest

from rayflow.flow.definition import define
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.testing.flows import opened
from scenarios.flows import checkpoints
from scenarios.playing import cannot

WHOLE = [[[name, epoch] for epoch in range(6)] for name in "ab"]


def test_a_retry_goes_on_from_the_checkpoint_and_nothing_is_done_twice(play):
    played = play(checkpoints.Epochs)

    assert (played.data.begun, played.data.epochs, played.each("train", "left")) == ([2, 2], WHOLE, [1, 1])


@cannot("inline", "the kill ends the test itself")
def test_so_does_one_after_a_kill(play):
    played = play(checkpoints.Epochs, kills=True)

    assert (played.data.begun, played.data.epochs) == ([2, 2], WHOLE)


@pytest.mark.parametrize(("step", "begun"), [(None, 4), ("train", 2), ("start", 2)])
def test_a_resume_goes_on_from_it_unless_the_step_or_its_inputs_are_performed_again(play, tmp_path, step, begun):
    (tmp_path / "blocked").touch()
    failed = play(checkpoints.Epochs, blocked=str(tmp_path / "blocked"), fails=True)
    (tmp_path / "blocked").unlink()
    settings = Settings(**{"root": play.root, "executor": play.executor, "user": "ada", **play.always})

    resumed = resume_flow(define(checkpoints.Epochs), settings, origin_run_id=failed.run.id, step=step)

    run = opened(play.root, resumed)  # performed from the beginning, the first attempt ends as it did before, and the second goes on there
    assert (max(run.data.begun), run.data.epochs) == (begun, WHOLE)
