"""Which executor performs what, and when Ray is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from rayflow import FlowSpec, step
from rayflow.executors.room import NodeKind, Room
from rayflow.flow.definition import define
from rayflow.model.commands import Batch
from rayflow.model.errors import ClusterFault
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Seat, Work
from rayflow.model.spec import Resources
from rayflow.runtime.crew import LONG_S, ROOM_S, Crew


class Fanned(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


@dataclass
class Noted:
    """An executor that notes what it is given, and whether it was started."""

    is_ready: bool = False
    is_started: bool = False
    works: list[str] = field(default_factory=list)

    def start(self):
        self.is_started = True

    def submit(self, work):
        self.works.append(work.batch.step)


class Team:
    """A crew of child processes, with a cluster that may be started; `now` is its clock."""

    def __init__(self) -> None:
        definition = define(Fanned)
        self.now = 100.0
        self.process, self.spare = Noted(), Noted()
        self.crew = Crew(definition.graph, definition.specs, process=self.process, spare=self.spare, clock=lambda: self.now)

    def submit(self, step_name: str) -> None:
        self.crew.submit([Work(Batch(1, step_name, IndexSet.single(0)), b"", b"", "s", step_name)])

    def pass_by(self, seconds: float, *, are_waiting: bool = True) -> None:
        self.now += seconds
        self.crew.consider(lambda: are_waiting)


def test_lone_tasks_never_start_ray():
    team = Team()

    team.submit("start")
    team.pass_by(1e6)

    assert (team.process.works, team.spare.is_started) == (["start"], False)


@pytest.mark.parametrize(("seconds", "are_waiting", "starts"), [(0.0, True, False), (LONG_S, False, False), (LONG_S, True, True)])
def test_a_fan_out_starts_ray_when_it_goes_on_for_long_and_tasks_wait(seconds, are_waiting, starts):
    team = Team()
    team.submit("work")

    team.pass_by(seconds, are_waiting=are_waiting)

    assert (team.process.works, team.spare.is_started) == (["work"], starts)


def test_tasks_go_to_ray_once_it_is_there():
    team = Team()
    team.submit("work")
    team.pass_by(LONG_S)

    team.submit("work")
    team.spare.is_ready = True
    team.submit("work")

    assert (team.process.works, team.spare.works) == (["work", "work"], ["work"])


class Small(Noted):
    """A cluster of two CPUs."""

    def __init__(self, address=None):
        super().__init__(is_ready=True)
        self.address = address
        self.given: list[Resources] = []
        self.gangs = SimpleNamespace(longest_wait_s=0.0)

        self.room = Room([{"CPU": 2.0}])

    def slots(self, resources):
        return self.room.in_flight(resources)

    def submit(self, work):
        self.given.append(work.resources)


def called(small, size, **options):
    """What is warned of when gangs of so many nodes are called, twice."""
    definition, warnings = define(Fanned), []
    crew = Crew(definition.graph, definition.specs, ray=small, warn=warnings.append, **options)
    nodes = [Work(Batch(-k, "work", IndexSet.single(k)), b"", b"", "s", "work", seat=Seat(1, size)) for k in range(size)]
    crew.submit(nodes)
    crew.submit(nodes)
    return warnings


def test_a_gang_that_fits_gets_what_it_asks_for():
    small = Small()

    assert (called(small, 2), small.given) == ([], [Resources()] * 4)


def test_a_gang_beyond_a_cluster_of_the_runs_own_shares_what_there_is_and_says_so_once():
    small = Small()

    (warning,) = called(small, 4)

    assert small.given == [Resources(cpus=0.5)] * 8
    assert warning == (
        "Step 'work' calls 4 nodes that need 1 CPU each, and the cluster has 0.5 CPU for each: they run with that. "
        "`--strict-resources` refuses instead."
    )


@pytest.mark.parametrize(("address", "options"), [("10.0.0.1:6379", {}), (None, {"is_strict": True})])
def test_a_gang_beyond_a_cluster_that_cannot_grow_is_refused(address, options):
    with pytest.raises(ClusterFault, match=r"calls 4 nodes that need 1 CPU each, .* Lower num_parallel or @resources, or give a cluster"):
        called(Small(address), 4, **options)


def test_a_gang_that_waits_for_room_says_what_it_waits_for_once():
    small, warnings = Small(), []
    definition = define(Fanned)
    crew = Crew(definition.graph, definition.specs, ray=small, warn=warnings.append)
    crew.submit([Work(Batch(-k, "work", IndexSet.single(k)), b"", b"", "s", "work", seat=Seat(1, 2)) for k in range(2)])

    for waited in (0.0, ROOM_S - 1, ROOM_S, ROOM_S + 1):
        small.gangs.longest_wait_s = waited
        crew.consider(lambda: True)

    assert warnings == [
        "Step 'work' calls 2 nodes that need 1 CPU each. The cluster has no room for all of them now: they begin together when it has."
    ]


def test_the_capacity_is_told_again_when_nodes_have_come_or_gone():
    small, definition = Small("10.0.0.1:6379"), define(Fanned)
    crew = Crew(definition.graph, definition.specs, ray=small)
    told = [crew.capacity(), crew.capacity()]

    small.room = Room([{"CPU": 2.0}, {"CPU": 4.0}])
    told.append(crew.capacity())
    small.room = Room([{"CPU": 2.0}, {"CPU": 4.0}])  # looked at again
    told.append(crew.capacity())

    assert [each and each.by_step["work"] for each in told] == [2, None, 6, None]


def test_a_need_that_only_a_node_to_come_can_meet_is_no_fault():
    small, definition = Small("10.0.0.1:6379"), define(Fanned)
    small.room = Room([{"CPU": 0.0}], [NodeKind({"CPU": 2.0}, 3)])

    told = Crew(definition.graph, definition.specs, ray=small).capacity()

    assert told.by_step["work"] == 2


def test_a_need_that_nothing_meets_yet_is_waited_for_as_long_as_nodes_may_take_to_come():
    small, definition, warnings, now = Small("10.0.0.1:6379"), define(Fanned), [], [5.0]
    small.room = Room([{"CPU": 0.0}])
    options = {"warn": warnings.append, "clock": lambda: now[0], "patience_s": 60.0}
    crew, late = (Crew(definition.graph, definition.specs, ray=small, **options) for _ in range(2))

    early = [crew.capacity(), late.capacity()]
    now[0] += ROOM_S
    waits = crew.capacity()
    small.room = Room([{"CPU": 0.0}, {"CPU": 2.0}])
    comes = crew.capacity()

    assert (early, waits, comes.by_step["work"]) == ([None, None], None, 2)
    assert warnings == ["No node of the cluster has what step 'start' needs, 1 CPU, yet: one is waited for, 60 s at most."]
    small.room = Room([{"CPU": 0.0}])
    now[0] += 60
    with pytest.raises(ClusterFault, match="Step 'start' needs 1 CPU"):
        late.capacity()


def test_a_gang_waits_for_nodes_that_may_still_come():
    small = Small("10.0.0.1:6379")

    assert (called(small, 4, patience_s=60.0), small.given) == ([], [Resources()] * 8)


def test_a_need_beyond_the_largest_node_that_could_come_is_refused():
    small, definition = Small("10.0.0.1:6379"), define(Fanned, ["resources:cpu=3"])
    small.room = Room([{"CPU": 1.0}, {"CPU": 2.0}], [NodeKind({"CPU": 2.0}, 3)])

    with pytest.raises(ClusterFault, match=r"needs 3 CPU, and the largest node of the cluster has 2 CPU at most\. Lower its @resources"):
        Crew(definition.graph, definition.specs, ray=small).capacity()


def test_tasks_that_wait_for_a_node_are_spoken_of_once():
    small, definition, warnings, now = Small("10.0.0.1:6379"), define(Fanned), [], [0.0]
    crew = Crew(definition.graph, definition.specs, ray=small, warn=warnings.append, clock=lambda: now[0])
    crew.submit([Work(Batch(1, "work", IndexSet.single(0)), b"", b"", "s", "work")])

    for now[0] in (4.0, 6.0, 8.0):
        crew.consider(lambda: True)

    assert warnings == ["Tasks of step 'work' wait for room on the cluster: all of it is in use, or a node is still to come."]
