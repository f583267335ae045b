"""What README.md shows is true: every file, command and snippet of its tour is written, run and compared, in order, in one directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPO = Path(__file__).parent.parent
README = (REPO / "README.md").read_text(encoding="utf-8")


class Fence(NamedTuple):
    """A fenced block of the README."""

    language: str
    content: str


class Command(NamedTuple):
    """A `$ ...` of a console block: how it must end, and what its output must contain, in this order."""

    text: str
    exit_code: int
    expected: list[str]


def fences() -> list[Fence]:
    return [Fence(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)]


def commands(console: str) -> Iterator[Command]:
    for block in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        text, *expected = block.splitlines()
        stated = re.search(r"# exit code (\d+)", text)
        yield Command(text, int(stated.group(1)) if stated else 0, [line.strip() for line in expected])


def surroundings(tmp_path: Path, executor: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("RAYFLOW", "METAFLOW", "RAY_"))}
    return {
        **ours,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "EXAMPLES": str(REPO / "examples"),
        "PYTHONPATH": str(tmp_path),
        "RAYFLOW_EXECUTOR": executor,
        "RAYFLOW_USER": "reader",
    }


def perform(command: Command, cwd: Path, environ: dict[str, str]) -> None:
    result = subprocess.run(["bash", "-c", command.text], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=100)
    told = result.stdout + result.stderr
    assert result.returncode == command.exit_code, f"$ {command.text}\n{told}"
    for line in command.expected:
        assert line in told, f"$ {command.text} does not say {line!r}:\n{told}"


def perform_tour(cwd: Path, executor: str) -> int:
    """How many blocks were executed."""
    environ = surroundings(cwd, executor)
    done = 0
    for language, content in fences():
        named = re.match(r"# (\w+\.py)\n", content)
        if language == "python" and named:
            (cwd / named.group(1)).write_text(content, encoding="utf-8")
        elif language == "python":
            perform(Command(f"python - <<'END'\n{content}\nEND", 0, []), cwd, environ)
        elif language == "console":
            for command in commands(content):
                perform(command, cwd, environ)
        else:
            continue  # how a fresh machine is set up: CI does that; the warm cluster: a test of its own
        done += 1
    return done


def test_the_tour_of_the_readme_does_what_it_says(tmp_path: Path):
    assert perform_tour(tmp_path, "process") >= 10


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_tour_of_the_readme_does_the_same_where_rayflow_chooses_the_executor(tmp_path: Path):
    assert perform_tour(tmp_path, "auto") >= 10


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_warm_cluster_of_the_readme_is_kept_joined_and_ended(tmp_path: Path):
    environ = {**surroundings(tmp_path, "auto"), "RAYFLOW_STATE_DIR": str(tmp_path / "state")}
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

    listed = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", README, flags=re.MULTILINE)

    assert listed == [(setting.name, setting.default, setting.help) for setting in SETTINGS]


def test_the_changelog_has_a_section_for_what_is_not_released():
    assert "## [Unreleased]" in (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
