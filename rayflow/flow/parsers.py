"""Parsers for Configs whose files are not JSON. Each takes the text and returns a mapping; ValueError says what cannot be read."""

from __future__ import annotations

import re
from typing import Any

_CONDA = re.compile(r"\s*(?P<name>[A-Za-z0-9_.\-]+)\s*(?P<version>[=<>!~].*)?$")


def yaml_parser(content: str) -> Any:
    """YAML, of plain values only."""
    import yaml

    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from error


def requirements_txt_parser(content: str) -> dict[str, Any]:
    """`{"packages": {name: version}, "python": None}` of a requirements file, as `@pypi` takes them."""
    lines = (line.split(" #")[0].strip() for line in content.splitlines())
    return {"packages": _packages([line for line in lines if line and not line.startswith("#")]), "python": None}


def pyproject_toml_parser(content: str) -> dict[str, Any]:
    """`{"packages": {name: version}, "python": version}` of the `[project]` table of a pyproject.toml."""
    try:
        import tomllib  # pyright: ignore[reportMissingImports]
    except ImportError:  # Python 3.10
        import tomli as tomllib  # pyright: ignore[reportMissingImports]

    project = tomllib.loads(content).get("project")
    if not project:
        raise ValueError("it has no table [project]")
    return {"packages": _packages(project.get("dependencies", [])), "python": project.get("requires-python")}


def conda_environment_yml_parser(content: str) -> dict[str, Any]:
    """`{"packages": {name: version}, "python": version}` of the `dependencies` of a conda environment.yml. Sections are refused."""
    packages: dict[str, str] = {}
    for entry in (yaml_parser(content) or {}).get("dependencies", []):
        found = _CONDA.match(entry.split("::")[-1]) if isinstance(entry, str) else None
        if found is None:
            raise ValueError(f"{entry!r} is no plain package, and nothing else is read")
        packages[found["name"]] = (found["version"] or "").strip().lstrip(" =")
    return {"python": packages.pop("python", None), "packages": packages}


def _packages(requirements: list[str]) -> dict[str, str]:
    from packaging.requirements import InvalidRequirement, Requirement

    packages: dict[str, str] = {}
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"{text!r} is no requirement of the form name==version") from error
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        packages[requirement.name + extras] = str(requirement.specifier).lstrip(" =")
    return packages
