"""Where the modules are that a package is to hold besides the flow's directory."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder

from rayflow.model.errors import UsageError

_SAID = "The modules of the code package"


@dataclass(frozen=True, slots=True)
class Source:
    """A file or a directory on disk, and what it is called within the package: empty for the flow's own directory."""

    path: str
    name: str = ""


def sources_of(module: str) -> list[Source]:
    """The files and directories of a module that `import` would find, and what makes its parents packages; nothing is imported. UsageError
    where there is none of that name, or where it belongs to an installation."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"{_SAID}: {module!r} is no name of a module. Give what stands after `import`, such as company.common.")
    found: list[Source] = []
    spec = _checked(_top_level(parts[0]), module)
    for depth in range(1, len(parts)):
        if spec.has_location and spec.origin:  # the __init__.py of a parent; namespace packages have none
            found.append(Source(spec.origin, f"{'/'.join(parts[:depth])}/{os.path.basename(spec.origin)}"))
        spec = _checked(PathFinder.find_spec(".".join(parts[: depth + 1]), spec.submodule_search_locations or []), module)
    return [*found, *_own(spec, "/".join(parts))]


def _own(spec: ModuleSpec, name: str) -> Iterator[Source]:
    if spec.submodule_search_locations is not None:
        for directory in spec.submodule_search_locations:
            yield Source(os.path.abspath(directory), name)
    elif spec.origin is not None:
        yield Source(os.path.abspath(spec.origin), f"{name}{os.path.splitext(spec.origin)[1]}")


def _top_level(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # a module that was made by hand
        return None


def _checked(spec: ModuleSpec | None, module: str) -> ModuleSpec:
    if spec is None:
        raise UsageError(f"{_SAID}: there is no module {module!r}. Its directory must be on the path, as for `import {module}`.")
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location and spec.origin else [])]
    if not places:
        raise UsageError(f"{_SAID}: {module!r} is part of Python, and need not travel.")
    installed = tuple(os.path.realpath(sysconfig.get_path(kind)) + os.sep for kind in ("purelib", "platlib", "stdlib"))
    if any(os.path.realpath(place).startswith(installed) for place in places):
        raise UsageError(f"{_SAID}: {module!r} is installed ({places[0]}). Name modules of your own; install others where tasks run.")
    return spec
