"""The programs that make environments: where they are, how they are called, and what they say when they fail."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayflow.model.errors import InvalidEnvironmentException

_SECRET = re.compile(r"(://)[^/@\s]+@")
_SAID = 30
"""How many lines of what a program said are told."""


@dataclass(frozen=True)
class Calling:
    """How tools are called: with which environment, where, and which files (a lock) they hold open for their caller."""

    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str = ""
    held: tuple[int, ...] = ()

    def run(self, command: Sequence[str], what: str) -> str:
        """What the program wrote on stdout. InvalidEnvironmentException, which begins with `what`, where it failed."""
        done = subprocess.run(
            command,
            env=dict(self.environ),
            cwd=self.cwd or None,
            pass_fds=self.held,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise InvalidEnvironmentException(f"{what}:\n{told(done.stderr or done.stdout)}")
        return done.stdout


def told(text: str) -> str:
    """The end of what a tool said, without passwords in addresses."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return _SECRET.sub(r"\1***@", "\n".join(lines[-_SAID:])) or "(it said nothing)"


def find_uv(environ: Mapping[str, str]) -> str:
    """The program uv: beside this Python, as the package that it came with says, or on the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    if os.access(beside, os.X_OK):
        return beside
    with contextlib.suppress(ImportError, FileNotFoundError, AttributeError):
        import uv  # pyright: ignore[reportMissingImports]

        return os.fspath(uv.find_uv_bin())  # pyright: ignore
    found = shutil.which("uv", path=environ.get("PATH") or os.defpath)
    if found is None:
        raise InvalidEnvironmentException("Environments of steps are made by uv, which is not installed here: `pip install uv`.")
    return found


def uv_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What uv is given: the launcher's environment without the environment that the launcher is in, pip's indexes where uv has none of its
    own, and the machine's certificates, which pip uses too."""
    given = {name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME")}
    given.pop("PYTHONDONTWRITEBYTECODE", None)  # what is made is to be compiled
    given.setdefault("UV_SYSTEM_CERTS", "true")
    given.setdefault("UV_NATIVE_TLS", "true")  # its older name
    given["UV_NO_PROGRESS"] = given["NO_COLOR"] = "1"
    if not any(name in environ for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")):
        for name, option in (("UV_INDEX_URL", "index-url"), ("UV_EXTRA_INDEX_URL", "extra-index-url")):
            addresses = [each for each in _pip_option(environ, option).split() if "://" in each and _is_there(each)]
            if addresses:
                given[name] = " ".join(addresses)
                given.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # pip's: all indexes are equal
    return given


def _is_there(address: str) -> bool:
    """pip passes over directories that are not there; uv refuses them."""
    return not address.startswith("file://") or os.path.isdir(address.removeprefix("file://"))


def _pip_option(environ: Mapping[str, str], option: str) -> str:
    """What pip's variables, else its files, say of an option; empty where nothing does."""
    stated = environ.get(f"PIP_{option.upper().replace('-', '_')}")
    if stated is not None:
        return stated
    home = environ.get("HOME", "")
    user = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    files = [os.path.join(base, "pip", "pip.conf") for base in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    files += ["/etc/pip.conf", os.path.join(home, ".pip", "pip.conf"), os.path.join(user, "pip", "pip.conf")]
    files += [os.path.join(sys.prefix, "pip.conf"), environ.get("PIP_CONFIG_FILE", "")]
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        parser.read([file for file in files if file and file != os.devnull])
    for section in ("install", "global"):
        if parser.has_option(section, option):
            return parser.get(section, option)
    return ""
