"""From a lock to a Python on this machine: made once, and whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from rayflow.environments import conda
from rayflow.environments.lock import Lock
from rayflow.environments.locking import is_ours, unwritable
from rayflow.environments.tools import Calling, find_uv, uv_environ

_MARK = "whole.json"
_CHECK = "import platform, pyarrow, ray, rayflow.runtime.worker; print(platform.python_version())"
"""What a worker imports: so it is known to work, and compiled. Compiling all that is installed took five times as long."""


@dataclass(frozen=True)
class Builder:
    """Makes environments below `directory`. `environ` is what the programs are given that do it."""

    directory: str
    environ: Mapping[str, str]

    def has(self, lock: Lock) -> bool:
        """Whether the environment is there."""
        return _is_whole(os.path.join(self.directory, self._key(lock)))

    def python_of(self, lock: Lock, whose: str) -> str:
        """The path of the Python that has what is locked, made where it is not there yet. InvalidEnvironmentException, which says `whose`
        it is, where it cannot be made."""
        prefix = os.path.join(self.directory, self._key(lock))
        if not _is_whole(prefix):
            with self._alone(prefix) as held:
                if not _is_whole(prefix):
                    self._make(prefix, lock, whose, held)
        with contextlib.suppress(OSError):
            os.utime(os.path.join(prefix, _MARK))  # when it was last used
        return conda.python_in(prefix)

    def _key(self, lock: Lock) -> str:
        """Of all that the environment depends on: another rayflow, or another Python to begin with, makes another."""
        place, contents = rayflow_source()
        said = [lock.digest, os.path.realpath(sys.base_prefix), platform.python_version(), platform.machine(), place, contents]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]

    @contextlib.contextmanager
    def _alone(self, prefix: str) -> Generator[int]:
        """Waits until no other process makes this environment; what makes it inherits the file that says so."""
        try:
            os.makedirs(self.directory, exist_ok=True)
            descriptor = os.open(f"{prefix}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(self.directory, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _make(self, prefix: str, lock: Lock, whose: str, held: int) -> None:
        shutil.rmtree(prefix, ignore_errors=True)  # what a process that was killed left
        uv, calling = find_uv(self.environ), Calling(uv_environ(self.environ), self.directory, (held,))
        python = conda.python_in(prefix)
        try:
            if lock.conda:
                conda.create(prefix, lock.conda, self.environ, (held,))
            else:
                base = sys.executable if is_ours(lock.python) else lock.python
                calling.run([uv, "venv", "--quiet", "--no-project", "--python", base, prefix], _lacks_python(whose, lock))
            requirements = os.path.join(prefix, "rayflow-lock.txt")
            with open(requirements, "w", encoding="utf-8") as file:
                file.write(lock.text)
            command = [uv, "pip", "install", "--quiet", "--python", python, "--no-deps"]
            calling.run([*command, "--requirements", requirements], f"The environment of {whose} cannot be installed")
            _add_rayflow(python, calling)
            made = {"lock": lock.digest, "python": _checked(python, whose, calling)}
            _write_mark(prefix, made)
        except OSError as error:
            raise unwritable(self.directory, error) from error


def rayflow_source() -> tuple[str, str]:
    """Where this rayflow lies, and what tells its contents: nothing more of one that is used where it is developed."""
    from importlib.metadata import distribution

    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.basename(home) not in ("site-packages", "dist-packages"):
        return home, ""
    return home, hashlib.sha256((distribution("rayflow").read_text("RECORD") or "").encode()).hexdigest()


def _add_rayflow(python: str, calling: Calling) -> None:
    """Puts the launcher's rayflow there: a copy of what is installed, and the path of what is being developed."""
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = calling.run(ask, "The environment's Python does not start").strip()
    home, contents = rayflow_source()
    if contents:
        shutil.copytree(os.path.join(home, "rayflow"), os.path.join(site, "rayflow"), dirs_exist_ok=True)
        return
    with open(os.path.join(site, "rayflow.pth"), "w", encoding="utf-8") as file:
        file.write(f"{home}\n")


def _checked(python: str, whose: str, calling: Calling) -> str:
    """The version of a Python that a worker can run in. InvalidEnvironmentException where it cannot."""
    return calling.run([python, "-I", "-c", _CHECK], f"The environment of {whose} was made, and lacks what rayflow needs").split()[-1]


def _is_whole(prefix: str) -> bool:
    """Whether it was made to its end, and the Python that it was made of is still there."""
    return os.path.exists(os.path.join(prefix, _MARK)) and os.access(conda.python_in(prefix), os.X_OK)


def _lacks_python(whose: str, lock: Lock) -> str:
    return f"The environment of {whose} has no Python {lock.python} (`uv python install {lock.python}` gets one, or install it yourself)"


def _write_mark(prefix: str, made: Mapping[str, str]) -> None:
    scratch = os.path.join(prefix, f"{_MARK}.tmp")
    with open(scratch, "w", encoding="utf-8") as file:
        json.dump(made, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, os.path.join(prefix, _MARK))
