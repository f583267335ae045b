"""Which executor performs what, and when Ray is started."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rayflow import FlowSpec, step
from rayflow.flow.definition import define
from rayflow.model.commands import Batch
from rayflow.model.indexes import IndexSet
from rayflow.model.ports import Capabilities, Work
from rayflow.runtime.crew import LONG_S, Crew


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
    capabilities = Capabilities(can_kill=True, can_isolate=True, can_fan_out=True)

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
