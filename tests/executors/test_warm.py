"""What is known of the warm cluster, and who may use or end it. A process that sleeps stands for the keeper: no Ray."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rayflow.executors import warm
from rayflow.executors.keeper import Idleness, keep
from rayflow.executors.keeper import State as KeptState
from rayflow.executors.signature import pid_of, signature
from rayflow.executors.warm import Shelf, WarmCluster, versions
from rayflow.model.errors import ClusterFault, UsageError


@pytest.fixture
def keeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return Shelf(str(directory))


@pytest.fixture
def cluster(keeper: subprocess.Popen[bytes], shelf: Shelf) -> Iterator[WarmCluster]:
    """A cluster as its state says it: its keeper runs, and its port is listened to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        cluster = WarmCluster(address, signature(keeper.pid), shelf.path("token"), "/tmp/none", versions(), 2, 0, 15.0, 0)
        write(shelf, cluster)
        yield cluster


def write(shelf: Shelf, cluster: WarmCluster) -> None:
    Path(shelf.path("state")).write_text(cluster.to_json())


def test_a_cluster_whose_keeper_runs_and_that_listens_is_found(shelf: Shelf, cluster: WarmCluster):
    assert shelf.found() == cluster


def test_the_cluster_of_other_versions_is_not_found(shelf: Shelf, cluster: WarmCluster):
    write(shelf, replace(cluster, versions=(versions()[0], "2.0.0")))

    assert shelf.found() is None


def test_the_cluster_of_another_environment_is_not_found(shelf: Shelf, cluster: WarmCluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "prefix", "/another/environment")

    assert shelf.found() is None


def test_a_cluster_that_does_not_listen_is_not_found(shelf: Shelf, cluster: WarmCluster):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        write(shelf, replace(cluster, address=f"127.0.0.1:{unused.getsockname()[1]}"))

        assert shelf.found() is None


def test_a_cluster_whose_keeper_died_is_not_found(shelf: Shelf, cluster: WarmCluster, keeper: subprocess.Popen[bytes]):
    keeper.kill()  # and is a zombie, until somebody asks for it
    time.sleep(0.1)

    assert shelf.found() is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"address": 1}'])
def test_what_is_no_state_is_no_cluster(shelf: Shelf, cluster: WarmCluster, text: str):
    Path(shelf.path("state")).write_text(text)

    assert shelf.found() is None


def test_a_pid_that_is_used_again_names_another_process(keeper: subprocess.Popen[bytes]):
    namespace, pid, started = signature(keeper.pid).split()

    assert pid_of(f"{namespace} {pid} {started}") == keeper.pid
    assert pid_of(f"{namespace} {pid} {int(started) - 1}") is None
    assert pid_of(f"pid:[1] {pid} {started}") is None


def test_down_ends_the_keeper_and_does_it_again_without_harm(shelf: Shelf, cluster: WarmCluster, keeper: subprocess.Popen[bytes]):
    assert shelf.down() is True
    assert (keeper.wait(1), os.path.exists(shelf.path("state"))) == (-15, False)
    assert shelf.down() is False


def test_down_spares_the_process_that_has_the_keepers_pid_now(shelf: Shelf, cluster: WarmCluster, keeper: subprocess.Popen[bytes]):
    namespace, pid, started = cluster.keeper.split()
    write(shelf, replace(cluster, keeper=f"{namespace} {pid} {int(started) - 1}"))

    assert shelf.down() is False
    assert (keeper.poll(), os.path.exists(shelf.path("state"))) == (None, False)


def test_down_where_nothing_ever_was_makes_nothing(tmp_path: Path):
    assert Shelf(str(tmp_path / "none")).down() is False
    assert not (tmp_path / "none").exists()


def test_down_leaves_a_cluster_that_a_run_uses_unless_it_is_forced(shelf: Shelf, cluster: WarmCluster, keeper: subprocess.Popen[bytes]):
    with shelf.borrowed() as loan:
        assert loan is not None and loan.cluster == cluster
        with pytest.raises(ClusterFault, match=r"A run is using the cluster. .*down --force"):
            shelf.down()
        assert keeper.poll() is None

        assert shelf.down(is_forced=True) is True


def test_a_cluster_that_is_about_to_end_is_not_lent(shelf: Shelf, cluster: WarmCluster):
    with open(shelf.path("users"), "ab") as users:
        fcntl.flock(users, fcntl.LOCK_EX)

        with shelf.borrowed() as loan:
            assert loan is None


def test_a_directory_that_others_can_read_is_refused(shelf: Shelf, cluster: WarmCluster):
    os.chmod(shelf.directory, 0o755)

    assert shelf.found() is None
    with pytest.raises(UsageError, match=f"chmod 700 {shelf.directory}"):
        shelf.up(warm.Wanted())


def test_what_is_tasks_environment_on_loan_names_the_run(shelf: Shelf, cluster: WarmCluster):
    with shelf.borrowed() as first, shelf.borrowed() as second:
        assert first is not None and second is not None
        assert first.environ != second.environ


# -- the keeper --------------------------------------------------------------------------------------------------------


def test_idleness_is_counted_from_the_last_look_at_which_a_run_had_used_it(shelf: Shelf, cluster: WarmCluster):
    users = os.open(shelf.path("users"), os.O_RDWR | os.O_CREAT)
    idleness = Idleness(users, since=100.0)
    seen = [idleness.seconds(100.0), idleness.seconds(101.0)]

    with shelf.borrowed():
        seen += [idleness.seconds(110.0), idleness.seconds(120.0)]
        is_taken_meanwhile = idleness.take()
    seen += [idleness.seconds(130.0), idleness.seconds(140.0)]  # it was touched when the run ended

    assert (seen, is_taken_meanwhile, idleness.take()) == ([0.0, 1.0, 0.0, 0.0, 0.0, 10.0], False, True)
    os.close(users)


class Kept:
    """A process that stands for the cluster."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None


def kept(shelf: Shelf, cluster: WarmCluster, process: subprocess.Popen[bytes], idle_min: float, monkeypatch) -> KeptState:
    """Keeps the process until it is to end."""
    monkeypatch.setattr("rayflow.executors.keeper.LOOK_S", 0.02)
    state = KeptState(shelf.path("state"))
    state.write(cluster)
    keep(Kept(process), {"paths": {"users": shelf.path("users")}, "idle_min": idle_min}, state)
    return state


def test_the_keeper_gives_up_when_nobody_used_it_for_the_time_given(shelf, cluster, keeper, monkeypatch):
    began = time.monotonic()

    kept(shelf, cluster, keeper, 0.2 / 60, monkeypatch)

    assert time.monotonic() - began >= 0.2
    with shelf.borrowed() as loan:
        assert loan is None  # the keeper holds the lock until it has gone


def test_the_keeper_gives_up_when_the_cluster_ends(shelf, cluster, keeper, monkeypatch):
    keeper.kill()

    kept(shelf, cluster, keeper, 0, monkeypatch)

    assert keeper.returncode == -9


def test_the_keeper_gives_up_when_the_state_is_anothers_and_leaves_it(shelf, cluster, keeper, monkeypatch):
    monkeypatch.setattr("rayflow.executors.keeper.LOOK_S", 0.02)
    state = KeptState(shelf.path("state"))
    state.write(cluster)
    write(shelf, replace(cluster, started_us=7))

    keep(Kept(keeper), {"paths": {"users": shelf.path("users")}, "idle_min": 0}, state)
    state.remove()

    assert (keeper.poll(), os.path.exists(shelf.path("state"))) == (None, True)
