"""A step's decorators, compiled to data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MAX_RETRIES = 4
"""Metaflow's limit of `@retry(times=...)`, kept so that attempts stay below 6 (first + retries + one fallback)."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Up to `times` further attempts. `delay_s` is waited between them when the flow states it (`delay_is_stated`)."""

    times: int = 0
    delay_s: float = 0.0
    delay_is_stated: bool = False

    def delay_before(self, attempt: int) -> float:
        """Seconds to wait before attempt number `attempt` (1 is the first retry)."""
        return self.delay_s if self.delay_is_stated and attempt > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Catch:
    """What happens to a task whose attempts are used up: it succeeds, and `var` (if any) holds the exception."""

    var: str | None = None
    print_exception: bool = True


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs: CPUs and GPUs (fractions allowed), memory in bytes (None: not reserved), custom Ray resources."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_nbytes: int | None = None
    custom: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_default(self) -> bool:
        return self == Resources()


@dataclass(frozen=True, slots=True)
class StepDecorator:
    """A decorator as the graph lists it: name and plain attributes; `is_static` unless `--with` or a mutator added it.

    `stated` names those of the attributes that the flow wrote; the others have their defaults. `inserted_by`: the mutator that added it.
    """

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_static: bool = True
    stated: frozenset[str] = frozenset()
    inserted_by: str | None = None


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Code of the user's that goes around a step's body: its dotted name, and what it is given."""

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Maker(str, Enum):
    """Who makes a Python environment. The values are the names of the decorators that ask for one."""

    PYPI = "pypi"
    CONDA = "conda"
    UV = "uv"


Packages = tuple[tuple[str, str], ...]
"""Names of packages (extras in brackets, conda's channel before `::`), sorted, each with its version as it was written ("" for any)."""


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """The packages that a step's Python is to have, as the flow declares them: `packages` of the maker's own, and `pypi` those of PyPI
    beside conda's. `python` is the version of Python; None: that of the launcher. `channels` are conda's, best first. `project` is the
    digest of the uv.lock whose packages are there too; empty where there is none.
    """

    maker: Maker
    packages: Packages = ()
    pypi: Packages = ()
    python: str | None = None
    channels: tuple[str, ...] = ()
    project: str = ""


@dataclass(frozen=True)
class StepSpec:
    """Everything that a step's decorators say, as data. `timeout_s` is None without `@timeout`; the last of `wrappers` is outermost,
    and `secrets` go around them. `python` is None where the launcher's own Python performs the step. Of the checkpoints of a task
    `checkpoints_kept` of each name are kept; 0: it has none."""

    retry: Retry = Retry()
    catch: Catch | None = None
    timeout_s: float | None = None
    resources: Resources = Resources()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    python: PythonEnvironment | None = None
    is_isolated: bool = False
    checkpoints_kept: int = 0
    wrappers: tuple[Wrapper, ...] = ()
    secrets: tuple[Wrapper, ...] = ()
    decorators: tuple[StepDecorator, ...] = ()
