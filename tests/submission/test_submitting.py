"""`submit`, `attach` and `stop`, with a Jobs API that starts nothing: what is recorded, what is asked for, what is refused."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
import ray

from rayflow.catalog.reading import Ending, write_ending
from rayflow.catalog.takeover import take_over
from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client.roots import root_at
from rayflow.client.runs import Run
from rayflow.model.records import Outcome
from tests.submission.jobs_api import JobsApi, jobs_api

FLOW = """
import time

from rayflow import Config, FlowSpec, IncludeFile, Parameter, step


class NapFlow(FlowSpec):
    seconds = Parameter("seconds", default=0.0)
    notes = IncludeFile("notes", default=None)
    shape = Config("shape", default_value={"width": 3})

    @step
    def start(self):
        print("dozing off")
        self.next(self.end)

    @step
    def end(self):
        time.sleep(self.seconds)


if __name__ == "__main__":
    NapFlow()
"""


@dataclass
class Said:
    code: int
    out: str
    err: str


@dataclass
class Desk:
    """Where somebody submits from."""

    directory: Path
    api: JobsApi

    @property
    def root(self) -> str:
        return str(self.directory / "root")

    def call(self, *words: str, **environ: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        given = {"RAYFLOW_ROOT": self.root, "RAYFLOW_USER": "ann", "RAY_API_SERVER_ADDRESS": self.api.url, **environ}
        call = Call(Prompt("rayflow"), Surroundings({name: value for name, value in given.items() if value}, str(self.directory)), out, err)
        return Said(run_program(call, words), out.getvalue(), err.getvalue())

    def submit(self, *words: str, **environ: str) -> Said:
        return self.call("submit", str(self.directory / "nap.py"), *words, **environ)

    def run(self, run_id: str) -> Run:
        from rayflow.client.base import reference

        return reference(Run, root_at(self.root), ("NapFlow", run_id), None)

    @property
    def is_untouched(self) -> bool:
        return not os.path.exists(self.root) and not self.api.jobs


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (tmp_path / "nap.py").write_text(FLOW)
    with jobs_api() as api:
        yield Desk(tmp_path, api)


def test_a_run_is_recorded_and_its_job_says_nothing_but_where(desk: Desk):
    (desk.directory / "notes.txt").write_text("it's; $(rm -rf /)")

    said = desk.submit(
        *("--run-id", "n1", "--detach", "--seconds", "2", "--notes", str(desk.directory / "notes.txt"), "--env", "LEVEL=debug"),
        *("--config-value", "shape", '{"width": 7}', "--with", "retry:times=2", "--max-workers", "5", "--tag", "late"),
    )

    run, job = desk.run("n1"), desk.api.jobs["rayflow-n1"]
    record = run.handle.record
    assert (said.code, run.state) == (0, "pending")
    assert said.out == (
        f"Run NapFlow/n1 is submitted to ray at {desk.api.url}, as job rayflow-n1.\n"
        "Follow it: rayflow attach n1    Stop it: rayflow stop n1\n"
    )
    assert job["entrypoint"] == f"python -m rayflow drive NapFlow/n1 --root {desk.root}"
    assert job["metadata"] == {"rayflow.run": "NapFlow/n1", "rayflow.user": "ann", "rayflow.root": desk.root}
    assert job["runtime_env"]["env_vars"] == {"RAY_JOB_STOP_WAIT_TIME_S": "20", "RAYFLOW_USER": "ann", "LEVEL": "debug"}
    assert [uri.partition("/")[0] for uri in job["runtime_env"]["py_modules"]] == ["gcs:"]
    assert (record.parameters["seconds"].preview, record.parameters["notes"].preview) == ("2.0", '"it\'s; $(rm -rf /)"')
    assert (record.constants["shape"].preview, record.decospecs) == ("{'width': 7}", ("retry:times=2",))
    assert (record.tags, record.user, record.launcher) == (("late",), "ann", None)
    assert record.facts["submitted_to"] == {"on": "ray", "address": desk.api.url}
    assert f"ray at {desk.api.url}" in desk.call("show", "n1").out
    assert json.loads(desk.call("show", "n1", "--json").out)["submitted_to"]["on"] == "ray"
    assert desk.call("ls", "--status", "pending").out.splitlines()[1].split()[:3] == ["NapFlow", "n1", "pending"]
    assert record.facts["launch"]["max_workers"] == 5


def test_rayflow_itself_is_sent_once(desk: Desk):
    desk.submit("--detach")
    desk.submit("--detach", "--quiet")
    desk.submit("--detach", "--no-send-rayflow")

    sent = [path for method, path in desk.api.requests if method == "PUT"]
    assert (len(desk.api.jobs), len(sent)) == (3, 1)
    assert [("py_modules" in job["runtime_env"]) for job in desk.api.jobs.values()] == [True, True, False]


def test_a_runtime_environment_and_a_python_of_ones_own_are_passed_on(desk: Desk):
    (desk.directory / "env.yaml").write_text("pip: [toolz]\nenv_vars: {A: b}\n")

    desk.submit("--detach", "--runtime-env", str(desk.directory / "env.yaml"), "--python", "/opt/my py/python3", "--run-id", "n1")

    job = desk.api.jobs["rayflow-n1"]
    assert job["runtime_env"]["pip"] == {"packages": ["toolz"], "pip_check": False}
    assert job["runtime_env"]["env_vars"]["A"] == "b"
    assert job["entrypoint"].startswith("'/opt/my py/python3' -m rayflow drive ")


REFUSED = {
    "another Ray": ([], {"ray_version": "2.1.0"}, {}, f"The cluster has Ray 2.1.0, and here is Ray {ray.__version__}"),
    "another Python": ([], {"python_version": "3.4.1"}, {}, "The cluster has Python 3.4.1, and here is Python "),
    "no token": ([], {"token": "secret"}, {}, "Give the cluster's token: RAY_AUTH_TOKEN"),
    "nobody there": (["--address", "http://127.0.0.1:9"], {}, {}, "Nobody answers for the Ray Jobs API at http://127.0.0.1:9"),
    "no address": ([], {}, {"RAY_API_SERVER_ADDRESS": ""}, "Say which cluster: --address http://HEAD:8265"),
    "no port": (["--address", "http://head:many"], {}, {}, "--address 'http://head:many' is no address of a Ray dashboard"),
    "no http": (["--address", "ray://head:10001"], {}, {}, "is no address of a Ray dashboard"),
    "a directory": (["--address", "http://192.0.2.1:8265"], {}, {}, "is a directory of this machine, which the cluster cannot reach"),
    "memory": (["--root", "memory://here"], {}, {}, "A memory:// root lives in one process"),
    "a secret": (["--env", "AWS_SECRET_ACCESS_KEY=x"], {}, {}, "--env AWS_SECRET_ACCESS_KEY looks like a secret"),
    "a token": (["--env", "HF_TOKEN"], {}, {}, "--env HF_TOKEN looks like a secret"),
    "not set": (["--env", "LEVEL"], {}, {}, "--env LEVEL names a variable that is not set here"),
    "no name": (["--env", "=x"], {}, {}, "--env '=x' names no variable"),
    "no file": (["--runtime-env", "none.yaml"], {}, {}, "--runtime-env 'none.yaml' cannot be read: No such file"),
    "no mapping": (["--runtime-env", __file__], {}, {}, "neither JSON nor YAML"),
    "no platform": (["--on", "mars"], {}, {}, "'mars' is not one of 'ray'"),
    "no parameter": (["--second", "1"], {}, {}, "No such option"),
    "no number": (["--seconds", "two"], {}, {}, "'two' is not a valid float"),
}


@pytest.mark.parametrize(("words", "api", "environ", "says"), [pytest.param(*each, id=name) for name, each in REFUSED.items()])
def test_what_cannot_run_there_is_refused_before_anything_is_written(desk: Desk, words, api, environ, says):
    for name, value in api.items():
        setattr(desk.api, name, value)

    said = desk.submit("--detach", *words, **environ)

    assert (said.code in (1, 2), desk.is_untouched) == (True, True)
    assert says in " ".join(said.err.split())
    assert "Traceback" not in said.err


def test_a_directory_that_all_machines_see_is_taken(desk: Desk):
    desk.api.url = desk.api.url.replace("127.0.0.1", "localhost")

    assert desk.submit("--detach", "--shared-root").code == 0


def test_a_head_that_has_just_started_is_asked_again(desk: Desk):
    desk.api.refusals = [(500, "No available agent to submit job")]

    assert (desk.submit("--detach", "--run-id", "n1").code, list(desk.api.jobs)) == (0, ["rayflow-n1"])


def test_a_run_that_could_not_be_submitted_is_recorded_as_failed(desk: Desk):
    desk.api.refusals = [(500, "no space left")]

    said = desk.submit("--detach", "--run-id", "n1")

    ending = desk.run("n1").handle.opened.ending
    assert (said.code, desk.run("n1").state) == (1, "failed")
    assert "no space left" in said.err
    assert ending.why.startswith("It could not be submitted. Asked about a job, the Ray Jobs API at")


def test_an_answer_that_was_lost_does_not_count_as_a_refusal(desk: Desk):
    desk.api.loses_answers = True

    assert (desk.submit("--detach", "--run-id", "n1").code, desk.run("n1").state) == (0, "pending")


def test_a_run_is_submitted_once_and_again_when_its_job_is_over(desk: Desk):
    desk.submit("--detach", "--run-id", "n1")
    desk.submit("--detach", "--run-id", "n1")
    once = [method for method, path in desk.api.requests if path == "/api/jobs/"]
    desk.api.jobs["rayflow-n1"]["status"] = "FAILED"
    other = desk.submit("--detach", "--run-id", "n1", "--seconds", "3")
    again = desk.submit("--detach", "--run-id", "n1")

    assert (once, again.code, desk.api.jobs["rayflow-n1"]["status"]) == (["POST"], 0, "PENDING")
    assert (other.code, "Run id 'n1' exists with other code or parameters" in other.err) == (2, True)


def test_who_submits_a_run_again_waits_for_its_new_driver_and_not_for_what_the_old_one_recorded(desk: Desk):
    desk.api.refusals = [(500, "no space left")]
    desk.submit("--detach", "--run-id", "n1")
    handle = desk.run("n1").handle

    def drive() -> None:
        while not desk.api.jobs:
            time.sleep(0.05)
        time.sleep(0.5)
        epoch = take_over(handle.store, handle.layout).epoch
        write_ending(handle.store, handle.layout, Ending(Outcome.SUCCEEDED, "", 1, epoch=epoch))

    driver = Thread(target=drive)
    driver.start()
    followed = desk.submit("--run-id", "n1")
    driver.join()

    assert (followed.code, followed.out.splitlines()[-1].endswith("Done!")) == (0, True)


def test_a_run_that_nobody_drives_is_told_with_what_its_job_said(desk: Desk, monkeypatch):
    monkeypatch.setattr("rayflow.submission.watching._LOOK_FOR_DRIVER_S", 0.05)
    desk.submit("--detach", "--run-id", "n1")

    stopped = desk.call("stop", "n1")
    attached = desk.call("attach", "n1")

    assert (stopped.code, stopped.out) == (0, "Run NapFlow/n1 is being stopped. Continue it: rayflow resume n1\n")
    assert attached.code == 1
    assert attached.err == (
        "Nobody drives run NapFlow/n1 any more, and its end is not recorded.\n"
        "Its job is stopped. waiting\n"
        "The last that its driver printed:\n"
        "    No module named rayflow\n"
        "Continue it: rayflow resume n1\n"
    )


def test_a_resume_goes_where_its_origin_went(desk: Desk):
    desk.submit("--detach", "--run-id", "n1", "--seconds", "0")

    said = desk.call("resume", "n1", "--on", "ray", "--run-id", "n2", "--detach", RAY_API_SERVER_ADDRESS="")

    record = desk.run("n2").handle.record
    assert (said.code, record.origin, desk.run("n1").state) == (0, "n1", "interrupted")
    assert (record.facts["submitted_to"], "rayflow-n2" in desk.api.jobs) == ({"on": "ray", "address": desk.api.url}, True)
    assert desk.call("resume", "n2", "--on", "ray", "--verify").code == 2


def test_what_has_ended_is_told_by_attach_and_left_alone_by_stop(desk: Desk):
    flow = str(desk.directory / "nap.py")
    desk.call("run", flow, "--executor", "inline")

    attached, told, stopped = desk.call("attach", "latest"), desk.call("attach", "latest", "--json"), desk.call("stop", "latest")

    events = [json.loads(line)["event"] for line in told.out.splitlines()]
    assert (attached.code, attached.out.splitlines()[-1].partition(" ")[2].partition(" ")[2]) == (0, "Done!")
    assert (events[0], events[-1], events.count("task_done")) == ("run_started", "run_ended", 2)
    assert (stopped.code, "has ended already: succeeded" in stopped.out) == (0, True)


def test_a_run_of_this_machine_is_followed_from_another_process_and_stopped(desk: Desk):
    environ = {**os.environ, "RAYFLOW_ROOT": desk.root}
    words = [sys.executable, str(desk.directory / "nap.py"), "run", "--seconds", "60", "--run-id", "n1", "--executor", "process"]
    driver = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while b"/end/2" not in driver.stdout.readline():
            assert time.monotonic() < deadline
        follower = subprocess.Popen([sys.executable, "-m", "rayflow", "attach", "n1"], env=environ, stdout=subprocess.PIPE, text=True)
        stopped = desk.call("stop", "n1")
        told, _ = follower.communicate(timeout=30)
        code = driver.wait(30)
    finally:
        driver.kill()

    assert (stopped.code, code, follower.returncode) == (0, 128 + signal.SIGTERM, 130)
    assert "] dozing off" in told
    assert "Workflow interrupted." in told
    assert desk.call("stop", "n1").out.startswith("Run NapFlow/n1 has ended already")
