"""Which code a run runs: the package that is made of the files at hand, or the one that the driver itself runs from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.flow.definition import FlowDefinition
from rayflow.model.ports import Store
from rayflow.package.gathering import PackedFiles, Wanted, build_package
from rayflow.package.stored import store_package, stored_package
from rayflow.runtime.notices import Reporter, Warned
from rayflow.runtime.settings import Settings


@dataclass(frozen=True)
class Code:
    """`digest` is the package's, None for a flow without a file. `files` are what it was made of, where it was made here; `asked` is what
    the run's record says of what was asked for."""

    digest: str | None = None
    files: PackedFiles | None = None
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])


def wanted_by(definition: FlowDefinition, suffixes: Iterable[str], modules: Iterable[str]) -> Wanted:
    """What the package of the flow is to hold: what its decorators ask for, and besides that these."""
    suffixes, modules = set(suffixes), set(modules)
    for decorator in definition.decorators:
        if decorator.name == "package_suffixes":
            suffixes.update(decorator.attributes["suffixes"])
        elif decorator.name == "package_modules":
            modules.update(decorator.attributes["modules"])
    return Wanted(definition.script_path, tuple(sorted(suffixes)), tuple(sorted(modules)))


def code_of(definition: FlowDefinition, settings: Settings, store: Store, reporter: Reporter) -> Code:
    """The code of a run with these settings; its package is under the root then. UserError for what cannot be packed."""
    if settings.code is not None:
        return Code(stored_package(store, definition.name, settings.code))
    if not definition.script_path or not os.path.isfile(definition.script_path):
        return Code()
    wanted = wanted_by(definition, settings.package_suffixes, settings.package_modules)
    package = build_package(wanted)
    for remark in package.remarks:
        reporter.tell(Warned(remark))
    asked = {"suffixes": list(wanted.suffixes), "modules": list(wanted.modules)}
    digest = store_package(store, definition.name, package.content)
    return Code(digest, package.files, {name: names for name, names in asked.items() if names})
