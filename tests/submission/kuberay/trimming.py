"""Makes `rayflow/submission/kuberay/schemas/crds.json` of KubeRay's CRDs: `python -m tests.submission.kuberay.trimming FILE.json...`

The CRDs are those of KubeRay's `helm-chart/kuberay-operator/crds`, as JSON. What the API server does with a structural schema is spelled
out as JSON Schema: a field that is not told is refused (the server would drop it without a word), numbers have their bounds, quantities are
numbers or texts, and metadata is that of every object. The parts that occur more than once, such as a pod's, are kept once.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[3] / "rayflow/submission/kuberay/schemas/crds.json"
_KEPT = ("type", "enum", "minimum", "minItems", "minLength", "maxLength", "pattern", "required")
_BOUNDS = {"int32": 2**31, "int64": 2**63}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECT_META = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "finalizers": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The structural schema as a JSON Schema that refuses what the API server would drop."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"], **({"pattern": schema["pattern"]} if "pattern" in schema else {})}
    result: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("nullable"):
        result["type"] = [schema["type"], "null"]
    bound = _BOUNDS.get(schema.get("format", ""))
    if bound is not None:
        result = {"minimum": -bound, "maximum": bound - 1, **result}
    if "items" in schema:
        result["items"] = strict(schema["items"])
    if "properties" in schema:
        result["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = strict(schema["additionalProperties"])
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    return result


def of_crd(crd: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind, and the strict schema of its stored version, without status: that is the operator's."""
    (version,) = (each for each in crd["spec"]["versions"] if each["storage"])
    top = version["schema"]["openAPIV3Schema"]
    result = strict({**top, "properties": {name: each for name, each in top["properties"].items() if name != "status"}})
    result["properties"]["metadata"] = _OBJECT_META
    kind = crd["spec"]["names"]["kind"]
    result["properties"] |= {"kind": {"enum": [kind]}, "apiVersion": {"enum": [f"{crd['spec']['group']}/{version['name']}"]}}
    return kind, {**result, "required": ["apiVersion", "kind", "metadata", "spec"]}


def shared(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schemas of the kinds in one, under $defs, with each part of some size that occurs more than once kept once."""
    counts = Counter(text for schema in kinds.values() for text in _texts(schema))
    names = {
        text: f"p{number}" for number, text in enumerate(sorted(text for text, count in counts.items() if count > 1 and len(text) > 120))
    }

    def short(schema: dict[str, Any], is_top: bool = False) -> dict[str, Any]:
        name = None if is_top else names.get(_text(schema))
        return {"$ref": f"#/$defs/{name}"} if name else _mapped(schema, short)

    parts = {name: short(json.loads(text), is_top=True) for text, name in names.items()}
    return {"$defs": {**{kind: short(schema, is_top=True) for kind, schema in kinds.items()}, **parts}}


def _mapped(schema: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The schema with each schema directly in it changed."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: change(each) for name, each in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = change(schema[key])
    return result


def _texts(schema: dict[str, Any]) -> list[str]:
    texts = [_text(schema)]

    def add(each: dict[str, Any]) -> dict[str, Any]:
        texts.extend(_texts(each))
        return each

    _mapped(schema, add)
    return texts


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


def main(files: list[str]) -> None:
    kinds = dict(of_crd(json.loads(Path(file).read_text())) for file in files)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(shared(kinds), sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
