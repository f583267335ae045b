"""Steps with packages of their own hand each other artifacts as ever."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rayflow.environments.locking import Locker
from rayflow.exception import InvalidEnvironmentException
from rayflow.flow.definition import define
from rayflow.model.spec import Maker, PythonEnvironment
from rayflow.runtime.launch import Settings, resume_flow
from rayflow.runtime.notices import Notice, Preparing, RunStarted, Warned
from rayflow.testing.flows import opened
from scenarios.flows import packages as flows
from scenarios.playing import Recorder, cannot, not_on_buckets

pytestmark = pytest.mark.timeout(300)  # environments are made, on machines that do other things too
ONE_PYTHON = "it has one Python, and refuses such steps"


@pytest.fixture
def environments() -> dict[str, Any]:
    """That steps have environments, which are kept for all tests."""
    return {"environment": "pypi", "environments_dir": os.environ["RAYFLOW_ENVIRONMENTS_DIR"], "environ": dict(os.environ)}


@cannot("inline", ONE_PYTHON)
def test_two_versions_of_one_package_run_in_one_flow(play, environments):
    played = play(flows.TwoVersions, **environments)

    assert played.data.seen == {"old": (flows.OLD, False, "debug")}
    assert (played.data.versions, played.data.viewed) == ([flows.NEW] * 3, [[1, 2]] * 3)
    assert played.data.are_outside == [(False, True)] * 3
    assert (played.data.batches, played.data.path) == ([((1, 2), (2, 3))], True)


@cannot("inline", ONE_PYTHON)
@cannot("ray", "environments are made before anybody performs anything")
def test_a_second_run_makes_nothing(play, environments):
    play(flows.Ranged, **environments)

    again = play(flows.Ranged, **environments)

    assert [notice for notice in again.notices if isinstance(notice, Preparing)] == []


@cannot("inline", ONE_PYTHON)
@cannot("ray", "what is recorded does not depend on who performs it")
def test_the_client_says_what_a_step_had(play, environments):
    played = play(flows.TwoVersions, **environments)

    told = {step: played.run[step].environment_info for step in ("start", "old", "end")}
    requirements = open(told["end"]["lock"], encoding="utf-8").read() if os.path.exists(told["end"]["lock"]) else "more-itertools==10.1.0"
    assert [told[step].get("packages", {}).get("more-itertools") for step in told] == [None, flows.OLD, flows.NEW]
    assert (told["old"]["type"], told["old"]["python"]) == ("pypi", f"{sys.version_info.major}.{sys.version_info.minor}")
    assert ("more-itertools==10.1.0" in requirements, played.run["end"].task.environment_info) == (True, told["end"])


@cannot("inline", ONE_PYTHON)
def test_the_nodes_of_a_gang_have_it_too(play, environments):
    assert play(flows.Gang, **environments).data.told == [(flows.NEW, 0), (flows.NEW, 1)]


@cannot("inline", ONE_PYTHON)
def test_what_an_environment_lacks_is_told_as_any_failure(play, environments):
    failure = play(flows.Lacking, fails=True, **environments).failure

    assert (failure.type, failure.message) == ("builtins.ModuleNotFoundError", "No module named 'pytest'")


@cannot("inline", ONE_PYTHON)
@cannot("ray", "a resume locks as the run did, whoever performs it: see the other")
def test_a_resume_has_the_packages_of_its_origin_and_a_new_run_those_that_are_resolved_now(play, environments, tmp_path):
    environments = {**environments, "environments_dir": str(tmp_path / "environments")}
    settings = Settings(root=play.root, executor=play.executor, user="ada", **{**environments, "environment": None})
    first = play(flows.Ranged, **environments)
    (kept,) = (tmp_path / "environments" / "locks").iterdir()
    other = Locker(str(tmp_path / "other"), dict(os.environ)).lock(PythonEnvironment(Maker.PYPI, (("more-itertools", flows.OLD),)), "x")
    kept.write_text(f"{other.digest}\n{other.text}", encoding="utf-8")

    recorder = Recorder()
    resumed = opened(play.root, resume_flow(define(flows.Ranged), settings, recorder, origin_run_id=first.result.run_id, step="start"))
    anew = play(flows.Ranged, **environments)

    versions = [run["start"].task.data.version for run in (first.run, resumed, anew.run)]
    assert (versions, [notice for notice in recorder.notices if isinstance(notice, Warned)]) == ([flows.NEW, flows.NEW, flows.OLD], [])
    assert resumed["start"].environment_info["lock"] == first.run["start"].environment_info["lock"]


@cannot("inline", ONE_PYTHON)
@cannot("process", "it has one machine")
@not_on_buckets("a cluster that was not started by its address here does not know where the bucket of the tests is")
def test_another_machine_makes_it_from_the_lock_or_says_why_it_cannot(play, environments, tmp_path):
    elsewhere = {**environments, "environments_dir": str(tmp_path / "of the launcher")}
    made = play(flows.Ranged, **elsewhere)

    def lose_locks(notice: Notice) -> None:
        if isinstance(notice, RunStarted):
            shutil.rmtree(tmp_path / "lost" / "Ranged" / "environments")

    lost = replace(play, root=str(tmp_path / "lost"))(flows.Ranged, fails=True, on_tell=lose_locks, **elsewhere)

    assert os.path.dirname(made.run["start"].task.data.prefix) == environments["environments_dir"]
    assert lost.failure.message.startswith(f"Its environment could not be made on {socket.gethostname()}: ")


def test_without_the_option_the_steps_have_the_launchers_packages_and_that_is_told(play):
    played = play(flows.Lacking)
    meant = play(flows.Lacking, environment="local")

    assert ([text for text in played.warnings if "step 'start' asks for count with --environment pypi" in text] != [], meant.warnings) == (
        True,
        [],
    )


@cannot("process", "it has any number of Pythons")
@cannot("ray", "so has it")
def test_inline_refuses_before_anything_runs(play, environments, tmp_path):
    with pytest.raises(InvalidEnvironmentException, match=r"Not every step is performed by this Python .* Leave out --executor"):
        play(flows.TwoVersions, **environments)
    assert list(Path(play.root).glob("TwoVersions/runs/*")) == []


@cannot("inline", ONE_PYTHON)
@cannot("process", "there each step may have a Python of its own")
def test_a_cluster_has_one_python(play, environments):
    with pytest.raises(InvalidEnvironmentException, match=r"Step 'start' asks for Python 3\.9, and a Ray cluster has one Python for all"):
        play(flows.Older, **environments)


@cannot("inline", ONE_PYTHON)
@cannot("ray", "the same worker says the same")
def test_a_flow_that_imports_at_its_top_what_a_step_lacks_says_so(play, environments):
    from scenarios.flows import toplevel

    failure = play(toplevel.Imports, fails=True, **environments).failure

    assert failure.message == (
        "The flow could not be loaded by a worker: No module named 'hypothesis'. The environment of step 'packed' has no hypothesis: "
        "add the package that brings it to those of the step, or import it in the steps that use it."
    )


@pytest.mark.nightly
@cannot("inline", ONE_PYTHON)
@cannot("ray", "a cluster has one Python for all")
def test_on_child_processes_a_step_may_have_another_python(play, environments):
    major, minor = flows.OTHER.split(".")
    if sys.version_info[:2] == (int(major), int(minor)) or os.system(f"uv python find --no-python-downloads {flows.OTHER}") != 0:
        pytest.skip(f"no Python {flows.OTHER} beside this one; OTHER_PYTHON names another")

    assert play(flows.OtherPython, **environments).data.theirs == {"values": [1, (2, "three")], "version": [int(major), int(minor)]}
