"""A scheduler on the bench: what it launched, and hands to move it by."""

from __future__ import annotations

from collections.abc import Sequence

from rayflow.engine import Scheduler
from rayflow.engine.invariants import check
from rayflow.model.commands import Batch, Command, Finish, Launch
from rayflow.model.events import BatchEnded, CapacityChanged, Completed, Event
from rayflow.model.indexes import IndexSet
from rayflow.model.records import Segment, Taken
from rayflow.model.spec import StepSpec

from .flows import Each, Flow, Linear, Split, flow_of

FANNED = flow_of(Each("fan", (Linear("train"),), "join", ()))
FORKED = flow_of(Split("fork", ((Linear("a"),), (Linear("b"),)), "merge"), Linear("after"))


class Bench:
    """A scheduler, what it launched, and hands to move it by."""

    def __init__(self, flow: Flow, slots: int = 4, specs: dict[str, StepSpec] | None = None, **options: object) -> None:
        self.flow, self.now = flow, 0.0
        self.scheduler = Scheduler(flow.graph, specs or {}, **options)
        self.batches: dict[str, list[Batch]] = {}
        self.whys: list[str] = []
        self.journal: list[Segment] = []
        self.commands: list[Command] = []
        self.note(self.scheduler.start(self.now))
        self.tell(CapacityChanged(slots, {}))

    def note(self, commands: list[Command]) -> list[Command]:
        for command in commands:
            self.whys.append(command.why)
            if isinstance(command, Launch):
                self.batches.setdefault(command.batch.step, []).append(command.batch)
        self.commands += commands
        return commands

    def tell(self, event: Event) -> list[Command]:
        commands = self.note(self.scheduler.on(event, self.now))
        check(self.scheduler)
        return commands

    def last(self, step: str) -> Batch:
        return self.batches[step][-1]

    def segment(self, batch: Batch, indices: IndexSet, counts: Sequence[int], case: str | None) -> Segment:
        node = self.flow.graph[batch.step]
        taken = Taken((case,)) if case is not None else None
        fanout = self.scheduler.reserve(batch.step, indices, counts) if node.is_foreach else None
        return Segment(batch.step, indices, batch.lap, batch.parent, taken, fanout, run="1", busy_s=1e-6)

    def completed(self, batch: Batch, segment: Segment, **facts: object) -> Completed:
        """The report of what a batch committed."""
        self.journal.append(segment)
        return Completed(batch.id, segment, **facts)

    def done(self, step: str, *indices: int, counts: Sequence[int] = (), case: str | None = None, ends: bool = True) -> list[Command]:
        """The newest batch of the step reports these tasks (all unless given), and ends."""
        batch = self.last(step)
        segment = self.segment(batch, IndexSet.of(indices) if indices else batch.indices, counts, case)
        commands = self.tell(self.completed(batch, segment))
        return commands + (self.tell(BatchEnded(batch.id)) if ends else [])

    def finish(self) -> Finish:
        (found,) = [command for command in self.commands if isinstance(command, Finish)]
        return found


def fanned(splits: int, slots: int = 4, **options: object) -> Bench:
    """A foreach of so many splits, of which the first are in flight."""
    bench = Bench(FANNED, slots, **options)
    bench.done("start")
    bench.done("fan", counts=[splits])
    return bench


def batch_of(bench: Bench, size: int) -> Batch:
    """A batch of `size` splits: the next after a measured one."""
    first = bench.last("train")
    segment = bench.segment(first, first.indices, (), None)
    bench.scheduler.states["train"].pace = bench.scheduler.states["train"].pace.after(1, 1e-6, 0.0, size)
    bench.tell(Completed(first.id, segment))
    bench.tell(BatchEnded(first.id))
    return bench.last("train")
