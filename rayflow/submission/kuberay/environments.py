"""The Ray runtime environment of a job: what is installed when it starts, and what the user says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import yaml

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.secrecy import checked_variables, refuse_secret

_INSTALLERS = ("pip", "uv")
_KNOWN = (*_INSTALLERS, "conda", "env_vars", "working_dir", "py_modules", "config", "excludes")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]+\])?\s*([=<>!~]=?=?\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*")


def environment_yaml(said: Mapping[str, Any], installed: tuple[str, ...]) -> str:
    """The environment as a RayJob has it, in YAML: what is said, with `installed` beside the packages in it; "" where there is nothing.
    UserError for what cannot be in a manifest."""
    environment = dict(said)
    installer = next((name for name in _INSTALLERS if name in environment), "pip")
    if installed and "conda" in environment:
        raise UserError(
            "The runtime environment is conda's, into which rayflow is not installed beside. Put it there, and say --image of Ray's own "
            "image, so that nothing is installed."
        )
    if installed:
        environment[installer] = _with_packages(installer, environment.get(installer, []), installed)
    return yaml.dump(environment, sort_keys=False) if environment else ""


def check_environment(said: Mapping[str, Any]) -> None:
    """UserError for a runtime environment that is none, that lies on this machine, or that tells a secret."""
    for key in said:
        if key not in _KNOWN:
            raise UserError(f"The runtime environment has {key!r}, which no job on Kubernetes can have. It takes {', '.join(_KNOWN)}.")
    variables = said.get("env_vars", {})
    if not isinstance(variables, Mapping) or not all(isinstance(text, str) for text in [*variables, *variables.values()]):
        raise UserError("The runtime environment's env_vars are no mapping of texts to texts. Write each value in quotes.")
    checked_variables("The runtime environment", cast(Mapping[str, str], variables))
    modules = said.get("py_modules", [])
    for place in [said.get("working_dir", "s3://"), *(cast(list[Any], modules) if isinstance(modules, list) else [modules])]:
        if not isinstance(place, str) or "://" not in place or place.startswith("file:"):
            raise UserError(
                f"The runtime environment names {place!r}, which is on this machine. Give the URL of a zip archive that the pods reach."
            )
    for installer in _INSTALLERS:
        if installer in said:
            _with_packages(installer, said[installer], ())
    refuse_secret("The runtime environment", yaml.dump(dict(said)))


def checked_requirements(what: str, requirements: tuple[str, ...]) -> tuple[str, ...]:
    """`requirements`, when each is one of a package; else UserError."""
    for requirement in requirements:
        refuse_secret(what, requirement)
        if not _REQUIREMENT.fullmatch(requirement.strip()):
            raise UserError(f"{what} {requirement!r} is no requirement of a package. Write it as name==1.2 or name[extra]>=1.")
    return requirements


def _with_packages(installer: str, said: object, installed: tuple[str, ...]) -> Any:
    """What is said of an installer, in the form that it has, with these packages at its end."""
    if isinstance(said, list):
        return [*cast(list[Any], said), *installed]
    if isinstance(said, Mapping) and isinstance(said.get("packages"), list):
        known = cast(Mapping[str, Any], said)
        return {**known, "packages": [*known["packages"], *installed]}
    raise UserError(
        f"The runtime environment's {installer} is {said!r}: files of requirements do not travel. "
        "Give a list of them, or a mapping with 'packages'."
    )
