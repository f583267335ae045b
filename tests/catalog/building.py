"""Small graphs, records and segments for the tests of the catalog."""

from __future__ import annotations

from typing import Any

from rayflow.catalog.run import RunRecord, claim_run
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step
from rayflow.model.indexes import Fanout, IndexSet
from rayflow.model.records import Row, Segment
from rayflow.store.local import LocalStore

T0 = 1_700_000_000_000_000


class Deep(FlowSpec):
    @step
    def start(self):
        self.rows = [0, 1]
        self.next(self.outer, foreach="rows")

    @step
    def outer(self):
        self.columns = [0, 1, 2]
        self.next(self.inner, foreach="columns")

    @step
    def inner(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


GRAPH = define(Deep).graph


def record(run_id: str = str(T0), **fields: Any) -> RunRecord:
    return RunRecord(**{"flow": "Deep", "run_id": run_id, "created_us": T0, "user": "ada", "graph": GRAPH, **fields})


def claimed(store: LocalStore, run_id: str = str(T0), **fields: Any) -> RunRecord:
    return claim_run(store, record(run_id, **fields), is_id_given=True)


def lone(name: str, run: str = str(T0), **fields: Any) -> Segment:
    """A committed task of a step outside every foreach."""
    return Segment(name, IndexSet.single(0), run=run, rows=(Row(),), **fields)


def opened_out() -> list[Segment]:
    """`start` with two splits, `outer` with three each: 0, 1 -> 0..5."""
    return [
        lone("start", fanout=Fanout("start", 0, IndexSet.single(0), 2, 100)),
        Segment("outer", IndexSet.span(0, 2), parent="start", fanout=Fanout("outer", 0, IndexSet.span(0, 2), 3, 200), pack="outer/x"),
    ]
