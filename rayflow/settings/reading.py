"""Where a setting was stated, and what its value is: the environment, the nearest `.rayflow/config.json`, the profile's file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache, partial
from typing import Any, TypeVar

from rayflow.model.errors import UsageError
from rayflow.model.layout import FORMAT_FILE
from rayflow.settings.kinds import FLAG
from rayflow.settings.table import HOME, PROFILE, SETTINGS, Setting

FILE = "config.json"
ROOT_NAME = ".rayflow"
_MAX_NBYTES, _MAX_SHOWN = 1 << 20, 60

T = TypeVar("T")


class Origin(Enum):
    """Who states a setting, the strongest first."""

    ENVIRONMENT = "environment"
    PROJECT = "project"
    PROFILE = "profile"


@dataclass(frozen=True)
class SettingsFile:
    """A file of settings as it is. `entries` have the names that are written there, known or not."""

    path: str
    origin: Origin
    entries: Mapping[str, Any]

    @property
    def base(self) -> str:
        """What relative paths in it are relative to: where the `.rayflow` lies, or the profile's file."""
        directory = os.path.dirname(self.path)
        return os.path.dirname(directory) if self.origin is Origin.PROJECT else directory


@dataclass(frozen=True)
class Stated:
    """A setting as it was written. `place` is the variable or the file."""

    raw: object
    origin: Origin
    place: str
    base: str


@dataclass(frozen=True)
class StatedSettings:
    """All that is stated for a process in `cwd`. `settings[ROOT]` is a value, None where nobody states it."""

    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str = ""
    files: tuple[SettingsFile, ...] = ()

    def __getitem__(self, setting: Setting[T]) -> T | None:
        """UsageError, which names the setting and where it was stated, for what cannot be its value."""
        stated = self.stated(setting)
        if stated is None:
            return None
        try:
            return setting.kind.value(stated.raw, stated.base)
        except (ValueError, TypeError, OverflowError) as error:
            why = f" It is not valid JSON: {error}." if isinstance(error, json.JSONDecodeError) else ""
            where = "" if stated.origin is Origin.ENVIRONMENT else f" in {stated.place}"
            raise UsageError(f"{setting.variable} is {_short(stated.raw)}{where}.{why} Give {setting.kind.wanted}.") from error

    def stated(self, setting: Setting[Any]) -> Stated | None:
        """Who states the setting. An empty variable states nothing, but for a flag, where it is no."""
        text = self.environ.get(setting.variable)
        if text or (text is not None and setting.kind is FLAG):
            return Stated(text, Origin.ENVIRONMENT, setting.variable, self.cwd)
        for file in () if setting.is_variable_only else self.files:
            for name in (setting.variable, setting.name):
                if file.entries.get(name) not in (None, ""):
                    return Stated(file.entries[name], file.origin, file.path, file.base)
        return None

    def option_defaults(self) -> dict[str, Callable[[], Any]]:
        """Option of the command line -> what gives its value, for those that are stated."""
        stated = [setting for setting in SETTINGS if setting.option and self.stated(setting) is not None]
        return {setting.option: partial(self.__getitem__, setting) for setting in stated}


def read_settings(environ: Mapping[str, str], cwd: str) -> StatedSettings:
    """What is stated for a process with that environment in that directory. UsageError for a file that cannot be read, and for a
    RAYFLOW_PROFILE that has none."""
    files = (_read(project_file(environ, cwd), Origin.PROJECT), _read(profile_file(environ), Origin.PROFILE))
    name = environ.get(PROFILE.variable)
    if name and files[1] is None:
        raise UsageError(
            f"There is no profile {name!r}, which RAYFLOW_PROFILE names: no file {profile_file(environ) or FILE}. "
            f"Make it with `rayflow configure set --profile {name} NAME VALUE`, or unset RAYFLOW_PROFILE."
        )
    return StatedSettings(environ, cwd, tuple(file for file in files if file is not None))


def roots_above(environ: Mapping[str, str], cwd: str) -> Iterator[str]:
    """The directories `.rayflow` in `cwd` and above it, nearest first. Those of profiles are none, unless runs are kept there."""
    homes = _homes(environ)
    directory = os.path.abspath(cwd)
    while True:
        found = os.path.join(directory, ROOT_NAME)
        if os.path.isdir(found) and (found not in homes or os.path.exists(os.path.join(found, FORMAT_FILE))):
            yield found
        above = os.path.dirname(directory)
        if above == directory:
            return
        directory = above


def home_of(environ: Mapping[str, str]) -> str:
    """Where the profiles' files are; empty where neither RAYFLOW_HOME nor HOME says."""
    return next(iter(_homes(environ)), "")


def _homes(environ: Mapping[str, str]) -> list[str]:
    """The directory of the profiles, and the one that it would be without RAYFLOW_HOME."""
    stated, user = environ.get(HOME.variable), environ.get("HOME")
    found = [os.path.expanduser(stated)] if stated else []
    return [os.path.abspath(path) for path in (*found, *([os.path.join(user, ROOT_NAME)] if user else []))]


def profile_file(environ: Mapping[str, str], profile: str | None = None) -> str:
    """The path of the profile's file, whether it exists or not; empty where there is no home. UsageError for what is no name."""
    name = profile if profile is not None else environ.get(PROFILE.variable, "")
    if name and not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise UsageError(f"A profile cannot be named {name!r}. Use letters, digits, '-', '_' and '.'.")
    home = home_of(environ)
    return os.path.join(home, f"config_{name}.json" if name else FILE) if home else ""


def project_file(environ: Mapping[str, str], cwd: str) -> str:
    """The path of `config.json` in the nearest `.rayflow`, whether it exists or not; empty where there is no `.rayflow`."""
    homes = _homes(environ)
    nearest = next((directory for directory in roots_above(environ, cwd) if directory not in homes), "")
    return os.path.join(nearest, FILE) if nearest else ""


def _short(raw: object) -> str:
    text = repr(raw) if isinstance(raw, str) else json.dumps(raw)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 4]} ..."


def _read(path: str, origin: Origin) -> SettingsFile | None:
    """The file, None where there is none."""
    if not path:
        return None
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"The settings in {path} cannot be read: {error.strerror}.") from error
    return SettingsFile(path, origin, entries_of(path, (status.st_mtime_ns, status.st_size, status.st_ino)))


@lru_cache(maxsize=32)
def entries_of(path: str, state: object) -> dict[str, Any]:
    """What is written in the file, which is read again when its `state` is another. UsageError where it is no JSON object."""
    del state  # only the cache looks at it
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_NBYTES)
        entries: object = json.loads(text or "{}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings in {path} cannot be read: {error}.") from error
    except ValueError as error:
        raise UsageError(f"The settings in {path} are not valid JSON: {error}. Repair the file, or remove it.") from error
    if not isinstance(entries, dict):
        raise UsageError(f'The settings in {path} are no JSON object. Write one such as {{"RAYFLOW_USER": "ada"}}, or remove the file.')
    return entries
