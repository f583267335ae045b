"""A root with runs of `Grown`, made in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rayflow.catalog.reading import open_run
from rayflow.client import open_pathspec
from rayflow.flow.definition import define
from rayflow.model.records import Segment
from rayflow.runtime.launch import Settings, resume_flow, run_flow
from rayflow.runtime.notices import Notice, Warned
from rayflow.store import open_root
from tests.upkeep.flows import Grown

DAY_US = 24 * 3600 * 1_000_000


@dataclass
class Garden:
    """Runs under one root, and what is found there."""

    path: Path
    told: list[Notice] = field(default_factory=list[Notice])

    @property
    def root(self) -> str:
        return str(self.path)

    @property
    def store(self) -> Any:
        return open_root(self.root, create=False)

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)

    def run(self, **params: Any) -> str:
        """A run; its id."""
        settings = Settings(root=self.root, executor="inline", user="ada", tags=tuple(params.pop("tags", ())))
        return run_flow(define(Grown), params, settings, self).run_id

    def resume(self, origin: str | None = None, **options: Any) -> str:
        settings = Settings(root=self.root, executor="inline", user="ada")
        return resume_flow(define(Grown), settings, self, origin_run_id=origin, **options).run_id

    def warnings(self) -> list[str]:
        return [notice.text for notice in self.told if isinstance(notice, Warned)]

    def files(self, place: str = "") -> dict[str, int]:
        """Every file under the root, with its size."""
        top = self.path / place
        return {str(path.relative_to(self.path)): path.stat().st_size for path in top.rglob("*") if path.is_file()}

    def segments(self, run_id: str) -> list[Segment]:
        """What is committed of a run."""
        return list(open_run(self.store, "Grown", run_id).view.segments())

    def values(self, run_id: str) -> dict[str, Any]:
        """Every value of a run, read by the client."""
        found: dict[str, Any] = {}
        for step in open_pathspec(self.root, f"Grown/{run_id}"):
            for number, task in enumerate(list(step)[::-1]):
                for artifact in task:
                    found[f"{step.id}/{number}/{artifact.id}"] = artifact.data
        return found


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[Garden]:
    yield Garden(tmp_path / "root")


@pytest.fixture
def later() -> int:
    """A moment when everything here is old, in microseconds since 1970."""
    import time

    return time.time_ns() // 1000 + 3 * DAY_US
