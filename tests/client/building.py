"""Makes small roots as a driver would: claims a run, commits segments and failures, ends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.index import note_end, note_start
from rayflow.catalog.journal import JournalWriter
from rayflow.catalog.ownership import Heart, take_epoch
from rayflow.catalog.reading import Ending, open_run, write_ending
from rayflow.catalog.run import RunRecord, claim_run
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.graph_info import graph_info
from rayflow.model.indexes import Fanout, IndexSet, TaskKey
from rayflow.model.records import FailedAttempt, Failure, FailureKind, LogSpan, Outcome, Row, Segment, Status
from rayflow.store.blobs import Blobs
from rayflow.store.packs import RowsEncoder, merge, write_pack
from tests.client.flows import Hello, Sweep

T0 = 1_700_000_000_000_000
"""When the runs of the tests start: microseconds since 1970."""


class RunBuilder:
    """One run under construction."""

    def __init__(self, store: Any, flow: type[FlowSpec], run_id: str = str(T0), **record: Any) -> None:
        definition = define(flow)
        self.store = store
        self.flow = flow.__name__
        self.blobs = Blobs(store, self.flow, run_id)
        values = {kind: self.artifacts(record.pop(kind, {})) for kind in ("parameters", "constants")}
        fields: dict[str, Any] = {
            "created_us": int(run_id) if run_id.isdecimal() else T0,
            "user": "ada",
            "system_tags": ("user:ada", "rayflow_version:0.1.0", "python_version:3.11.7", "runtime:dev"),
            "graph_info": graph_info(definition),
            "script": "flow.py",
        }
        self.record = claim_run(
            store, RunRecord(flow=self.flow, run_id=run_id, graph=definition.graph, **{**fields, **values, **record}), is_id_given=True
        )
        note_start(store, self.record)
        self.layout = self.record.layout
        self.epoch = take_epoch(store, self.layout)
        self.journal = JournalWriter(store, self.layout, self.epoch)
        self._packs = 0

    def artifacts(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self.blobs.put(name, value) for name, value in values.items()}

    def row(self, *, at: int = 0, seconds: float = 1.0, **given: Any) -> Row:
        """A row that started `at` seconds after the run; what is no field of a row is an artifact."""
        fields = {name: given.pop(name) for name in ("status", "attempt", "logs", "failure") if name in given}
        return Row(started_us=T0 + at * 1_000_000, seconds=seconds, artifacts=self.artifacts(given), **fields)

    def lone(self, step: str, parent: str | None = None, *, lap: int = 0, taken: Any = None, index: int = 0, **row: Any) -> Segment:
        """Commits one task, its row in the journal."""
        return self.commit(Segment(step, IndexSet.single(index), lap, parent, taken, None, self.record.run_id, rows=(self.row(**row),)))

    def foreach(self, step: str, counts: Sequence[int], parent: str | None = None, *, first_id: int = 100, **row: Any) -> Segment:
        """Commits tasks 0, 1 ... of a foreach step, which fan out to so many splits each."""
        indices = IndexSet.span(0, len(counts))
        fanout = Fanout(step, 0, indices, tuple(counts), first_id)
        rows = tuple(self.row(**row) for _ in counts)
        return self.commit(Segment(step, indices, 0, parent, None, fanout, self.record.run_id, rows=rows))

    def packed(
        self, step: str, parent: str, indices: IndexSet, rows: Iterable[dict[str, Any]], *, taken: Any = None, log: str | None = None
    ) -> Segment:
        """Commits tasks whose rows lie in a pack: one dictionary of artifacts each."""
        encoder = RowsEncoder(self.blobs.put)
        for position, (index, row) in enumerate(zip(indices, rows, strict=True)):
            begin = 10 * position
            encoder.add(index, 0, T0 + index * 1_000_000, 0.5, Status.OK, 0, begin, begin + 10, 0, 0, row)
        self._packs += 1
        (part,) = merge([encoder.flush(pid=1, node="here", log=log)])
        pack = write_pack(self.store, self.layout, step, f"{self._packs:04d}", part)
        return self.commit(Segment(step, indices, 0, parent, taken, None, self.record.run_id, pack))

    def commit(self, segment: Segment) -> Segment:
        self.journal.commit([{"e": "rows", **wire.segment_to_json(segment)}])
        return segment

    def failed(
        self, step: str, index: int = 0, *, parent: str | None = None, is_final: bool = True, failure: Failure | None = None, **row: Any
    ) -> None:
        failure = failure or boom()
        attempt = FailedAttempt(TaskKey(step, index), self.row(status=Status.FAILED, failure=failure, **row), is_final, parent)
        self.journal.commit([{"e": "failed", **wire.failed_attempt_to_json(attempt)}])

    def launched(self, step: str, index: int = 0, *, log: str | None = None, **event: Any) -> None:
        self.journal.note([{"e": "launched", "step": step, "idx": IndexSet.single(index).to_json(), "log": log, **event}])

    def end(self, outcome: Outcome = Outcome.SUCCEEDED, *, at: int = 60) -> None:
        opened = open_run(self.store, self.flow, self.record.run_id)
        failed = tuple(each for attempts in opened.view.failed.values() for each in attempts)
        segments = tuple(opened.view.segments())
        write_ending(self.store, self.layout, Ending(outcome, "done", T0 + at * 1_000_000, segments=segments, failed=failed))
        note_end(self.store, self.record, outcome)

    @contextmanager
    def driven(self) -> Iterator[None]:
        """This process drives the run meanwhile."""
        heart = Heart(self.store, self.layout, self.epoch)
        heart.start()
        try:
            yield
        finally:
            heart.stop()

    def log(self, name: str, out: bytes = b"", err: bytes = b"", marks: bytes = b"") -> LogSpan:
        """Writes a log, and names all of it."""
        for stream, content in (("out", out), ("err", err), ("marks", marks)):
            if content:
                self.store.append(self.layout.log(name, stream), content, is_durable=False)
        return LogSpan(name, 0, len(out), 0, len(err))


def boom(kind: FailureKind = FailureKind.EXCEPTION, kind_name: str = "builtins.ValueError") -> Failure:
    return Failure(kind, "boom", kind_name, "Traceback ...\nValueError: boom\n")


def hello(store: Any, run_id: str = str(T0), flow: type[FlowSpec] | None = None, **record: Any) -> RunBuilder:
    """A finished run of two steps."""
    run = RunBuilder(store, flow or Hello, run_id, **record)
    run.lone("start", x=1, word="one")
    run.lone("end", "start", at=5, y=[2, 3])
    run.end()
    return run


def sweep(store: Any, run_id: str = str(T0), *, count: int = 4) -> RunBuilder:
    """A finished run of a foreach over `count` rates, in packs; `score` stores nothing of `train` again."""
    run = RunBuilder(store, Sweep, run_id, parameters={"depth": 7}, constants={"kind": "tree"})
    rates = [0.5 * position for position in range(count)]
    run.foreach("start", [count], rates=rates, _foreach_items=rates)
    half = count // 2
    for part in (IndexSet.span(0, half), IndexSet.span(half, count)):
        run.packed("train", "start", part, [{"rate": 0.5 * index, "model": {"n": index}, "tag": f"t{index}"} for index in part])
    run.packed("score", "train", IndexSet.span(0, count), [{"score": index * index} for index in range(count)])
    run.lone("choose", "start", at=20, best=3)
    run.lone("end", "choose", at=30)
    run.end()
    return run
