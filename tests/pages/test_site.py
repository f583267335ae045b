"""The site below docs/ builds without a warning, and its reference is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

import rayflow
import rayflow.exception
from docs import hooks
from rayflow.flow.decorators import DecoratorKind
from rayflow.flow.differences import BEHAVIOURS, DIFFERENCES, Difference, Kind
from rayflow.flow.flowdecorators import FlowDecoratorKind
from rayflow.settings.table import SETTINGS
from tests.pages.performing import REPO

DOCS = REPO / "docs"
SHOWN_IN_PART = ("batch", "kubernetes")
"""Decorators with arguments that are only accepted: the reference names those that count."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. What mkdocs warns of, a broken link or reference, ends the build (not with `--quiet`: then nothing warns)."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    result = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return directory


def anchors(site) -> set[str]:
    return {anchor for page in site.rglob("*.html") for anchor in re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8"))}


def test_the_site_needs_nothing_from_elsewhere(site):
    fetched = [
        (page.name, url)
        for page in site.rglob("*.html")
        for url in re.findall(r'<(?:script|link|img)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)', page.read_text(encoding="utf-8"))
    ]

    assert list(site.rglob("*.html"))
    assert fetched == []


def test_every_task_is_on_the_list_of_tasks():
    tasks = DOCS / "tasks"
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (tasks / "index.md").read_text(encoding="utf-8")))

    assert listed == {page.name for page in tasks.glob("*.md")} - {"index.md"}


def test_every_public_name_has_a_place_in_the_reference(site):
    found = anchors(site)

    assert {name for name in rayflow.__all__ if f"rayflow.{name}" not in found} == set()
    assert {name for name in rayflow.exception.__all__ if f"rayflow.exception.{name}" not in found} == set()


def test_every_error_is_explained():
    explained = re.findall(r"^\| `(\w+)` \|", (DOCS / "reference" / "errors.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert sorted(explained) == sorted(rayflow.exception.__all__)


def decorators() -> Iterator[DecoratorKind | FlowDecoratorKind]:
    for name in rayflow.__all__:
        value = getattr(rayflow, name)
        if isinstance(value, DecoratorKind | FlowDecoratorKind) and name not in SHOWN_IN_PART:
            yield value


def test_every_decorator_is_shown_with_its_arguments_and_their_defaults():
    text = (DOCS / "reference" / "decorators.md").read_text(encoding="utf-8")
    signatures = [f"`@{kind.name}({', '.join(f'{name}={value!r}' for name, value in kind.defaults.items())})`" for kind in decorators()]

    assert len(signatures) > 10
    assert [signature for signature in signatures if signature not in text] == []


def commands_below(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands_below(child, f"{path} {name}")


def test_every_command_and_option_is_in_the_reference():
    page = hooks.on_page_markdown((DOCS / "reference" / "commands.md").read_text(encoding="utf-8"))
    all_commands = [*commands_below(hooks.program(), "rayflow"), *commands_below(hooks.flow(), "python flow.py")]
    missing = [
        f"{path} {option.opts[0]}"
        for path, command in all_commands
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and option.opts[0] not in section(page, path)
    ]

    assert len(all_commands) > 30
    assert missing == []


def test_an_option_has_the_name_in_the_environment_that_the_reference_says():
    options = [
        (path, option)
        for path, command in [*commands_below(hooks.program(), "rayflow"), *commands_below(hooks.flow(), "python flow.py")]
        for option in command.params
        if isinstance(option, click.Option) and option.opts[-1].startswith("--") and not isinstance(option.flag_value, str)
    ]

    assert len(options) > 100
    assert [(path, option.opts) for path, option in options if option.opts[-1][2:].replace("-", "_") != option.name] == []


def test_every_setting_is_in_the_reference_with_its_default():
    page = hooks.on_page_markdown((DOCS / "reference" / "settings.md").read_text(encoding="utf-8"))
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*) \|$", page, flags=re.MULTILINE))

    assert list(rows) == [setting.name for setting in SETTINGS]
    assert [setting.name for setting in SETTINGS if not rows[setting.name].endswith(f"| {setting.default}")] == []


def test_what_differs_from_metaflow_is_on_its_page():
    page = hooks.on_page_markdown((DOCS / "metaflow.md").read_text(encoding="utf-8"))
    lacking = [row for row in DIFFERENCES if not hooks.is_here(row)]
    there_by_now = [Difference("retry", Kind.DECORATOR, "", ""), Difference("metaflow.events", Kind.MODULE, "", "")]

    assert len(lacking) > 10
    assert [row.name for row in lacking if hooks.written(row) not in page] == []
    assert [row.what for row in BEHAVIOURS if f"| {row.what} | {row.there} | {row.here} |" not in page] == []
    assert [mark for mark in hooks.MADE if mark in page] == []
    assert list(map(hooks.is_here, there_by_now)) == [True, True]


def section(page: str, path: str) -> str:
    """What the page says under the heading of a command."""
    found = re.search(rf"^#+ {re.escape(path)}(?: \{{[^\n]*\}})?\n(.*?)(?=^#|\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, f"the reference has no heading for `{path}`"
    return found.group(1) if path != "python flow.py" else page
