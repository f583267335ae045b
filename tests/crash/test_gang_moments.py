"""A run with a gang, stopped after each operation of its disk: the gang is committed as a whole or not at all."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from rayflow import FlowSpec, parallel, step
from rayflow.catalog.index import runs_of
from rayflow.catalog.reading import open_run
from rayflow.client import open_pathspec
from rayflow.flow.definition import define
from rayflow.model.errors import RayflowNotFound, StoreMissing
from rayflow.model.records import Outcome
from rayflow.runtime import session
from rayflow.runtime.launch import resume_flow, run_flow
from rayflow.store import open_root
from tests.crash.disk import recorded, written
from tests.crash.test_every_moment import Acknowledging, acknowledged, crashes, settings

RAN: list[int] = []


class Together(FlowSpec):
    @step
    def start(self):
        self.next(self.node, num_parallel=3)

    @parallel
    @step
    def node(self):
        RAN.append(self.index)
        self.large = bytes([self.index]) * 40_000
        self.next(self.join)

    @step
    def join(self, inputs):
        self.sizes = [(each.large[0], len(each.large)) for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


def committed(root: Path) -> Counter[str] | None:
    """How many tasks of each step a reader finds; None where there is no run."""
    try:
        store = open_root(str(root), create=False)
        found = [Counter(open_run(store, "Together", entry.run_id).view.totals()) for entry in runs_of(store, "Together")]
    except (StoreMissing, RayflowNotFound):
        return None
    return found[0] if found else None


def test_whenever_the_machine_stops_a_gang_is_done_or_is_performed_again_as_a_whole(tmp_path: Path):
    told = str(tmp_path / "told")
    with recorded() as disk:
        run_flow(define(Together), {}, settings(told), Acknowledging(disk))
    place, seen = tmp_path / "root", Counter[int]()

    for what, moment, state in crashes(disk, is_all=False):
        shutil.rmtree(place, ignore_errors=True)
        written(state, told, place)
        session._sessions.clear()
        found = committed(place)
        if found is None:
            continue
        assert found >= acknowledged(disk, moment), what
        RAN.clear()
        result = resume_flow(define(Together), settings(place))
        assert result.outcome is Outcome.SUCCEEDED, what
        assert open_pathspec(str(place), f"Together/{result.run_id}/join").task.data.sizes == [(0, 40_000), (1, 40_000), (2, 40_000)], what
        assert (found["node"], sorted(RAN)) in ((0, [0, 1, 2]), (3, [])), what
        seen[found["node"]] += 1

    assert set(seen) == {0, 3}
