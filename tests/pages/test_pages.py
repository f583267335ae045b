"""What the pages below docs/ show is true: each is performed from top to bottom, in a directory of its own.

A page whose front matter says `needs: ray` is performed where rayflow chooses the executor, all others by child processes alone;
`needs: bucket` gives it an S3 on loopback with a bucket called `my-bucket`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.pages.performing import REPO, fences, perform_page, surroundings

DOCS = REPO / "docs"
LANGUAGES = {"python", "console", "yaml", "toml", "text"}


def needs(text: str) -> str:
    """What the page says that it needs; an empty text for nothing."""
    found = re.match(r"---\nneeds: (\w+)\n---\n", text)
    return found.group(1) if found else ""


def pages() -> list[Any]:
    return [*_pages()]


def _pages():
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        marks = [pytest.mark.ray, pytest.mark.timeout(300)] if needs(text) == "ray" else []
        yield pytest.param(text, id=str(path.relative_to(DOCS)), marks=marks)


@pytest.fixture
def environ(request, tmp_path):
    """Makes the environment of a page that needs this."""

    def make(need: str) -> dict[str, str]:
        if need == "bucket":
            return {**surroundings(tmp_path, "process"), **bucket_variables(request.getfixturevalue("s3_endpoint"))}
        return surroundings(tmp_path, "auto" if need == "ray" else "process")

    return make


def bucket_variables(endpoint: str) -> dict[str, str]:
    """Makes `my-bucket`; the environment that leads there."""
    import s3fs

    secrets = {"key": "testing", "secret": "testing"}
    s3fs.S3FileSystem(skip_instance_cache=True, endpoint_url=endpoint, **secrets).makedirs("my-bucket", exist_ok=True)
    settings = {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": endpoint}
    return {f"AWS_{name}": value for name, value in settings.items()}


@pytest.mark.parametrize("page", pages())
def test_a_page_does_what_it_says(page, tmp_path, environ):
    perform_page(page, tmp_path, environ(needs(page)))


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_is_performed_unless_it_is_text(page):
    assert page.count("```") == 2 * len(fences(page)), "a block has no language, or is not closed where it begins"
    assert {fence.language for fence in fences(page)} <= LANGUAGES
