"""The schema of KubeRay's objects (v1): what the API server checks, and the fields that it would drop without a word.

`schemas/crds.json` is made of the operator's CRDs by `python -m tests.submission.kuberay.trimming`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

KINDS = ("RayJob", "RayCronJob", "RayCluster")


def schema_faults(manifest: Mapping[str, Any]) -> list[str]:
    """What the schema of its kind says against the manifest, each with its place; [] where nothing."""
    kind = manifest.get("kind")
    if kind not in KINDS:
        return [f"kind: {kind!r} is none of {', '.join(KINDS)}"]
    found = sorted(_validator(str(kind)).iter_errors(dict(manifest)), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{_place(error.absolute_path)}: {_told(error)}" for error in found]


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    whole = json.loads((files("rayflow.submission.kuberay") / "schemas" / "crds.json").read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", **whole})


def _place(path: Any) -> str:
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return place.lstrip(".") or "the manifest"


def _told(error: Any) -> str:
    """The library's words, which quote the whole value: without it where that is long."""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        return f"there is no field {', '.join(repr(name) for name in error.instance if name not in known)}"
    shown = repr(error.instance)
    return error.message if len(shown) <= 80 else error.message.replace(shown, f"{shown[:60]}...")
