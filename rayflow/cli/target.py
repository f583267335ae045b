"""Loading the flow that an argument names, from its file, its module, or the code that is stored with a run."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from rayflow.cli.suggest import listed, nearest
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.errors import RayflowException, UsageError, UserError

_COMPAT_HINT = " Write `from rayflow import ...` there, or say --compat metaflow."


def load_flow(argument: str) -> type[FlowSpec]:
    """The flow class that the argument names. UsageError where there is no such file or class, UserError where it cannot be imported."""
    path, class_name = _split(argument)
    if path.endswith(".py"):
        if not os.path.isfile(path):
            raise UsageError(f"There is no file {path!r}.{_near_files(path)}")
        path = os.path.abspath(path)
        sys.path.insert(0, os.path.dirname(path))
        from rayflow.runtime.loading import import_file, module_name_of

        module = _imported(argument, lambda: import_file(path, module_name_of(path)))
        sys.argv[0] = path
    else:
        sys.path.insert(0, os.getcwd())
        module = _imported(argument, lambda: importlib.import_module(path))
        sys.argv[0] = getattr(module, "__file__", None) or sys.argv[0]
    return _flow_class(module, argument, class_name)


def load_stored_flow(root_url: str, flow: str, run_id: str) -> tuple[type[FlowSpec], str]:
    """The flow class as it was when the run was started, and the digest of its package. UserError where no code was stored with it."""
    import atexit
    import shutil
    import tempfile

    from rayflow.catalog.run import read_run
    from rayflow.client.roots import root_at
    from rayflow.package.stored import fetch_package
    from rayflow.runtime.compat import active, enter

    store = root_at(root_url).store
    record = read_run(store, flow, run_id)
    if record.code is None or not record.script:
        raise UserError(
            f"Run {flow}/{run_id} has no stored code: it was started from a notebook. Continue it with the flow's file: "
            f"python FLOW.py resume --origin-run-id {run_id}"
        )
    enter(record.facts.get("compat") or active())
    directory = fetch_package(store, flow, record.code, tempfile.mkdtemp(prefix="rayflow-code-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return load_flow(f"{os.path.join(directory, record.script)}:{flow}"), record.code


def _split(argument: str) -> tuple[str, str]:
    path, colon, class_name = argument.rpartition(":")
    return (path, class_name) if colon and not class_name.endswith(".py") else (argument, "")


def _near_files(path: str) -> str:
    try:
        return nearest(os.path.basename(path), [name for name in os.listdir(os.path.dirname(path) or ".") if name.endswith(".py")])
    except OSError:
        return ""


def _imported(argument: str, load: Any) -> ModuleType:
    try:
        return load()
    except RayflowException:
        raise
    except Exception as error:  # importing a flow runs its user's code
        hint = _COMPAT_HINT if isinstance(error, ImportError) and error.name == "metaflow" else ""
        raise UserError(f"{argument} could not be imported. {_told(error)}{hint}") from error


def _told(error: Exception) -> str:
    """The exception and the innermost line outside rayflow and importlib: that is the user's."""
    import traceback

    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith((ours, "<frozen"))]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def _bases(module: ModuleType) -> set[type]:
    return {base for value in vars(module).values() if isinstance(value, type) for base in value.__mro__}


def _flow_class(module: ModuleType, argument: str, class_name: str) -> type[FlowSpec]:
    flows: dict[str, type[FlowSpec]] = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, FlowSpec) and value.__module__ == module.__name__
    }
    if class_name:
        if class_name not in flows:
            raise UsageError(f"{argument.rpartition(':')[0]} has no flow named {class_name!r}.{nearest(class_name, flows)}")
        return flows[class_name]
    bases = {base for flow in flows.values() for base in flow.__mro__[1:]}
    leaves = [flow for flow in flows.values() if flow not in bases]
    if not leaves:
        hint = _COMPAT_HINT if any(base.__module__ == "metaflow.flowspec" for base in _bases(module)) else ""
        raise UsageError(f"{argument} defines no flow: a class that derives from FlowSpec.{hint}")
    if len(leaves) > 1:
        names = listed(flow.__name__ for flow in leaves)
        raise UsageError(f"{argument} defines several flows: {names}. Name one: {argument}:{leaves[0].__name__}")
    return leaves[0]
