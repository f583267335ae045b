"""What looks like a setting and is none: a typo in a variable or a file changes nothing, and nobody would say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rayflow.settings.reading import SettingsFile
from rayflow.settings.table import PREFIX, setting_named

_OURS = re.compile(r"RAYFLOW_(RUN_\w+|CLUSTER_\d+|RUNNER_\d+|WORKER|ISOLATED|PLACEMENTS|NODES_WITHIN_S)")
"""Variables that rayflow sets for processes of its own, and those of Parameters and of options of `run`."""


def unknown_variables(environ: Mapping[str, str], options: Iterable[str], commands: Iterable[str]) -> list[str]:
    """The variables with our prefix that nothing reads. An option's is RAYFLOW_<OPTION>, or RAYFLOW_<COMMAND>_<OPTION>."""
    read = {f"{PREFIX}{_upper(option)}" for option in options}
    of_commands = tuple(f"{PREFIX}{_upper(command)}_" for command in commands)

    def is_known(name: str) -> bool:
        setting = setting_named(name)
        return bool(setting is not None and setting.variable == name) or name in read or bool(_OURS.fullmatch(name))

    return sorted(name for name in environ if name.startswith(PREFIX) and not is_known(name) and not name.startswith(of_commands))


def unknown_names(file: SettingsFile) -> list[str]:
    """The names in a file that no setting has, or that files cannot state."""
    found = ((name, setting_named(name)) for name in file.entries)
    return [name for name, setting in found if setting is None or setting.is_variable_only or name not in (setting.variable, setting.name)]


def _upper(word: str) -> str:
    return word.upper().replace("-", "_")
