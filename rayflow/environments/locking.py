"""From what a step declares to a lock, by `uv pip compile`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from rayflow.environments import conda
from rayflow.environments.lock import Lock, parse_lock
from rayflow.environments.projects import Project, missing_project, pinned
from rayflow.environments.tools import Calling, find_uv, uv_environ
from rayflow.flow.packages import requirement
from rayflow.model.errors import InvalidEnvironmentException, RayflowException
from rayflow.model.spec import Maker, PythonEnvironment

_INDEXES = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_EXCLUDE_NEWER")


@dataclass(frozen=True)
class Locker:
    """Locks environments. `directory` is where this machine keeps environments; `flow_directory` is the flow file's, whose pyproject.toml
    may say which indexes there are; `project` the project that `--environment uv` takes packages from."""

    directory: str
    environ: Mapping[str, str]
    flow_directory: str = ""
    project: Project | None = None

    def lock(self, wanted: PythonEnvironment, whose: str) -> Lock:
        """The lock of what is declared, from this machine's cache where it was resolved before. InvalidEnvironmentException, which says
        `whose` it is, where there is none."""
        known = _cached(self._path(wanted))
        if known is None:
            known = self._resolved(wanted, whose, self._calling)
            _keep(self._path(wanted), known)
        return known

    def has(self, wanted: PythonEnvironment) -> bool:
        """Whether it was resolved before."""
        return os.path.exists(self._path(wanted))

    @property
    def _calling(self) -> Calling:
        return Calling(uv_environ(self.environ), self.flow_directory)

    def _path(self, wanted: PythonEnvironment) -> str:
        """Where this machine keeps the lock of what is declared."""
        return os.path.join(self.directory, "locks", f"{self._key(wanted, self._calling)}.txt")

    def _key(self, wanted: PythonEnvironment, calling: Calling) -> str:
        """Of all that the outcome depends on."""
        indexes = [calling.environ.get(name, "") for name in _INDEXES]
        conda_platform = [platform.system(), platform.machine()] if wanted.maker is Maker.CONDA else []
        said = [asdict(wanted), python_of(wanted), list(worker_requirements()), indexes, conda_platform]
        return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:32]

    def _resolved(self, wanted: PythonEnvironment, whose: str, calling: Calling) -> Lock:
        python = python_of(wanted)
        _refuse_unfit(python, whose)
        if wanted.maker is Maker.CONDA:
            with conda.solved(wanted, python, whose, self.environ) as found:
                lines = [*(requirement(name, version) for name, version in wanted.pypi), *worker_requirements()]
                text = self._compiled(lines, python, whose, calling, fixed=found.pins)
            return Lock(python, text, found.addresses, found.platform)
        if wanted.project and (self.project is None or self.project.digest != wanted.project):
            raise missing_project(self.flow_directory)  # as a resume may be, of code that is stored with a run
        own = [requirement(name, version) for name, version in wanted.packages]
        base = pinned(self.project, own, whose, calling) if self.project is not None and wanted.project else []
        return Lock(python, self._compiled([*own, *base, *worker_requirements()], python, whose, calling))

    def _compiled(self, lines: list[str], python: str, whose: str, calling: Calling, fixed: list[str] | None = None) -> str:
        """The requirements, resolved. `fixed`: versions that whatever is needed of them must have."""
        with tempfile.TemporaryDirectory(prefix="rayflow-lock-") as scratch:
            asked, out, constraints = (os.path.join(scratch, name) for name in ("asked.in", "lock.txt", "fixed.txt"))
            _write(asked, lines)
            _write(out, [f"{name}=={number}" for name, number in launcher_versions().items()])  # which uv takes as its preferences
            _write(constraints, fixed or [])
            command = [find_uv(self.environ), "pip", "compile", asked, "--output-file", out, "--constraints", constraints, "--quiet"]
            command += ["--universal", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", python]
            command += ["--python", sys.executable] if is_ours(python) else []
            calling.run(command, f"The environment of {whose} cannot be resolved ({_named(lines)})")
            with open(out, encoding="utf-8") as file:
                return file.read().strip()


def _named(lines: list[str]) -> str:
    """What was asked for, in a line: what a worker needs is not the user's doing, but may be what excludes it."""
    needed = worker_requirements()
    own = [line for line in lines if line not in needed]
    return f"asked for: {', '.join(own) or 'nothing'}; needed by rayflow: {', '.join(line for line in needed if ';' not in line)}"


def _refuse_unfit(python: str, whose: str) -> None:
    """InvalidEnvironmentException for a Python that rayflow does not run in."""
    from packaging.specifiers import SpecifierSet

    fit = metadata("rayflow")["Requires-Python"]
    if python not in SpecifierSet(fit, prereleases=True):
        raise InvalidEnvironmentException(f"The environment of {whose} is to have Python {python}. What performs it needs one of {fit}.")


def python_of(wanted: PythonEnvironment) -> str:
    """The version of Python that is wanted."""
    return wanted.python or f"{sys.version_info.major}.{sys.version_info.minor}"


def is_ours(python: str) -> bool:
    """Whether this very Python is of that version."""
    return f"{platform.python_version()}.".startswith(f"{python}.")


def worker_requirements() -> tuple[str, ...]:
    """What a worker imports: rayflow's dependencies, and Ray in the version of this process, since both sides of a cluster must agree."""
    from packaging.requirements import Requirement

    found: list[str] = []
    for text in requires("rayflow") or ():
        asked = Requirement(text)
        if "extra" in str(asked.marker or "") or asked.name in ("uv", "ray"):
            continue
        found.append(text)
    return (*found, f"ray=={version('ray')}")


def launcher_versions() -> dict[str, str]:
    """The versions that this process has of what a worker imports, and of what that needs."""
    return {name: number for name, number in _closure(list(worker_requirements())) if "+" not in number}


def _closure(texts: list[str]) -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    seen = set[str]()
    while texts:
        asked = Requirement(texts.pop())
        name = asked.name.lower().replace("_", "-")
        if name in seen or (asked.marker is not None and not asked.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        try:
            yield name, version(name)
            texts += requires(name) or []
        except PackageNotFoundError:
            continue


def _write(path: str, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))


def _cached(path: str) -> Lock | None:
    """The lock that is kept at `path`: its digest is its first line, so that half of one is none."""
    try:
        with open(path, "rb") as file:
            digest, _, content = file.read().partition(b"\n")
        return parse_lock(content, digest.decode(), path)
    except (OSError, RayflowException, UnicodeDecodeError):
        return None


def _keep(path: str, lock: Lock) -> None:
    """Keeps what was resolved. InvalidEnvironmentException where the directory cannot be written: no environment can be made there."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        scratch = f"{path}.{os.getpid()}.tmp"
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(f"{lock.digest}\n{lock.text}")
        os.replace(scratch, path)
    except OSError as error:
        raise unwritable(os.path.dirname(os.path.dirname(path)), error) from error


def unwritable(directory: str, error: OSError) -> InvalidEnvironmentException:
    """What to say where environments cannot be kept."""
    return InvalidEnvironmentException(
        f"Environments cannot be kept in {directory}: {error.strerror}. Name another directory by RAYFLOW_ENVIRONMENTS_DIR."
    )
