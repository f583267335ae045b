"""Importing the user's flow file, in whatever process performs its steps."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rayflow.flow.flowspec import FlowSpec
from rayflow.model.errors import UserError
from rayflow.runtime.cells import put_back
from rayflow.runtime.compat import enter
from rayflow.runtime.shared import FlowSource

_inline: dict[FlowSource, type[FlowSpec]] = {}
_loaded: dict[FlowSource, type[FlowSpec]] = {}
_imports_under_way: list[str] = []


def is_loading() -> bool:
    """Whether a flow file is being imported by a worker: `MyFlow()` at its end must then not run the command line."""
    return bool(_imports_under_way)


def register_inline(source: FlowSource, flow_class: type[FlowSpec]) -> None:
    """In this process, `source` means this very class: inline runs do not import the file a second time."""
    _inline[source] = flow_class


def load_flow(source: FlowSource, fetch_package: Callable[[str], str]) -> type[FlowSpec]:
    """The flow class. `fetch_package(code digest)` extracts the run's code package and returns the flow file's directory.
    This process is then in the mode of the flow (see `compat`)."""
    enter(source.compat)
    known = _inline.get(source) or _loaded.get(source)
    if known is None:
        known = _loaded[source] = _import(source, fetch_package)
    return known


def _import(source: FlowSource, fetch_package: Callable[[str], str]) -> type[FlowSpec]:
    if source.pickled is not None:
        _prepend(source.sys_path)
        flow_class = pickle.loads(source.pickled)
        put_back(flow_class, source.cells)
        return flow_class
    path, search = source.path, source.sys_path
    if source.code is not None and not _is_as_packed(source):
        directory = fetch_package(source.code)
        path = f"{directory}/{path.rpartition('/')[2]}"
        search = (directory, *search)
    _prepend(search)
    module = import_file(path, source.module)
    try:
        found: Any = module
        for part in source.class_name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise UserError(f"{path} has no flow class {source.class_name!r} any more. It must be defined at the top of the module.") from None
    return found


def _is_as_packed(source: FlowSource) -> bool:
    return file_digest(source.path) == source.digest and (source.files is None or source.files.are_unchanged)


def import_file(path: str, name: str) -> ModuleType:
    """The module at `path`, imported as `name` (which classes that it defines are pickled under)."""
    present = sys.modules.get(name)
    if present is not None and getattr(present, "__file__", None) == path:
        return present
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be imported: it is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _imports_under_way.append(path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        _imports_under_way.pop()
    return module


def module_name_of(path: str) -> str:
    """The name under which workers import the file: its stem, unless that is another module's already."""
    stem = path.rpartition("/")[2].removesuffix(".py")
    if not stem.isidentifier():
        return "rayflow_flow_" + "".join(letter if letter.isalnum() else "_" for letter in stem)
    if stem in sys.stdlib_module_names:
        return f"rayflow_flow_{stem}"
    return stem


def file_digest(path: str) -> str:
    """Hex BLAKE3 of the file; empty where it cannot be read."""
    from blake3 import blake3

    try:
        with open(path, "rb") as file:
            return blake3(file.read()).hexdigest()
    except OSError:
        return ""


def _prepend(search: tuple[str, ...]) -> None:
    for directory in reversed(search):
        if directory not in sys.path:
            sys.path.insert(0, directory)
