import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rayflow.executors.local import LocalCluster
from rayflow.executors.scratch import Scratch, sweep
from tests.crash.world import eventually


@pytest.fixture(autouse=True)
def _top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def abandoned(top: Path, signature: str) -> Path:
    path = top / "rayflow-ray-abcdefgh"
    path.mkdir()
    (path / "owner").write_text(signature)
    return path


def test_the_directory_of_a_process_that_is_gone_is_removed(tmp_path: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    scratch = Scratch()
    namespace = (Path(scratch.path) / "owner").read_text().split()[0]
    path = abandoned(tmp_path, f"{namespace} {gone.pid} 12345")

    sweep()

    assert not path.exists()
    assert Path(scratch.path).exists()
    scratch.end()
    assert not Path(scratch.path).exists()


@pytest.mark.parametrize("signature", ["pid:[1] 99999999 12345", "", "nonsense"])
def test_what_another_container_or_a_half_made_directory_holds_is_left_alone(tmp_path: Path, signature: str):
    path = abandoned(tmp_path, signature)

    sweep()

    assert path.exists()


def test_whatever_names_the_token_of_an_abandoned_cluster_is_killed(tmp_path: Path):
    """An agent of Ray may have written its title over every variable that the guard looks for first."""
    scratch = Scratch()
    agent = subprocess.Popen(["sleep", "60"], env={"RAY_AUTH_TOKEN_PATH": f"{scratch.path}/token"}, start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], env={"RAY_AUTH_TOKEN_PATH": f"{tmp_path}/token"}, start_new_session=True)

    scratch.abandon()

    try:
        assert agent.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        agent.kill()
        other.kill()


def test_a_cluster_that_is_ended_takes_along_what_nothing_but_its_group_tells_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60'], env={}).pid, flush=True); time.sleep(60)"
    monkeypatch.setattr(LocalCluster, "_command", lambda *_: [sys.executable, "-c", program])
    with open(tmp_path / "log", "w+b") as log:
        cluster = LocalCluster(log=log)
        assert eventually(lambda: (tmp_path / "log").read_bytes().endswith(b"\n"), 10)
        agent = int((tmp_path / "log").read_bytes())

        cluster.end(is_orderly=False)

    assert eventually(lambda: not _is_alive(agent), 2)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
