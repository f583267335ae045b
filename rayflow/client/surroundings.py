"""What is recorded about where the tasks of a step run: the launcher's machine, and the environment that the step has."""

from __future__ import annotations

from typing import Any

from rayflow.client.roots import RunHandle
from rayflow.environments.lock import parse_lock
from rayflow.model.layout import FlowLayout

_FACT = "environments"


def environment_info(handle: RunHandle, step: str) -> dict[str, Any]:
    """The facts about the launcher; of a step that has an environment of its own also its `type` ("pypi", "conda", "uv"), the version of
    `python`, all `packages` that were installed there by name and version, and `lock`, the path or URL of the requirements file that says
    so. StoreMissing, StoreCorrupt where that file is gone, or damaged."""
    record, store = handle.record, handle.store
    facts = {name: value for name, value in record.facts.items() if name != _FACT}
    digest = record.locks.get(step)
    if digest is None:
        return facts
    key = FlowLayout(record.flow).environment(digest)
    lock = parse_lock(store.read(key), digest, key)
    return {
        **facts,
        "type": record.facts[_FACT]["steps"][step]["type"],
        "python": lock.python,
        "packages": lock.packages,
        "lock": store.local_path(key) or f"{store.url}/{key}",
    }
