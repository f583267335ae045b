"""The peers: other workflow systems, each in an environment of its own, made on demand and kept between runs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_READY = "ready.json"
_QUIET = {"DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Peer:
    """A workflow system. `environ` keeps it in the place that a program is run in (`{place}`) and silent."""

    name: str
    requirements: Sequence[str]
    persists: str
    environ: Mapping[str, str] = field(default_factory=dict[str, str])

    def environ_in(self, place: str) -> dict[str, str]:
        return {"HOME": place, **_QUIET, **{name: value.format(place=place) for name, value in self.environ.items()}}


_DATA = ("numpy", "pandas", "pyarrow")

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "Metaflow",
            ("metaflow", "setuptools<81", *_DATA),
            "artifacts, records, logs; no fsync",
            {"METAFLOW_DATASTORE_SYSROOT_LOCAL": "{place}", "METAFLOW_HOME": "{place}", "METAFLOW_USER": "bench"},
        ),
        Peer(
            "Prefect",
            ("prefect",),
            "results (pickles), states in SQLite; no fsync of results",
            {
                "PREFECT_HOME": "{place}",
                "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
                "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_LOGGING_LEVEL": "ERROR",
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            },
        ),
        Peer("Dagster", ("dagster",), "outputs (pickles), events in SQLite; no fsync of outputs", {"DAGSTER_HOME": "{place}"}),
        Peer("Dask", ("dask[distributed]",), "nothing", {"DASK_TEMPORARY_DIRECTORY": "{place}"}),
        Peer("Luigi", ("luigi", *_DATA), "the value (a pickle); no fsync"),
        Peer("Kedro", ("kedro", "kedro-datasets", *_DATA), "the value (a pickle); no fsync"),
    )
}


@dataclass(frozen=True)
class Environments:
    """The interpreters of the peers that are there, by name, with their versions, and why others are not."""

    pythons: Mapping[str, str]
    versions: Mapping[str, str]
    left_out: Sequence[str]


def environments(names: Sequence[str], directory: str) -> Environments:
    """Makes the environments that are missing under `directory`, with uv, byte-compiled."""
    pythons: dict[str, str] = {}
    versions: dict[str, str] = {}
    left_out: list[str] = []
    for name in names:
        try:
            python = _environment(PEERS[name], directory)
        except (RuntimeError, OSError) as fault:
            left_out.append(f"{name} could not be installed: {fault}")
            continue
        with open(os.path.join(os.path.dirname(os.path.dirname(python)), _READY), encoding="utf-8") as file:
            versions[name] = json.load(file)["version"]
        pythons[name] = python
    return Environments(pythons, versions, left_out)


def _environment(peer: Peer, directory: str) -> str:
    """The interpreter of a complete environment: one whose `ready.json` was written last."""
    distribution = peer.requirements[0].partition("[")[0]
    asked = json.dumps([list(peer.requirements), platform.python_version()])
    venv = os.path.join(directory, f"{distribution}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}")
    python = os.path.join(venv, "bin", "python")
    if os.path.exists(os.path.join(venv, _READY)):
        return python
    uv = shutil.which("uv") or os.path.join(os.path.dirname(sys.executable), "uv")
    if not os.path.exists(uv):
        raise RuntimeError("uv was not found, neither on PATH nor beside this Python.")
    shutil.rmtree(venv, ignore_errors=True)
    _call([uv, "venv", "-q", "--python", sys.executable, venv])
    _call([uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *peer.requirements])
    version = _call([python, "-c", f"from importlib.metadata import version; print(version({distribution!r}))"])
    with open(os.path.join(venv, _READY), "w", encoding="utf-8") as file:
        json.dump({"version": version.strip()}, file)
    return python


def _call(command: Sequence[str]) -> str:
    """Runs it in the repository, whose settings of uv count. Its output; RuntimeError with the end of what it complained about."""
    called = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    if called.returncode != 0:
        raise RuntimeError(" ".join(called.stderr.split()[-40:]) or f"{command[0]} ended with {called.returncode}")
    return called.stdout


def cache_directory() -> str:
    """Where environments are kept when no directory is given."""
    top = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(top, "rayflow-benchmarks")
