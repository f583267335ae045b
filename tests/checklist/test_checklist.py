"""Every feature has a test that shows it, and the page says so."""

from __future__ import annotations

import pytest

from tests.checklist import reading
from tests.checklist.row import Row, row

PLAYED = "scenarios/test_shapes.py::test_a_split_within_a_split_is_joined_first"


def test_every_feature_is_shown_by_tests_that_exist():
    assert [problem for each in reading.rows() for problem in reading.problems(each)] == []


def test_no_feature_is_listed_twice():
    features = [each.feature for each in reading.rows()]

    assert sorted(set(features)) == sorted(features)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (row("x", "p.md", beside="it is a command"), "x: no test shows it"),
        (row("x", "p.md", "scenarios/test_shapes.py::test_nothing", beside="?"), "there is no test scenarios/test_shapes.py::test_nothing"),
        (row("x", "p.md", "nowhere/test_at_all.py::test_it", beside="?"), "there is no test nowhere/test_at_all.py::test_it"),
        (row("x", "p.md", "flow/test_lint.py::test_a_target_is_a_step"), "no flow is played, and it is not said why"),
        (row("x", "p.md", PLAYED, beside="it is a command"), "a flow is played, and a reason is given why none is"),
        (row("x", "p.md", PLAYED, absent="later: cards"), "it has tests, and a reason why it is not there"),
    ],
)
def test_a_feature_that_nothing_shows_is_named(given: Row, problem: str):
    found = list(reading.problems(given))

    assert len(found) == 1
    assert found[0].endswith(problem)


def test_a_scenario_is_played_where_its_executors_can():
    crash = "scenarios/test_attempts.py::test_a_death_is_caught_by_a_fallback_that_runs_no_user_code"
    gang = "scenarios/test_gangs.py::test_a_node_that_fails_has_the_whole_gang_tried_again"

    assert reading.executors(PLAYED) == ("inline", "process", "ray")
    assert reading.executors(crash) == reading.executors(gang) == ("process", "ray")


def test_the_page_is_as_the_table_says():
    assert reading.PAGE.read_text(encoding="utf-8") == reading.text(), "python -m tests.checklist --write"


def test_every_feature_leads_to_a_page():
    pages = {each.page.partition("#")[0] for each in reading.rows()}

    assert [page for page in pages if not (reading.DOCS / page).is_file()] == []
