"""`@pypi`, `@conda`, `@uv` and what they inherit of `@pypi_base`, `@conda_base`, `@uv_base`: of which packages a step's Python is made.

The decorators say nothing by themselves: `with_environments` turns them into the `StepSpec.python` of a run that has `--environment`. A
step has what its own decorators say, and of the flow's what they do not say. Where conda has a part in it, conda makes the environment, and
what is of PyPI is added there. Steps for which nobody says anything have the launcher's own Python (Metaflow makes an empty environment for
them), but for `--environment uv`, where the project beside the flow is the base of all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rayflow.flow.decorators import DecoratorKind, register
from rayflow.model.errors import InvalidDecoratorAttribute
from rayflow.model.graph import Node
from rayflow.model.spec import Maker, Packages, PythonEnvironment, StepDecorator, StepSpec

if TYPE_CHECKING:
    from rayflow.flow.definition import FlowDefinition

MAKERS = tuple(maker.value for maker in Maker)
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    Maker.PYPI: {"packages": {}, "python": None, "disabled": None},
    Maker.CONDA: {"packages": {}, "libraries": {}, "python": None, "channels": None, "disabled": None},
    Maker.UV: {"packages": {}, "python": None, "disabled": None},
}
"""The attributes of each decorator, on a step and on a flow."""

_PYTHON = re.compile(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?")
_CONDA_NAME = re.compile(r"([A-Za-z0-9_.\-/]+::)?[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_CONDA_VERSION = re.compile(r"[A-Za-z0-9_.*+!=<>~|,\- ]*")
_PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!\-]*(\.\*)?")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_CHANNEL = re.compile(r"[A-Za-z0-9_.\-/:]+")


def with_environments(definition: FlowDefinition, mode: str, project: str = "") -> FlowDefinition:
    """The definition whose steps have the environments that their decorators ask for; none in the mode `local`. `project` is the digest of
    the uv.lock beside the flow, which is the base of all steps in the mode `uv`."""
    if mode == "local":
        return definition
    bases = {decorator.name: decorator.attributes for decorator in definition.decorators if decorator.name.removesuffix("_base") in MAKERS}
    specs = {step: replace(spec, python=_environment(spec, bases, project)) for step, spec in definition.specs.items()}
    return replace(definition, specs=specs)


def declaring_steps(definition: FlowDefinition) -> list[str]:
    """The steps that ask for an environment, in the mode which heeds that."""
    return [step for step, spec in with_environments(definition, Maker.PYPI.value).specs.items() if spec.python is not None]


def _environment(spec: StepSpec, bases: Mapping[str, Mapping[str, Any]], project: str) -> PythonEnvironment | None:
    own = {decorator.name: decorator.attributes for decorator in spec.decorators if decorator.name in MAKERS}
    asked = {maker: _merged(maker, own, bases) for maker in Maker if maker in own or f"{maker.value}_base" in bases}
    if project and Maker.UV not in asked:
        asked[Maker.UV] = DEFAULTS[Maker.UV]
    asked = {maker: attributes for maker, attributes in asked.items() if not attributes["disabled"]}
    if not asked:
        return None
    python = next((attributes["python"] for attributes in asked.values() if attributes["python"]), None)
    packages = {maker: _packages(attributes) for maker, attributes in asked.items()}
    pypi = {**packages.get(Maker.PYPI, {}), **packages.get(Maker.UV, {})}
    if Maker.CONDA in asked:
        channels = tuple(asked[Maker.CONDA]["channels"] or ())
        return PythonEnvironment(Maker.CONDA, _listed(packages[Maker.CONDA]), _listed(pypi), python, channels)
    if Maker.UV in asked:
        return PythonEnvironment(Maker.UV, _listed(pypi), python=python, project=project)
    return PythonEnvironment(Maker.PYPI, _listed(pypi), python=python)


def _merged(maker: Maker, own: Mapping[str, Mapping[str, Any]], bases: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What a step says, and its flow where the step says nothing; package by package."""
    base, step = bases.get(f"{maker.value}_base", DEFAULTS[maker]), own.get(maker, DEFAULTS[maker])
    stated = {name: value for name, value in step.items() if value is not None}
    return {**base, **stated, "libraries": {}, "packages": {**_packages(base), **_packages(step)}}


def _listed(packages: Mapping[str, tuple[str, str]]) -> Packages:
    return tuple(sorted(packages.values()))


def _packages(attributes: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name and version, by what all spellings of the name have in common. Of both words that @conda has for them, the newer one wins."""
    given = {**(attributes.get("libraries") or {}), **(attributes["packages"] or {})}
    pairs = [pair if isinstance(pair, tuple) else (name, pair) for name, pair in given.items()]
    return {_key(name): (name.strip(), str(version or "").strip()) for name, version in pairs}


def _key(name: str) -> str:
    """What two spellings of a package's name have in common."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].rpartition("::")[2]).lower()


def requirement(name: str, version: str) -> str:
    """The package as a requirements file names it: a bare version is that very one. ValueError for what is none."""
    from packaging.requirements import InvalidRequirement, Requirement

    if _PASSWORD.search(version):
        raise ValueError("an address with a password, which would be recorded; give it to git or to the index instead")
    between = " " if version.startswith("@") else "==" if _PLAIN.fullmatch(version) else ""
    text = f"{name}{between}{version}"
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(str(error).splitlines()[0]) from error
    if "\n" in text or found.marker is not None or found.name != name.partition("[")[0].strip():
        raise ValueError("a name and a version are all that it can be")
    return text


def conda_spec(name: str, version: str) -> str:
    """The package as conda is asked for it. ValueError for what is none."""
    if not _CONDA_NAME.fullmatch(name) or not _CONDA_VERSION.fullmatch(version):
        raise ValueError("neither a name nor a version has such letters")
    return f"{name}=={version}" if version and _PLAIN.fullmatch(version) and "*" not in version else f"{name}{_joined(version)}"


def _joined(version: str) -> str:
    """`1.2.*` -> `=1.2.*`: a pattern is no comparison by itself."""
    return f"={version}" if version[:1].isalnum() else version.replace(" ", "")


# -- what the values may be --------------------------------------------------------------------------------------------


def check_attributes(maker: Maker, where: str, attributes: Mapping[str, Any]) -> None:
    """InvalidDecoratorAttribute, which says `where`, for values that no environment can be made of."""
    for word in ("packages", "libraries"):
        given = attributes.get(word)
        if given is not None and not (isinstance(given, Mapping) and all(isinstance(name, str) for name in given)):
            raise InvalidDecoratorAttribute(f"{where} has {word}={given!r}. Give names and versions, such as {word}={{'six': '1.16.0'}}.")
        for name, version in (given or {}).items():
            _check_package(maker, where, name, version)
    python = attributes["python"]
    if python is not None and not (isinstance(python, str) and _PYTHON.fullmatch(python)):
        raise InvalidDecoratorAttribute(f"{where} has python={python!r}. Give a version as a text, such as python='3.11'.")
    channels = attributes.get("channels")
    is_listed = isinstance(channels, Sequence) and not isinstance(channels, str)
    if channels is not None and not (is_listed and all(isinstance(each, str) and _CHANNEL.fullmatch(each) for each in channels)):
        raise InvalidDecoratorAttribute(f"{where} has channels={channels!r}. Give a list, such as channels=['conda-forge'].")


def _check_package(maker: Maker, where: str, name: str, version: Any) -> None:
    if version is not None and not isinstance(version, str):
        raise InvalidDecoratorAttribute(f"{where} has the version {version!r} of {name!r}. Give it as a text: '{version}'.")
    try:
        (conda_spec if maker is Maker.CONDA else requirement)(name.strip(), (version or "").strip())
    except ValueError as error:
        raise InvalidDecoratorAttribute(
            f"{where} has {name!r}: {version!r}, which is no package: {error}. Give a name and a version, such as "
            "'six': '1.16.0', 'six': '>=1.15,<2', or 'six': '' for any."
        ) from error


def _compile(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    """Checks the values; what they mean depends on the run, see `with_environments`."""
    where = f"step '{node.name}' ({node.file}:{node.line})"
    check_attributes(Maker(decorator.name), f"@{decorator.name} on {where}", decorator.attributes)
    return spec


def check_base(maker: Maker, attributes: Mapping[str, Any]) -> None:
    """What a flow's decorator checks: as above, without a step."""
    check_attributes(maker, f"@{maker.value}_base", attributes)


pypi = register(DecoratorKind("pypi", DEFAULTS[Maker.PYPI], _compile))
"""The step's Python has these `packages` of PyPI, by name and version, and is of the version `python`, in a run with `--environment`."""

conda = register(DecoratorKind("conda", DEFAULTS[Maker.CONDA], _compile))
"""The same with packages of conda's `channels` (conda-forge); `libraries` is another word for `packages`."""

uv = register(DecoratorKind("uv", DEFAULTS[Maker.UV], _compile))
"""The same as `@pypi`; in a run with `--environment uv` the packages are added to those of the uv.lock beside the flow."""
