"""What fits a cluster: node by node, now and when it has grown."""

from __future__ import annotations

import pytest

from rayflow.executors.room import NodeKind, Room, cut_to
from rayflow.model.spec import Resources

TWO = {"CPU": 2.0}
BIG = {"CPU": 8.0, "GPU": 1.0, "memory": 4e9, "accelerator_type:T4": 1.0}


@pytest.mark.parametrize(
    ("nodes", "needs", "slots"),
    [
        ([TWO, TWO], Resources(), 4),
        ([TWO, TWO], Resources(cpus=4), 0),  # no node has as many, whatever their sum
        ([TWO, BIG], Resources(cpus=2), 5),
        ([TWO, BIG], Resources(gpus=0.5), 2),
        ([BIG, BIG], Resources(cpus=1, gpus=0.4), 4),  # 0.2 of each GPU is left over
        ([TWO, BIG], Resources(gpus=1, custom={"accelerator_type:T4": 0.001}), 1),
        ([TWO, BIG], Resources(gpus=1, custom={"accelerator_type:H100": 0.001}), 0),
        ([BIG], Resources(memory_nbytes=3_000_000_000), 1),
        ([{"CPU": 0.0}], Resources(), 0),
        ([{"CPU": 3.0}], Resources(cpus=0.3), 10),
        ([], Resources(), 0),
    ],
)
def test_what_fits_now_is_counted_node_by_node(nodes, needs, slots):
    assert Room(nodes).slots(needs) == slots


def test_what_needs_nothing_fits_any_node_and_is_bounded():
    assert 1_000 < Room([TWO]).slots(Resources(cpus=0)) < 100_000


@pytest.mark.parametrize(
    ("room", "needs", "most", "in_flight"),
    [
        (Room([TWO]), Resources(), 2, 2),  # it cannot grow
        (Room([], [NodeKind(TWO, 5)]), Resources(), 10, 2),  # from nothing: one node is asked for
        (Room([TWO] * 2, [NodeKind(TWO, 5)]), Resources(), 10, 8),
        (Room([TWO] * 4, [NodeKind(TWO, 5)]), Resources(), 10, 10),
        (Room([TWO], [NodeKind(BIG, 2)]), Resources(gpus=1), 2, 1),
        (Room([TWO], [NodeKind(BIG, 0)]), Resources(gpus=1), 0, 0),
        (Room([TWO], [NodeKind(BIG, 9)]), Resources(), 72, 8),
        (Room([{"CPU": 0.0}], [NodeKind(TWO, 1)]), Resources(cpus=3), 0, 0),
    ],
)
def test_on_a_cluster_that_grows_more_is_in_flight_than_fits(room, needs, most, in_flight):
    assert (room.most(needs), room.in_flight(needs)) == (most, in_flight)


def test_the_largest_of_each_resource_is_what_a_message_tells():
    assert Room([TWO], [NodeKind(BIG, 1), NodeKind({"CPU": 64.0}, 0)]).largest() == BIG


def test_needs_are_cut_to_a_share():
    needs = Resources(cpus=8, gpus=2, memory_nbytes=8_000_000_000, custom={"disk": 3})

    assert cut_to({"CPU": 2.0, "memory": 4e9, "disk": 1.0}, needs, size=2) == Resources(1.0, 0.0, 2_000_000_000, {"disk": 0.5})
