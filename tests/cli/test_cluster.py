"""`up`, runs on what it keeps, `down`: as their user types them. The state is kept in a directory of the test's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = """
import os, subprocess, time
from rayflow import FlowSpec, resources, step


class Fan(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.work, foreach="items")

    @resources(cpu=0.5)
    @step
    def work(self):
        if os.environ.get("NAPS") and self.input == 2:
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            open("napping", "w").close()
            time.sleep(100)
        self.seen = (os.environ["WHO"], os.getcwd(), os.getppid())
        self.next(self.join)

    @step
    def join(self, inputs):
        print(f"seen {[each.seen for each in inputs]}")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Fan()
"""

EARLY = """
import os
from rayflow import FlowSpec, resources, step


class Early(FlowSpec):
    @step
    def start(self):
        print("performed below", os.getppid())
        raise ValueError("enough")
        self.next(self.work)

    @resources(memory=100)
    @step
    def work(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Early()
"""


class World:
    """A directory with the flow, and a state directory. All that is started here bears `mark` in its environment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = f"TEST_MARK={path}"
        (path / "fan.py").write_text(SCRIPT)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW_")}
        self.environ = {**kept, "RAYFLOW_STATE_DIR": str(path / "state"), "TEST_MARK": str(path), "RAYFLOW_USER": "ann"}
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=self.path, env={**self.environ, **variables}, stdout=-1, stderr=-1, text=True
        )

    def rayflow(self, *arguments: str) -> subprocess.Popen[str]:
        return self.start("-c", "from rayflow.cli.main import main; main()", *arguments)

    def fan(self, who: str, root: str, command: str = "run", **variables: str) -> subprocess.Popen[str]:
        return self.start("fan.py", "--root", root, command, WHO=who, **variables)

    def running(self) -> dict[int, str]:
        """The processes that were started here, and what those started."""
        found: dict[int, str] = {}
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if f"{self.mark}\0".encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
        return found

    def until(self, is_so, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.05)
        return is_so()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.rayflow("down", "--force").communicate(timeout=30)
    for pid in world.running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def told(process: subprocess.Popen[str]) -> str:
    """What a command that succeeded wrote on stdout."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    return out


@pytest.mark.ray
@pytest.mark.timeout(180)
def test_runs_share_the_cluster_that_up_keeps_and_leave_nothing_in_it(world: World):
    ups = [told(process) for process in [world.rayflow("up", "--num-cpus", "2") for _ in range(2)]]
    assert {text.split(":")[0].split(",")[0] for text in ups} == {"The cluster is up", "The cluster is up already"}
    quiet = {pid for pid, line in world.running().items() if "ray::" not in line}

    runs = [world.fan(who, who) for who in ("ann", "bob")]
    seen = [next(line for line in told(run).splitlines() if " seen [" in line).partition(" seen ")[2] for run in runs]
    places = [eval(text) for text in seen]
    assert [{who for who, _, _ in place} for place in places] == [{"ann"}, {"bob"}]
    assert {directory for place in places for _, directory, _ in place} == {str(world.path)}
    assert {parent for place in places for _, _, parent in place} <= quiet  # the raylet that `up` started

    killed = world.fan("ann", "killed", NAPS="1")
    assert world.until((world.path / "napping").exists, 30)
    refused = world.rayflow("down")
    assert "A run is using the cluster." in refused.communicate(timeout=30)[1]
    assert refused.returncode == 1
    killed.kill()
    killed.communicate(timeout=10)
    assert world.until(lambda: {pid for pid, line in world.running().items() if "ray::" not in line} <= quiet, 10), world.running()
    assert "'ann'" in told(world.fan("ann", "killed", "resume"))

    assert told(world.rayflow("down")) == "The cluster is down.\n"
    assert world.running() == {}
    assert told(world.rayflow("down")) == "No cluster is up.\n"


@pytest.mark.ray
def test_a_step_that_needs_nothing_waits_for_no_cluster_and_a_boot_that_nobody_needs_leaves_nothing(world: World):
    (world.path / "early.py").write_text(EARLY)
    run = world.start("early.py", "run")

    out, err = run.communicate(timeout=60)

    assert (run.returncode, f"performed below {run.pid}" in out, "ValueError: enough" in err) == (1, True, True)
    assert world.until(lambda: not world.running(), 5), world.running()


def test_up_explains_itself(world: World):
    text = told(world.rayflow("up", "--help"))

    assert [option for option in ("--num-cpus", "--num-gpus", "--idle", "RAYFLOW_STATE_DIR") if option not in text] == []
