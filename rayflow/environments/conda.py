"""Conda's part of an environment, by micromamba or conda: solved once into an explicit list of addresses, made of that list ever after.

Solving means making the environment in a scratch directory and asking what it holds: no two of the programs agree in what they say of a
solution that they have not carried out. What is downloaded for it stays in their cache, so that making it again is linking.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from rayflow.environments.tools import Calling, find_uv, uv_environ
from rayflow.flow.packages import conda_spec
from rayflow.model.errors import InvalidEnvironmentException
from rayflow.model.spec import PythonEnvironment

_PROGRAMS = ("micromamba", "conda")
_CHANNELS = ("conda-forge",)


@dataclass(frozen=True)
class Solved:
    """What conda makes of a declaration: the addresses of its packages, for which platform they are, and the versions of those that are
    Python packages, as pip knows them."""

    addresses: tuple[str, ...]
    platform: str
    pins: list[str]


def find_conda(environ: Mapping[str, str]) -> str:
    """The program. InvalidEnvironmentException where there is none."""
    for name in _PROGRAMS:
        found = shutil.which(name, path=environ.get("PATH") or os.defpath)
        if found is not None:
            return found
    raise InvalidEnvironmentException(
        "@conda needs micromamba (or conda) on the PATH, and there is neither. Install micromamba (one file: "
        "https://mamba.readthedocs.io), or use @pypi, which needs nothing else."
    )


def conda_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What the programs are given: no environment that the launcher is in."""
    return {name: value for name, value in environ.items() if name not in ("CONDA_PREFIX", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}


@contextlib.contextmanager
def solved(wanted: PythonEnvironment, python: str, whose: str, environ: Mapping[str, str]) -> Generator[Solved]:
    """Solves what is declared. InvalidEnvironmentException, which says `whose` it is, where that cannot be done."""
    program, calling = find_conda(environ), Calling(conda_environ(environ))
    channels = wanted.channels or tuple(environ.get("CONDA_CHANNELS", "").replace(",", " ").split()) or _CHANNELS
    specs = [f"python={python}.*" if python.count(".") == 1 else f"python={python}"]
    specs += [conda_spec(name, version) for name, version in wanted.packages]
    with tempfile.TemporaryDirectory(prefix="rayflow-conda-") as scratch:
        prefix = os.path.join(scratch, "made")
        command = [program, "create", "--yes", "--quiet", "--prefix", prefix, "--override-channels"]
        command += [word for channel in channels for word in ("--channel", channel)]
        calling.run([*command, *specs], f"The environment of {whose} cannot be solved by conda ({', '.join(specs)})")
        addresses = tuple(_addresses(program, prefix, whose, calling))
        frozen = Calling(uv_environ(environ)).run(
            [find_uv(environ), "pip", "freeze", "--python", python_in(prefix), "--quiet"], f"The environment of {whose} cannot be listed"
        )
        yield Solved(addresses, _platform(addresses), [line for line in frozen.splitlines() if "==" in line and "@" not in line])


def create(prefix: str, addresses: tuple[str, ...], environ: Mapping[str, str], held: tuple[int, ...]) -> None:
    """Makes the environment that is locked to these addresses."""
    with tempfile.TemporaryDirectory(prefix="rayflow-conda-") as scratch:
        path = os.path.join(scratch, "explicit.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(["@EXPLICIT", *addresses, ""]))
        command = [find_conda(environ), "create", "--yes", "--quiet", "--prefix", prefix, "--file", path]
        Calling(conda_environ(environ), held=held).run(command, "Conda could not make an environment from its lock")


def python_in(prefix: str) -> str:
    return os.path.join(prefix, "bin", "python")


def _addresses(program: str, prefix: str, whose: str, calling: Calling) -> list[str]:
    is_micromamba = os.path.basename(program) == "micromamba"
    asking = ["env", "export", "--explicit"] if is_micromamba else ["list", "--explicit", "--md5"]
    said = calling.run([program, *asking, "--prefix", prefix], f"The environment of {whose} cannot be listed by conda")
    found = [line.strip() for line in said.splitlines() if "://" in line and not line.startswith("#")]
    if not found:
        raise InvalidEnvironmentException(f"The environment of {whose} cannot be locked: conda names no addresses of what it installed.")
    return found


def _platform(addresses: tuple[str, ...]) -> str:
    """`linux-64`: what stands before a file that is not for all platforms."""
    return next((part for address in addresses if (part := address.split("/")[-2]) != "noarch"), "noarch")
