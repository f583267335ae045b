"""`--compat metaflow`: files that say `from metaflow import ...` get what rayflow has, unchanged as they are.

While a mode is on, a finder at the head of `sys.meta_path` serves `metaflow` and the modules of `ALIASES`: modules without code, whose
names are those of rayflow's. The real Metaflow, installed or not, is not imported then; without the mode it is all there is. How a run's
code is loaded is a fact of the run (`facts["compat"]`) and of the `FlowSource` that workers get, each of which enters the mode of the
flow it loads: a worker that is used again for another run leaves it.

Rejected: rewriting the file's imports, which changes its lines and what is stored; rayflow itself under the name `metaflow` in
`sys.modules`, in which names that rayflow lacks would be missing without a word of what to do instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from rayflow.model.errors import UsageError
from rayflow.settings.table import MODES

METAFLOW = "metaflow"

ALIASES: dict[str, tuple[str, ...]] = {
    METAFLOW: ("rayflow", "rayflow.parameters:JSONTypeClass"),
    "metaflow.cards": ("rayflow.cards",),
    "metaflow.client": ("rayflow.client",),
    "metaflow.client.core": ("rayflow.client",),
    "metaflow.datatools": ("rayflow.s3",),
    "metaflow.datastore": (),
    "metaflow.datastore.artifacts": ("rayflow.datastore.artifacts",),
    "metaflow.datastore.artifacts.diagnostic": ("rayflow.datastore.artifacts:SerializerState list_serializer_status",),
    "metaflow.datastore.artifacts.serializer": ("rayflow.datastore.artifacts",),
    "metaflow.decorators": ("rayflow.decorators",),
    "metaflow.events": ("rayflow.events",),
    "metaflow.exception": ("rayflow.exception",),
    "metaflow.flowspec": ("rayflow.flow.flowspec:FlowSpec", "rayflow.exception"),
    "metaflow.includefile": ("rayflow:IncludeFile",),
    "metaflow.metaflow_current": ("rayflow.flow.current:Current current",),
    "metaflow.metaflow_profile": ("rayflow:profile",),
    "metaflow.multicore_utils": ("rayflow:parallel_map parallel_imap_unordered", "rayflow.exception:MulticoreException"),
    "metaflow.parameters": ("rayflow.parameters",),
    "metaflow.plugins": (),
    "metaflow.plugins.cards": (),
    "metaflow.plugins.cards.exception": ("rayflow.cards",),
    "metaflow.plugins.catch_decorator": ("rayflow.exception:FailureHandledByCatch",),
    "metaflow.plugins.datatools": ("rayflow.s3",),
    "metaflow.plugins.datatools.s3": ("rayflow.s3",),
    "metaflow.plugins.datatools.s3.s3": ("rayflow.s3",),
    "metaflow.plugins.secrets": ("rayflow.flow.secrets:get_secret",),
    "metaflow.plugins.timeout_decorator": ("rayflow.exception:TimeoutException",),
    "metaflow.runner": ("rayflow.runner",),
    "metaflow.runner.metaflow_runner": ("rayflow.runner",),
    "metaflow.runner.nbrun": ("rayflow.runner",),
    "metaflow.user_configs": (),
    "metaflow.user_configs.config_parameters": ("rayflow:Config ConfigValue config_expr",),
    "metaflow.user_decorators": ("rayflow.decorators",),
    "metaflow.user_decorators.mutable_flow": ("rayflow.decorators:MutableFlow",),
    "metaflow.user_decorators.mutable_step": ("rayflow.decorators:MutableStep",),
    "metaflow.user_decorators.user_flow_decorator": ("rayflow.decorators:FlowMutator",),
    "metaflow.user_decorators.user_step_decorator": (
        "rayflow.decorators:USER_SKIP_STEP StepMutator UserStepDecorator user_step_decorator",
    ),
}
"""Module of Metaflow -> where its names are: in a module of ours, all of `__all__` or those that are named."""

_set_aside: dict[str, ModuleType] = {}
"""The modules of the real Metaflow that this process had imported before."""


def active() -> str | None:
    """The mode that this process is in."""
    return METAFLOW if _FINDER in sys.meta_path else None


def enter(mode: str | None) -> None:
    """Puts this process into the mode; None: into none. UsageError for one that is not known."""
    if mode is not None and mode not in MODES:
        raise UsageError(f"There is no --compat {mode}. Give {' or '.join(MODES)}.")
    if mode == active():
        return
    present = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_theirs(name)}
    if mode is None:
        sys.meta_path.remove(_FINDER)
        sys.modules.update(_set_aside)
        _set_aside.clear()
    else:
        _set_aside.update(present)
        sys.meta_path.insert(0, _FINDER)


def served(module: str, name: str) -> bool:
    """Whether `from MODULE import NAME` finds something in the mode."""
    return exists(module) and (name == "*" or _home_of(module, name) is not None or exists(f"{module}.{name}"))


def exists(module: str) -> bool:
    """Whether `import MODULE` finds something in the mode."""
    targets = ALIASES.get(module)
    return targets is not None and (not targets or any(True for _ in _offers(targets)))


def missing(what: str) -> str:
    """What to say of something of Metaflow's that is not there."""
    from rayflow.flow.differences import difference

    known = difference(what.rpartition(".")[2]) or difference(what)
    advice = f" {known.way_out}" if known else ""
    return f"rayflow has no '{what}'.{advice} `rayflow doctor FLOW.py` lists what a flow uses that differs here."


class _Finder(MetaPathFinder, Loader):
    """Finds and makes the modules of Metaflow."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not _is_theirs(fullname):
            return None
        if not exists(fullname):
            # Not ModuleNotFoundError: `from metaflow import x` would hide what it says.
            raise ImportError(missing(fullname), name=fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        vars(module).update(
            __doc__=f"What rayflow has of `{name}` (--compat metaflow).",
            __all__=_names(name),
            __getattr__=partial(_attribute, name),
            __dir__=partial(_names, name),
        )
        if name == METAFLOW:
            from rayflow import __version__

            vars(module)["__version__"] = __version__


_FINDER = _Finder()


def _is_theirs(name: str) -> bool:
    return name == METAFLOW or name.startswith(f"{METAFLOW}.")


def _attribute(module: str, name: str) -> Any:
    """The value of `MODULE.NAME`. AttributeError where there is none: `hasattr` is to work."""
    home = _home_of(module, name)
    if home is not None:
        return getattr(home, _our(name))
    if not name.startswith("_") and exists(f"{module}.{name}"):
        return import_module(f"{module}.{name}")
    raise AttributeError(missing(f"{module}.{name}") if not name.startswith("__") else f"module {module!r} has no attribute {name!r}")


def _home_of(module: str, name: str) -> ModuleType | None:
    return next((home for home, offered in _offers(ALIASES[module]) if _our(name) in offered), None)


def _names(module: str) -> list[str]:
    return sorted({_their(name) for _, offered in _offers(ALIASES[module]) for name in offered})


def _offers(targets: Sequence[str]) -> Iterator[tuple[ModuleType, Sequence[str]]]:
    """The modules of ours that exist, and the names that count there; none without one."""
    for target in targets:
        path, _, named = target.partition(":")
        if find_spec(path) is not None:
            home = import_module(path)
            public: Sequence[str] = getattr(home, "__all__", ())
            offered = [name for name in named.split() if path != "rayflow" or name in public] if named else public
            if offered:
                yield home, offered


def _our(name: str) -> str:
    """`MetaflowException` -> `RayflowException`."""
    return f"Rayflow{name.removeprefix('Metaflow')}" if name.startswith("Metaflow") else name


def _their(name: str) -> str:
    return f"Metaflow{name.removeprefix('Rayflow')}" if name.startswith("Rayflow") else name
