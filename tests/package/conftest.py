from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rayflow.store import open_root


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / "root"), create=True)


@pytest.fixture
def made(tmp_path) -> Callable[[Mapping[str, str]], Path]:
    """Makes a directory with a flow and these files in it."""

    def make(files: Mapping[str, str]) -> Path:
        directory = tmp_path / "project"
        for name, content in {"flow.py": "print(1)", **files}.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return directory

    return make
