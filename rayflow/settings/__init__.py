"""Settings: what holds for many runs and is said once. One declared table (`table`), one rule where a value comes from (`reading`).

A setting X is looked for in the environment (`RAYFLOW_X`), in `config.json` of the nearest `.rayflow`, in the file of the profile, and is
else the default. The profile's file is `config.json`, with RAYFLOW_PROFILE=P `config_P.json`, in RAYFLOW_HOME (default: `~/.rayflow`).
`writing` changes these files.

Everything that asks has the same answer: the command line, the client of a notebook, a worker. So the rule lies below them, takes the
environment as a value, and is asked where each of them begins. A value is converted when somebody asks for it: a setting that is wrong
stops only what needs it, and says where it was stated.

Rejected: variables set from the files when a process begins, which every child would take for the user's own and put above the files of
another directory. A settings object for all of a process's life: a notebook changes its directory, and with it the nearest file.
"""

from rayflow.settings.reading import Origin, SettingsFile, Stated, StatedSettings, profile_file, project_file, read_settings
from rayflow.settings.table import SETTINGS, Setting, setting_named

__all__ = [
    "SETTINGS",
    "Origin",
    "Setting",
    "SettingsFile",
    "Stated",
    "StatedSettings",
    "profile_file",
    "project_file",
    "read_settings",
    "setting_named",
]
