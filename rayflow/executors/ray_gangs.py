"""Gangs on Ray: a placement group holds room for every node before any begins, so that half of one never waits for the other half."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.executors.room import wanted
from rayflow.model.ports import Work
from rayflow.model.spec import Resources


@dataclass(eq=False)
class _Group:
    """A gang and its room. `waiting` are works that are not begun; `running` the batches that are."""

    size: int
    waiting: list[Work] = field(default_factory=list[Work])
    running: set[int] = field(default_factory=set[int])
    room: Any = None
    since: float = field(default_factory=time.monotonic)

    @property
    def is_complete(self) -> bool:
        return self.size == len(self.waiting)


@dataclass(eq=False)
class PlacedGangs:
    """The gangs of one executor. Rooms are made of bundles with the needs of one node, on as few hosts as hold them (PACK)."""

    _groups: dict[int, _Group] = field(default_factory=dict[int, _Group])

    def add(self, work: Work) -> None:
        """Takes a node; with the last of its gang, room is asked for."""
        from ray.util.placement_group import placement_group

        assert work.seat is not None
        group = self._groups.setdefault(work.seat.gang, _Group(work.seat.size))
        group.waiting.append(work)
        if group.is_complete:
            group.room = placement_group([bundle_of(work.resources)] * group.size, strategy="PACK")

    @property
    def are_waiting(self) -> bool:
        """Whether a gang has no room yet."""
        return any(group.waiting for group in self._groups.values())

    @property
    def longest_wait_s(self) -> float:
        """How long a gang has been waiting for room; 0 where none is."""
        since = min((group.since for group in self._groups.values() if group.waiting), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def placed(self) -> Iterator[tuple[Work, Any]]:
        """The nodes that may begin now, each with where: their gang has got its room."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        for group in self._groups.values():
            if not group.waiting or group.room is None:
                continue
            address = _address_of(group.room)
            if address is None:
                continue
            works, group.waiting = group.waiting, []
            for bundle, work in enumerate(works):
                assert work.seat is not None
                group.running.add(work.batch.id)
                where = PlacementGroupSchedulingStrategy(group.room, bundle, placement_group_capture_child_tasks=False)
                yield replace(work, seat=replace(work.seat, main_address=address)), where

    def withdraw(self, batch_id: int) -> bool:
        """Takes a node back that has not begun, and says whether there was one."""
        for group in self._groups.values():
            for work in [work for work in group.waiting if work.batch.id == batch_id]:
                group.waiting.remove(work)
                self._tidy()
                return True
        return False

    def over(self, batch_id: int) -> None:
        """A batch is over: with the last node of a gang its room is given back."""
        for group in self._groups.values():
            group.running.discard(batch_id)
        self._tidy()

    def _tidy(self) -> None:
        from ray.util.placement_group import remove_placement_group

        for gang in [gang for gang, group in self._groups.items() if not group.waiting and not group.running]:
            room = self._groups.pop(gang).room
            if room is not None:
                remove_placement_group(room)

    def close(self) -> None:
        """Gives all rooms back."""
        for group in self._groups.values():
            group.waiting.clear()
            group.running.clear()
        if self._groups:
            self._tidy()


def bundle_of(needs: Resources) -> dict[str, float]:
    """What one node needs, in Ray's words. Ray refuses an empty bundle, so one that needs nothing holds a little of a CPU."""
    return wanted(needs) or {"CPU": 0.001}


def _address_of(room: Any) -> str | None:
    """The address of the host where the first node will run; None while there is no room."""
    import ray
    from ray.util.placement_group import placement_group_table

    table = placement_group_table(room)
    if table.get("state") != "CREATED":
        return None
    host = table["bundles_to_node_id"][0]
    return next((node["NodeManagerAddress"] for node in ray.nodes() if node["NodeID"] == host), None)
