"""Steps with packages of their own hand each other artifacts as ever."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from rayflow.runtime.notices import Preparing
from scenarios.flows import packages as flows
from scenarios.playing import cannot

ONE_PYTHON = "it has one Python, and refuses such steps"


@pytest.fixture
def environments() -> dict[str, Any]:
    """That steps have environments, which are kept for all tests."""
    return {"environment": "pypi", "environments_dir": os.environ["RAYFLOW_ENVIRONMENTS_DIR"], "environ": dict(os.environ)}


@cannot("inline", ONE_PYTHON)
def test_two_versions_of_one_package_run_in_one_flow(play, environments):
    played = play(flows.TwoVersions, **environments)
    again = play(flows.TwoVersions, **environments)

    assert played.data.seen == {"old": (flows.OLD, False, "debug")}
    assert (played.data.versions, played.data.viewed) == ([flows.NEW] * 3, [[1, 2]] * 3)
    assert played.data.are_outside == [(False, True)] * 3
    assert (played.data.batches, played.data.path) == ([((1, 2), (2, 3))], True)
    assert again.data.batches == played.data.batches
    assert [notice for notice in again.notices if isinstance(notice, Preparing)] == []


@cannot("inline", ONE_PYTHON)
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
