"""What the tests of the command line leave behind: nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rayflow.client import default_metadata, default_namespace


@pytest.fixture(autouse=True)
def _session() -> Iterator[None]:
    """The process-wide choices of the client are those of the test alone."""
    yield
    default_namespace()
    default_metadata()
