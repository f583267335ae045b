"""The environments of a run's steps: locked and made before the run exists, kept beside its code, and the same again for a resume.

What a run records (`facts["environments"]`): the mode, and for each step what it declared and the digest of the lock that came of it. A
resume whose step declares the same takes that lock; so its packages are those of the origin, whatever has been published since. What is
declared otherwise is locked anew.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rayflow.flow.packages import declaring_steps, with_environments
from rayflow.model.errors import InvalidEnvironmentException, StoreCorrupt, StoreMissing
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Interpreter, Store
from rayflow.model.spec import Maker, PythonEnvironment
from rayflow.runtime.notices import Preparing, Reporter, Warned

if TYPE_CHECKING:
    from rayflow.catalog.run import RunRecord
    from rayflow.environments.building import Builder
    from rayflow.environments.lock import Lock
    from rayflow.environments.locking import Locker
    from rayflow.flow.definition import FlowDefinition
    from rayflow.runtime.settings import Settings

LOCAL = "local"
FACT = "environments"
FAULT_VARIABLE = "RAYFLOW_ENVIRONMENT_FAULT"
"""Why a worker of Ray has not the Python that it was to have: see `entering`."""

_COMMAND = (
    'base="${4%/lib*/python*}/bin/python3"; [ -x "$base" ] || base=python3; '
    f'made=$("$base" -m rayflow.runtime.entering "$1" "$2" "$3") || {{ export {FAULT_VARIABLE}="$made"; made=$base; }}; '
    'shift 3; exec "$made" "$@"'
)
"""What starts a Python on a machine that may not have it: Ray appends the path of its worker program, which tells where the Python is that
has Ray and rayflow. Where no environment can be made that Python starts instead, and says why: a worker that does not start is asked for
again and again, in silence."""


@dataclass(frozen=True)
class Prepared:
    """A flow whose steps have their environments: the Python of each that has one, and what the run records of them."""

    definition: FlowDefinition
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict[str, Interpreter])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def prepare(definition: FlowDefinition, settings: Settings, store: Store, reporter: Reporter, known: RunRecord | None = None) -> Prepared:
    """Locks and makes the environments that the steps ask for. `known` is the run that is continued: its mode holds where none is stated,
    and its locks where the same is declared.

    InvalidEnvironmentException where one cannot be had, or not on this executor.
    """
    recorded: Mapping[str, Any] = known.facts.get(FACT, {}) if known is not None else {}
    mode = settings.environment or recorded.get("mode", LOCAL)
    if mode == LOCAL:
        if settings.environment is None:
            _tell_inert(definition, reporter)
        return Prepared(definition)
    from rayflow.environments.locking import Locker
    from rayflow.environments.projects import find_project, missing_project

    place = os.path.dirname(definition.script_path) or os.getcwd()
    project = find_project(place) if mode == Maker.UV.value else None
    digest = project.digest if project is not None else recorded.get("project", "")
    if mode == Maker.UV.value and not digest:
        raise missing_project(place)
    definition = with_environments(definition, mode, digest)
    wanted = {step: spec.python for step, spec in definition.specs.items() if spec.python is not None}
    if not wanted:
        return Prepared(definition, facts={FACT: {"mode": mode, "project": digest, "steps": {}}})
    _refuse_executor(settings, wanted)
    locker = Locker(settings.environments_dir, settings.environ, place if os.path.isdir(place) else "", project)
    return _Preparation(definition, settings, store, reporter, locker, recorded).of(mode, digest, wanted)


class _Preparation:
    """Of one run: environments that several steps share are locked and made once."""

    def __init__(
        self,
        definition: FlowDefinition,
        settings: Settings,
        store: Store,
        reporter: Reporter,
        locker: Locker,
        recorded: Mapping[str, Any],
    ) -> None:
        self._definition = definition
        self._settings = settings
        self._store = store
        self._reporter = reporter
        self._locker = locker
        self._recorded: Mapping[str, Any] = recorded.get("steps", {})

    def of(self, mode: str, project: str, wanted: Mapping[str, PythonEnvironment]) -> Prepared:
        from rayflow.environments.building import Builder

        builder = Builder(self._settings.environments_dir, self._settings.environ)
        sharing = {each: [step for step, other in wanted.items() if other == each] for each in dict.fromkeys(wanted.values())}
        locks = {each: self._lock(each, steps) for each, steps in sharing.items()}  # all of them before any is made: that takes longest
        interpreters, facts = dict[str, Interpreter](), dict[str, Any]()
        for each, steps in sharing.items():
            lock, whose = locks[each], _whose(steps)
            path = "" if self._settings.platform else self._made(builder, lock, whose)  # else it is made where tasks run
            keep_lock(self._store, self._definition.name, lock)
            interpreter = Interpreter(path, self._command(lock))
            interpreters.update(dict.fromkeys(steps, interpreter))
            facts.update({step: {**declared(each), "lock": lock.digest} for step in steps})
        return Prepared(self._definition, interpreters, {FACT: {"mode": mode, "project": project, "steps": facts}})

    def _made(self, builder: Builder, lock: Lock, whose: str) -> str:
        """The Python of the environment, which is made where it is not there yet."""
        if not builder.has(lock):
            self._reporter.tell(Preparing(f"the environment of {whose}: {_counted(lock)}"))
        return builder.python_of(lock, whose)

    def _lock(self, wanted: PythonEnvironment, steps: list[str]) -> Lock:
        """The lock of the run that is continued, where one of these steps declared the same there; else a new one."""
        for step in steps:
            entry = dict(self._recorded.get(step, {}))
            digest = entry.pop("lock", None)
            if digest is not None and entry == declared(wanted):
                try:
                    return read_lock(self._store, self._definition.name, digest)
                except (StoreMissing, StoreCorrupt) as fault:
                    self._reporter.tell(
                        Warned(f"The environment of {_whose(steps)} is locked anew, which may change its packages: {fault}")
                    )
        if not self._locker.has(wanted):
            self._reporter.tell(Preparing(f"the lock of {_whose(steps)}"))
        return self._locker.lock(wanted, _whose(steps))

    def _command(self, lock: Lock) -> str:
        return shlex.join(["bash", "-c", _COMMAND, "rayflow", self._store.url, self._definition.name, lock.digest])


def _tell_inert(definition: FlowDefinition, reporter: Reporter) -> None:
    """What declares packages without effect says so: who moves a flow would look for them in vain."""
    steps = declaring_steps(definition)
    if steps:
        asks = "asks" if len(steps) == 1 else "ask"
        reporter.tell(
            Warned(
                f"The packages that {_whose(steps)} {asks} for count with --environment pypi alone (or conda, uv): without it all steps "
                "have those of this Python. --environment local says that this is meant."
            )
        )


def _refuse_executor(settings: Settings, wanted: Mapping[str, PythonEnvironment]) -> None:
    if settings.executor == "inline":
        raise InvalidEnvironmentException(
            f"Not every step is performed by this Python ({_whose(list(wanted))}), and --executor inline has no Python but this one. "
            "Leave out --executor, or say --environment local."
        )
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for step, each in wanted.items():
        if each.python is not None and f"{each.python}.".startswith(f"{ours}."):
            continue
        if each.python is not None and settings.executor != "process":
            raise InvalidEnvironmentException(
                f"Step '{step}' asks for Python {each.python}, and a Ray cluster has one Python for all: this one's, {ours}. "
                f"Ask for python='{ours}', or say --executor process, where each step may have its own."
            )


def declared(wanted: PythonEnvironment) -> dict[str, Any]:
    """What a step declares, as JSON."""
    return {
        "type": wanted.maker.value,
        "packages": dict(wanted.packages),
        "pypi": dict(wanted.pypi),
        "python": wanted.python,
        "channels": list(wanted.channels),
        "project": wanted.project,
    }


def keep_lock(store: Store, flow: str, lock: Lock) -> None:
    """Stores the lock under its digest, once. One that is there counts as written now: `gc` lets it be until the run has a record."""
    key = FlowLayout(flow).environment(lock.digest)
    path = store.local_path(key)
    if path is not None:
        with contextlib.suppress(OSError):
            os.utime(path)
            return
    store.write(key, [lock.text.encode()])


def read_lock(store: Store, flow: str, digest: str) -> Lock:
    """The lock of that digest. StoreMissing, StoreCorrupt."""
    from rayflow.environments.lock import parse_lock

    key = FlowLayout(flow).environment(digest)
    return parse_lock(store.read(key), digest, key)


def entered(interpreter: Interpreter | None) -> dict[str, str]:
    """What the environment variables of a worker in an environment are besides: programs of the environment are found first."""
    if interpreter is None:
        return {}
    here = os.path.dirname(sys.executable)
    path = os.environ.get("PATH", os.defpath)
    kept = path if path.split(os.pathsep)[0] == here else os.pathsep.join([here, path])
    return {"VIRTUAL_ENV": sys.prefix, "PATH": kept}


def fault_of(interpreter: Interpreter | None) -> str | None:
    """Why this process is not the Python that it was to be; None where it is."""
    fault = os.environ.get(FAULT_VARIABLE) if interpreter is not None else None
    return None if fault is None else f"Its environment could not be made {fault}"


def with_own_packages(sys_path: tuple[str, ...]) -> tuple[str, ...]:
    """A launcher's search path for a worker in an environment: without directories of installed packages, which are other ones there."""
    return tuple(entry for entry in sys_path if os.path.basename(entry) not in ("site-packages", "dist-packages"))


def record_with(record: RunRecord, prepared: Prepared) -> RunRecord:
    """The record of a run with what it is to say of its environments."""
    return replace(record, facts={**record.facts, **prepared.facts}) if prepared.facts else record


def _whose(steps: list[str]) -> str:
    named = ", ".join(f"'{step}'" for step in steps[:3])
    more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
    return f"step {named}" if len(steps) == 1 else f"steps {named}{more}"


def _counted(lock: Lock) -> str:
    return f"{len(lock.packages)} packages, Python {lock.python}"
