"""What a run's own records say, for measures that its user cannot see."""

from __future__ import annotations

from rayflow.catalog.index import runs_of
from rayflow.catalog.journal import JournalReader
from rayflow.catalog.reading import OpenedRun, open_run
from rayflow.model.indexes import IndexSet
from rayflow.store.opening import open_store


def newest_run(root: str, flow: str) -> OpenedRun:
    """The run that was started last."""
    store = open_store(root)
    return open_run(store, flow, runs_of(store, flow)[0].run_id)


def done_of(run: OpenedRun, step: str) -> int:
    """How many tasks of the step are committed."""
    known = run.view.steps.get(step)
    return 0 if known is None else known.total


def repeated(run: OpenedRun, step: str) -> int:
    """Tasks of the step that its journal has as committed twice, or as launched again after they were committed."""
    committed: set[int] = set()
    again: set[int] = set()
    for event in JournalReader(run.store, run.layout).read():
        if event.get("e") in ("rows", "launched") and event["step"] == step:
            indices = set(IndexSet.from_json(event["idx"]))
            again |= indices & committed
            if event["e"] == "rows":
                committed |= indices
    return len(again)
