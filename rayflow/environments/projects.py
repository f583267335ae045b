"""The project beside a flow: the uv.lock that `--environment uv` takes packages from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rayflow.environments.tools import Calling, find_uv
from rayflow.model.errors import InvalidEnvironmentException

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]*")


@dataclass(frozen=True)
class Project:
    """The directory of a uv.lock, and the digest of that file."""

    directory: str
    digest: str


def find_project(directory: str) -> Project | None:
    """The project that the directory is in, which has the nearest uv.lock; None where there is none."""
    while True:
        try:
            with open(os.path.join(directory, "uv.lock"), "rb") as file:
                return Project(directory, hashlib.sha256(file.read()).hexdigest())
        except OSError:
            above = os.path.dirname(directory)
            if above == directory:
                return None
            directory = above


def missing_project(directory: str) -> InvalidEnvironmentException:
    """What to say where there is none."""
    return InvalidEnvironmentException(
        f"--environment uv takes packages from a uv.lock in {directory} or above it, and there is none. "
        "Make one with `uv init` and `uv add PACKAGE`, or `uv lock`; or say --environment pypi."
    )


def pinned(project: Project, own: Sequence[str], whose: str, calling: Calling) -> list[str]:
    """The requirements of the project, each at its locked version, without those of which a step has its `own`, rayflow, and what lies in
    directories of this machine: code travels by itself."""
    command = [find_uv(calling.environ), "export", "--frozen", "--directory", project.directory, "--no-hashes", "--no-dev"]
    command += ["--no-emit-project", "--no-emit-local", "--no-emit-package", "rayflow", "--no-header", "--no-annotate", "--quiet"]
    said = calling.run(command, f"The environment of {whose} cannot be read from {os.path.join(project.directory, 'uv.lock')}")
    replaced = {_key(line) for line in own}
    return [line for line in said.splitlines() if _NAME.match(line) and _key(line) not in replaced]


def _key(line: str) -> str:
    found = _NAME.match(line)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""
