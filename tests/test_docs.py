"""What README.md shows is true: every file, command and snippet of its tour is written, run and compared, in order, in one directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages.performing import REPO, Command, Fence, perform, perform_page, surroundings
from tests.pages.performing import fences as fences_of

README = (REPO / "README.md").read_text(encoding="utf-8")


def fences() -> list[Fence]:
    return fences_of(README)


def perform_tour(cwd: Path, executor: str) -> int:
    """How many blocks were executed. How a fresh machine is set up, CI does; the warm cluster has a test of its own."""
    return perform_page(README, cwd, surroundings(cwd, executor))


def test_the_tour_of_the_readme_does_what_it_says(tmp_path: Path):
    assert perform_tour(tmp_path, "process") >= 10


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_tour_of_the_readme_does_the_same_where_rayflow_chooses_the_executor(tmp_path: Path):
    assert perform_tour(tmp_path, "auto") >= 10


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_warm_cluster_of_the_readme_is_kept_joined_and_ended(tmp_path: Path):
    environ = surroundings(tmp_path, "auto")
    (tmp_path / "train.py").write_text(next(content for _, content in fences() if content.startswith("# train.py")), encoding="utf-8")
    (tmp_path / "reports").mkdir()
    lines = next(content for language, content in fences() if language == "bash").splitlines()

    try:
        for line in lines:
            perform(Command(line, 0, []), tmp_path, environ)
    finally:
        perform(Command("rayflow down --force", 0, []), tmp_path, environ)

    assert [line.split()[1] for line in lines] == ["up", "run", "run", "down"]


def test_the_readme_opens_with_the_two_commands_of_a_fresh_machine():
    first, second = [fence.content.strip() for fence in fences() if fence.language == "sh"]

    assert first.endswith(".venv/bin/python examples/digits.py run")
    assert second.endswith(".venv/bin/just all")
    assert README.index(second) < README.index("## A tour")


def test_ci_runs_the_test_command_of_the_readme():
    second = [fence.content.strip() for fence in fences() if fence.language == "sh"][1]

    assert second in (REPO / ".ci" / "run").read_text(encoding="utf-8")


def test_every_link_to_a_file_of_the_repository_leads_somewhere():
    named = set(re.findall(r"(?<![\w/.])(?:(?:examples|tests|rayflow)/[\w/]+\.py|[A-Z]{4,}\.md)\b", README))

    assert named
    assert {name for name in named if not (REPO / name).exists()} == set()


def test_the_readme_lists_the_settings_that_there_are():
    from rayflow.settings import SETTINGS

    listed = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*) \|$", README, flags=re.MULTILINE)

    assert listed == [(setting.name, setting.default, setting.help) for setting in SETTINGS]


def test_the_changelog_has_a_section_for_what_is_not_released():
    assert "## [Unreleased]" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
