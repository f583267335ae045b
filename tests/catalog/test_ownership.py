import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rayflow.catalog import wire
from rayflow.catalog.ownership import (
    Heart,
    Owner,
    claim_continuation,
    continuation_of,
    first_epoch,
    is_alive,
    last_epoch,
    owner_of,
    take_epoch,
    this_process,
)
from rayflow.model.errors import RunFenced, StoreCorrupt
from tests.catalog.building import claimed

GONE = 2**22 - 3


def owned_by(store, owner: Owner, number: int = 1):
    layout = claimed(store).layout
    store.write(layout.epoch(number), [wire.dumps(owner.to_json())])
    return layout


def owner_like(pid: int, **changes) -> Owner:
    return Owner(**{**this_process().to_json(), "pid": pid, **changes})


def start_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


@pytest.fixture
def other():
    """A living process of this host that is not this one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def test_epochs_count_up_and_name_their_process(store):
    layout = claimed(store).layout

    assert [first_epoch(store, layout), take_epoch(store, layout), take_epoch(store, layout)] == [1, 2, 3]
    assert (last_epoch(store, layout), owner_of(store, layout)) == (3, this_process())


def test_of_many_takers_each_gets_an_epoch_of_its_own(store):
    layout = claimed(store).layout
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.append(take_epoch(store, layout))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(1, 9))


def test_a_run_that_was_taken_before_it_began_is_not_begun(store):
    layout = claimed(store).layout
    take_epoch(store, layout)

    with pytest.raises(RunFenced, match=rf"taken over by pid {os.getpid()} on .* before it began"):
        first_epoch(store, layout)


def test_between_the_claim_and_the_first_epoch_the_launcher_owns_the_run(store, other):
    launcher = owner_like(other.pid, started=start_of(other.pid))
    layout = claimed(store, launcher=launcher).layout

    assert (owner_of(store, layout), is_alive(store, layout)) == (launcher, True)


@pytest.mark.parametrize(
    "owner",
    [owner_like(GONE), owner_like(os.getpid(), started=1), owner_like(os.getpid(), boot="another")],
    ids=["its pid is gone", "its pid is another process now", "the host has booted since"],
)
def test_an_owner_of_this_host_is_known_to_be_dead_at_once(store, owner):
    layout = owned_by(store, owner)

    began = time.monotonic()
    assert not is_alive(store, layout)
    assert time.monotonic() - began < 0.5


def test_a_process_that_lives_on_after_its_run_drives_it_no_more(store):
    layout = owned_by(store, this_process())
    assert not is_alive(store, layout)

    heart = Heart(store, layout, 1)
    heart.start()
    assert is_alive(store, layout)
    heart.stop()

    assert not is_alive(store, layout)


def test_another_process_that_gave_a_run_up_drives_it_no_more(store, other):
    layout = owned_by(store, owner_like(other.pid, started=start_of(other.pid)))
    assert is_alive(store, layout)

    Heart(store, layout, 1).stop(gave_up=True)

    assert not is_alive(store, layout)


@pytest.mark.parametrize("moves", [True, False])
def test_of_another_host_only_the_heartbeat_tells_and_the_wait_is_announced(store, moves):
    layout = owned_by(store, Owner("elsewhere", 7))
    heart = Heart(store, layout, 1)
    if moves:
        heart.start()
    announced: list[tuple[str, float]] = []

    found = is_alive(store, layout, lambda owner, seconds: announced.append((str(owner), seconds)))
    heart.stop()

    assert (found, announced) == (moves, [("pid 7 on elsewhere", 3.0)])


def test_a_stopped_process_counts_as_dead_after_three_seconds(store, other):
    os.kill(other.pid, signal.SIGSTOP)
    layout = owned_by(store, owner_like(other.pid, started=start_of(other.pid)))

    assert not is_alive(store, layout)


def test_the_beats_of_a_replaced_driver_are_no_sign_of_life(store):
    layout = owned_by(store, Owner("elsewhere", 7), number=2)
    stopped = threading.Event()

    def beat():
        count = 0
        while not stopped.wait(0.1):
            count += 1
            store.write(layout.beat, [wire.dumps({"epoch": 1, "beat": count})])

    thread = threading.Thread(target=beat)
    thread.start()
    found = is_alive(store, layout)
    stopped.set()
    thread.join()

    assert not found


def test_a_heart_hears_of_a_take_over_at_its_next_beat(store):
    layout = claimed(store).layout
    heart = Heart(store, layout, first_epoch(store, layout))
    heart.start()

    take_epoch(store, layout)

    deadline = time.monotonic() + 5
    while not heart.is_fenced and time.monotonic() < deadline:
        time.sleep(0.01)
    heart.stop()
    assert heart.is_fenced


def test_a_run_is_claimed_for_one_continuation(store):
    layout = claimed(store).layout
    assert continuation_of(store, layout) is None

    assert [claim_continuation(store, layout, name) for name in ("A", "B", "A")] == ["A", "A", "A"]
    assert continuation_of(store, layout) == "A"


def test_a_damaged_claim_is_named_with_the_ways_out(store):
    layout = claimed(store).layout
    store.write(layout.continuation, [b'{"run_id":"A"}'])

    with pytest.raises(StoreCorrupt, match=r"continued\.json.*--origin-run-id.*--fork"):
        claim_continuation(store, layout, "B")


def test_a_damaged_epoch_leaves_it_to_the_heartbeat(store):
    layout = claimed(store).layout
    store.write(layout.epoch(1), [b"garbage"])

    assert str(owner_of(store, layout)) == "an unknown process"
    assert not is_alive(store, layout)
