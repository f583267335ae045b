"""Bugs that the property suite must find: the classic ways in which such a scheduler goes wrong, one class each."""

from __future__ import annotations

from dataclasses import replace

from rayflow.engine.arrivals import Complete, FanoutTally, SpaceTally, StaticTally
from rayflow.engine.frontier import Frontier
from rayflow.engine.reservations import Reservations
from rayflow.engine.steps import Trouble
from rayflow.model.events import BatchEnded, Completed
from rayflow.model.indexes import IndexSet

from .simulation import SimulatedScheduler


class JoinsLaunchOneArmEarly(SimulatedScheduler):
    """A static join does not wait for its last branch."""

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        for node in graph:
            if node.is_join and not graph[node.joins].is_foreach:
                self.frontier.statics[node.name] = StaticTally(node.branches_expected - 1)


class StaticJoinsCountABranchTwice(SimulatedScheduler):
    """A branch that arrives in a batch of its own counts twice."""

    class Tally(StaticTally):
        def add(self, indices, is_fresh):
            once = super().add(indices, is_fresh)
            return once or (super().add(indices, is_fresh) if len(indices) == 1 else [])

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        for node in graph:
            if node.is_join and not graph[node.joins].is_foreach:
                self.frontier.statics[node.name] = self.Tally(node.branches_expected)


class ForeachJoinsForgetPartialGroups(SimulatedScheduler):
    """Only groups that arrive at once are complete."""

    class Tally(FanoutTally):
        def _count(self, position, count, is_fresh):
            is_whole = count == self.fanout.count_at(position)
            return [Complete(IndexSet.single(self.fanout.parents[position]), is_fresh)] if is_whole else []

    class Space(SpaceTally):
        def adopt(self, fanout):
            super().adopt(fanout)
            self.tallies = [ForeachJoinsForgetPartialGroups.Tally(tally.fanout) for tally in self.tallies]

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        self.frontier.spaces = {node.name: self.Space() for node in graph if node.is_foreach}


class SplitBatchesLoseTheirTail(SimulatedScheduler):
    """Of a batch that was reported in pieces, what is handed back loses its last task."""

    def _batch_ended(self, event: BatchEnded):
        flight = self.flights.get(event.batch_id)
        lane = flight.batch.lane if flight is not None else None
        if flight is not None and 1 < len(flight.open_in(lane)) < len(flight.batch.indices):
            self._close(flight, lane, IndexSet.single(flight.open[lane][-1]))
        super()._batch_ended(event)


class ReusesDespiteAFreshInput(SimulatedScheduler):
    """Freshness does not travel."""

    def _refusal(self, task, segment):
        return super()._refusal(replace(task, freshness=None), segment)


class FreshnessStopsAtJoins(SimulatedScheduler):
    """A join counts as reused when its last arrival was."""

    class Moves(Frontier):
        def _arrive(self, join, source, indices, is_fresh):
            for ready in super()._arrive(join, source, indices, is_fresh):
                yield ready if is_fresh else replace(ready, freshness=None)

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        self.frontier = self.Moves(graph)


class ChargesTheNeighbours(SimulatedScheduler):
    """Everyone in a lost batch pays for it."""

    def _hand_back(self, flight, lane, indices, why):
        if "another task's fault" in why:
            for index in indices:
                self.states[lane.step].troubles[index, lane.lap] = Trouble(attempt=flight.batch.attempt_of(index) + 1)
        super()._hand_back(flight, lane, indices, why)


class LaunchesAfterAFailure(SimulatedScheduler):
    """A run that has failed uses the slots that become free."""

    def _drain(self, ending, now):
        if self.flights:
            self._launch_due(now)
        super()._drain(ending, now)


class LaunchesTwiceAfterAHandBack(SimulatedScheduler):
    """What was handed back is queued again, and what was reported with it."""

    def _batch_ended(self, event: BatchEnded):
        flight = self.flights.get(event.batch_id)
        if flight is not None and flight.open:
            self._land(event.batch_id)
            for lane, indices in dict(flight.open).items():
                self._close(flight, lane, indices)
            self._hand_back(flight, flight.batch.lane, flight.batch.indices, "handed back")


class AdoptsAtAWrongBase(SimulatedScheduler):
    """A new fan-out overlaps the highest one that was adopted."""

    class Ranges(Reservations):
        def adopt(self, fanout):
            super().adopt(fanout)
            self._next_base[fanout.step] = max(0, fanout.stop - 1)

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        self._reservations = self.Ranges(graph)


class ForgetsWhatWasReserved(SimulatedScheduler):
    """A resumed run numbers its fan-outs from zero again."""

    def start(self, now):
        self._reservations.adopt = lambda fanout: None
        commands = super().start(now)
        del self._reservations.adopt
        return commands

    def _complete(self, event: Completed):
        adopt, self._reservations.adopt = self._reservations.adopt, lambda fanout: None
        super()._complete(event)
        self._reservations.adopt = adopt


class EmptyForeachNeverJoins(SimulatedScheduler):
    """Nobody arrives at the join of an empty foreach, so it waits."""

    class Moves(Frontier):
        def _fan_out(self, node, segment, indices, is_fresh):
            return (ready for ready in super()._fan_out(node, segment, indices, is_fresh) if ready.step != node.joined_by)

    def __init__(self, graph, *args, **options):
        super().__init__(graph, *args, **options)
        self.frontier = self.Moves(graph)


class ForgetsTheLap(SimulatedScheduler):
    """A loop starts its first lap again and again."""

    def _enqueue(self, task, indices, why):
        super()._enqueue(replace(task, lap=0), indices, why)


class BelievesZombies(SimulatedScheduler):
    """A second report of a task counts."""

    def _complete(self, event: Completed):
        flight = self.flights.get(event.batch_id)
        super()._complete(event)
        if flight is not None and flight.open and flight.holder_of(event.segment.indices[0]) is None:
            self._settle(list(self.frontier.after(event.segment, event.segment.indices, True)) if event.slowest_s else [])


class RetriesForEver(SimulatedScheduler):
    """An attempt that fails is not counted."""

    def _charge(self, flight, lane, index, attempt, failure, now):
        super()._charge(flight, lane, index, 0, failure, now)


class RetriesTheSuspectInCompany(SimulatedScheduler):
    """What killed a worker shares its next one with others."""

    def _retry(self, retry):
        key = (retry.task.indices[0], retry.task.kind.lap)
        troubles = self.states[retry.step].troubles
        if key in troubles:
            troubles[key] = replace(troubles[key], is_alone=False)
        super()._retry(retry)


class QueuesWhatABatchPerformsItself(SimulatedScheduler):
    """What follows in the same go is launched by the scheduler, too."""

    def _settle(self, ready, flight=None):
        super()._settle(ready, None)


class ForgetsWhatAWorkerWentOnTo(SimulatedScheduler):
    """A batch that ends hands back its own tasks only."""

    def _batch_ended(self, event: BatchEnded):
        flight = self.flights.get(event.batch_id)
        if flight is not None:
            for lane, indices in dict(flight.open).items():
                if lane != flight.batch.lane:
                    self._close(flight, lane, indices)
        super()._batch_ended(event)


class ChargesWhatHasNotBegun(SimulatedScheduler):
    """The death of a task that follows is put down to the one before, whose report was lost."""

    def _blame(self, flight, blamed, event, now):
        super()._blame(flight, blamed, replace(event, suspect_step=blamed[0].step, suspect_lap=blamed[0].lap), now)


class RerunsNothing(SimulatedScheduler):
    """`resume STEP` takes over the step all the same."""

    def __init__(self, graph, *args, rerun=frozenset(), **options):
        super().__init__(graph, *args, **options)


class ReplayTrustsTheOriginOverTheRun(SimulatedScheduler):
    """A resume that is re-attached looks at its origin first, and so repeats what it had re-run itself."""

    def __init__(self, graph, *args, committed=(), **options):
        super().__init__(graph, *args, **options)


class KeepsWhatRanAheadOfAFailure(SimulatedScheduler):
    """What started on an offer goes on, although its input is lost."""

    def _drop(self, after, why):
        flight = self.ahead.pop(after, None)
        if flight is not None:
            self.flights[flight.batch.id] = flight
            self.states[flight.batch.step].running += flight.count
            self.states[flight.batch.step].ready += flight.count


class RunsAheadWithoutRoom(SimulatedScheduler):
    def _has_room(self, step):
        return True


class QueuesTheNodesOfAGangLikeOtherTasks(SimulatedScheduler):
    """Some of a gang may be launched without the others."""

    def _enqueue(self, task, indices, why, *, is_repair=False):
        state = self.states[task.step]
        is_gang, state.is_gang = state.is_gang, False
        super()._enqueue(task, indices, why, is_repair=is_repair)
        state.is_gang = is_gang


class TriesTheFailedNodeAgainAlone(SimulatedScheduler):
    """The rest of the gang is handed back as if nothing had happened."""

    def _charge(self, flight, lane, index, attempt, failure, now):
        if flight.batch.is_gang:
            flight.batch = replace(flight.batch, indices=IndexSet.single(index))
        super()._charge(flight, lane, index, attempt, failure, now)


PLANTED = list(SimulatedScheduler.__subclasses__())
