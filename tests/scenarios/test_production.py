"""What surrounds a flow in production."""

from __future__ import annotations

import pytest

from rayflow.flow.definition import define
from rayflow.model.errors import RayflowNotFound, UserError
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.runtime.notices import Warned
from rayflow.store import open_root
from scenarios.flows import production


@pytest.fixture(autouse=True)
def hook_log(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_LOG", str(tmp_path / "hooks"))
    return tmp_path / "hooks"


@pytest.fixture
def breaks(tmp_path):
    """A file; a run that is told of it fails while it is there. (The environment does not reach a cluster that is joined.)"""
    (tmp_path / "breaks").touch()
    return tmp_path / "breaks"


def test_a_run_belongs_to_a_branch_and_a_resume_goes_on_there(play, breaks):
    on_test = play(production.Scored, branch="x", breaks=str(breaks), fails=True)
    play(production.Scored, breaks=str(breaks), fails=True)
    breaks.unlink()

    assert on_test.run["start"].task.data.project == ("fraud", "test.x", False, None)
    assert {"project:fraud", "project_branch:test.x"} <= on_test.run.system_tags
    settings = {"root": play.root, "executor": play.executor, "user": "ada", **play.always}
    resumed = resume_flow(define(production.Scored), Settings(**settings, branch="x"))
    assert open_root(play.root, create=False).read(f"Scored/runs/{resumed.run_id}/run.json").count(on_test.run.id.encode()) >= 1
    with pytest.raises(RayflowNotFound, match="previous run id"):
        resume_flow(define(production.Scored), Settings(**settings, branch="y"))


def test_hooks_are_called_once_the_run_is_over_and_change_nothing(play, hook_log, breaks):
    played = play(production.Scored)
    failed = play(production.Scored, breaks=str(breaks), fails=True)

    assert hook_log.read_text() == f"{played.run.pathspec} True\n{failed.run.pathspec} failed\n"
    assert [text for text in played.warnings if "hook" in text] == ["Exit hook 'breaks' failed with exit code 1; the run is what it was."]
    assert isinstance(played.notices[-1], Warned)


def test_secrets_are_there_for_one_step_and_recorded_nowhere(play):
    played = play(production.Scored)

    assert (played.data.length, played.run["check"].task.data.left) == (len(production.CANARY), None)
    store = open_root(play.root, create=False)
    assert [key for key in store.list("") if production.CANARY.encode() in store.read(key)] == []


def test_a_flow_that_another_started_knows_it(play, breaks):
    first = play(production.Scored)

    second = play(production.Reported, triggers=(first.run.pathspec,))

    assert second.run["start"].task.data.by == ("rayflow.Scored.end", first.run.pathspec, len(production.CANARY))
    assert [run.pathspec for run in second.run.trigger.runs] == [first.run.pathspec]
    assert (first.run.trigger, "Scored" in second.run.trigger, "Other" in second.run.trigger) == (None, True, False)
    broken = play(production.Scored, breaks=str(breaks), fails=True)
    with pytest.raises(UserError, match="did not succeed, so that it triggers nothing"):
        play(production.Reported, triggers=(broken.run.pathspec,))
