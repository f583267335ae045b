"""KubeRay's operator, as far as the life of a RayJob goes: what it does with one that the API server has, on this machine.

The cluster of a job is a Ray cluster that is there already; its head pod is a shell that runs the entrypoint, with what the manifest says
of the environment. What the operator refuses, when it starts a driver again, and what its status says are KubeRay's own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rayflow.submission.kuberay.rules import rule_faults
from tests.submission.kuberay.apiserver import ApiServer, Object, Refusal

FINALIZER = "ray.io/rayjob-finalizer"
_GRACE_S = 20.0


@dataclass
class Operator:
    """`environ` is what the image has: its PATH, and how Ray's cluster is reached. `retries`: how often a failed driver is started again,
    beside the manifest's own number. `is_held`: jobs wait for their cluster."""

    server: ApiServer
    environ: Mapping[str, str]
    directory: Path
    retries: int = 0
    is_held: bool = False
    drivers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Looks after all jobs until it is stopped."""
        while not self._stopped.is_set():
            for namespace, name in list(self.server.jobs):
                with contextlib.suppress(Refusal):
                    self._look_after(namespace, name)
            with self.server.changed:
                self.server.changed.wait(0.1)

    def stop(self) -> None:
        self._stopped.set()
        for driver in self.drivers.values():
            _end(driver, 0.0)

    def output(self, name: str) -> str:
        """What the driver printed, over all its starts."""
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def _look_after(self, namespace: str, name: str) -> None:
        job = self.server.get(namespace, name)
        metadata, status = job["metadata"], job.get("status", {})
        if metadata.get("deletionTimestamp"):
            self._let_go(namespace, name)
            return
        match status.get("jobDeploymentStatus", ""):
            case "" | "New":
                self._take(namespace, name, job)
            case "Initializing" if not self.is_held:
                self._start(namespace, name, job)
            case "Running":
                self._look_at_driver(namespace, name, job)
            case "Retrying":
                self._tell(namespace, name, jobDeploymentStatus="Initializing", jobStatus="")
            case _:
                pass

    def _take(self, namespace: str, name: str, job: Object) -> None:
        """The first look: the job is checked, and a finalizer set on it."""
        self.server.change(namespace, name, {"metadata": {"finalizers": [FINALIZER]}})
        faults = rule_faults(job)
        if faults:
            self._tell(namespace, name, jobDeploymentStatus="ValidationFailed", reason="ValidationFailed", message="; ".join(faults))
        else:
            self._tell(namespace, name, jobDeploymentStatus="Initializing", jobId=job["spec"].get("jobId"))

    def _start(self, namespace: str, name: str, job: Object) -> None:
        container = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        told = {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}
        self._show_pod(namespace, name, job)
        with open(self.directory / f"{name}.log", "ab") as printed:
            self.drivers[name] = subprocess.Popen(
                ["/bin/bash", "-c", job["spec"]["entrypoint"]],
                env={**self.environ, **told, "RAY_JOB_ID_OF_TEST": job["spec"]["jobId"]},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        self.started.append(name)
        self._tell(namespace, name, jobDeploymentStatus="Running", jobStatus="RUNNING")

    def _look_at_driver(self, namespace: str, name: str, job: Object) -> None:
        driver = self.drivers.get(name)
        code = None if driver is None else driver.poll()
        if driver is None or code is None:
            return
        if code == 0:
            self._tell(namespace, name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", message="Job finished successfully.")
        elif self.started.count(name) <= self.retries + job["spec"].get("backoffLimit", 0):
            self._tell(namespace, name, jobDeploymentStatus="Retrying", jobStatus="FAILED")
        else:
            why = f"Job entrypoint command failed with exit code {code}"
            self._tell(namespace, name, jobDeploymentStatus="Failed", jobStatus="FAILED", reason="AppFailed", message=why)

    def _let_go(self, namespace: str, name: str) -> None:
        """Stops the driver as Ray does, and has the object go."""
        driver = self.drivers.get(name)
        if driver is not None:
            _end(driver, _GRACE_S)
        self.server.pods = [pod for pod in self.server.pods if pod["metadata"]["name"] != f"{name}-head"]
        self.server.forget(namespace, name)

    def _show_pod(self, namespace: str, name: str, job: Object) -> None:
        template = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
        labels = {**template["metadata"]["labels"], "ray.io/node-type": "head"}
        spec = {**template["spec"], "containers": [*template["spec"]["containers"], {"name": "ray-job-submitter"}]}
        pod = {"metadata": {"name": f"{name}-head", "namespace": namespace, "labels": labels}, "spec": spec, "status": {}}
        self.server.pods = [each for each in self.server.pods if each["metadata"]["name"] != f"{name}-head"] + [pod]
        self.server.logs[f"{name}-head", "ray-job-submitter"] = lambda: self.output(name)

    def _tell(self, namespace: str, name: str, **status: Any) -> None:
        self.server.change(namespace, name, {"status": status})


@contextlib.contextmanager
def operator(server: ApiServer, environ: Mapping[str, str]) -> Iterator[Operator]:
    """One that looks after the server's jobs."""
    with tempfile.TemporaryDirectory(prefix="rfk-", ignore_cleanup_errors=True) as directory:
        made = Operator(server, environ, Path(directory))
        thread = threading.Thread(target=made.watch, name="operator", daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.stop()
            thread.join()


def _end(driver: subprocess.Popen[bytes], grace_s: float) -> None:
    """As Ray ends a job: SIGTERM to all of it, and SIGKILL when the grace is over."""
    with contextlib.suppress(ProcessLookupError):
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGTERM if grace_s else signal.SIGKILL)
        deadline = time.monotonic() + grace_s
        while driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
