"""Which options a flow's commands have: the flow is asked, in a process of its own, and what its arguments are is checked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rayflow.cli.keywords import Keyword, command_words, config_words
from rayflow.runtime.compat import active
from rayflow.settings.reading import read_settings
from rayflow.settings.table import COMPAT

_OF_METAFLOW = ("metadata", "datastore", "event_logger", "monitor")
_NOTHING_SPECIAL = ("local", "nullSidecarLogger", "nullSidecarMonitor", "debugLogger", "debugMonitor")


@dataclass
class CommandLine:
    """The command line of one flow file: `top_options` as keywords, `env` the whole environment of its processes. It may take
    `timeout_s` to say which options it has. `commands` are those that are called; none: those that make runs."""

    flow_file: str
    top_options: Mapping[str, Any]
    env: Mapping[str, str]
    cwd: str | None = None
    timeout_s: float = 3600
    commands: tuple[str, ...] = ()
    _state: tuple[int, int] | None = field(default=None, init=False)
    _keywords: dict[str, list[Keyword]] = field(default_factory=dict[str, list[Keyword]], init=False)

    def command(self, name: str, given: Mapping[str, Any]) -> list[str]:
        """The words of `python FLOW.py [top options] NAME [arguments]`. ValueError and TypeError for what is wrong with the arguments,
        RuntimeError where the flow cannot say which it takes."""
        keywords = self._asked()
        top = command_words(keywords[""], translated(self.top_options))
        return [*self._program(), *top, *name.split(), *command_words(keywords[name], given)]

    def _program(self) -> list[str]:
        """What performs the file's commands: Python, but for a flow that is to be loaded in a mode."""
        settings = read_settings(self.env, self.cwd or os.getcwd())
        mode = self.top_options.get("compat") or active() or settings[COMPAT]
        return [sys.executable, "-m", "rayflow", "--compat", mode, self.flow_file] if mode else [sys.executable, self.flow_file]

    def _asked(self) -> dict[str, list[Keyword]]:
        path = os.path.join(self.cwd or "", self.flow_file)
        found = os.stat(path)
        state = (found.st_mtime_ns, found.st_size)
        if self._state != state:
            self._keywords, self._state = self._ask(), state
        return self._keywords

    def _ask(self) -> dict[str, list[Keyword]]:
        command = [*self._program(), *config_words(self.top_options), "output-options", *self.commands]
        env = {**self.env, "RAYFLOW_QUIET": "true"}
        asked = partial(subprocess.run, env=env, cwd=self.cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        try:
            result = asked(command, text=True, errors="replace", timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"'{' '.join(command)}' did not say within {self.timeout_s} seconds which options it has (file_read_timeout)."
            ) from None
        try:
            described = json.loads(result.stdout.rstrip().rpartition("\n")[2])
            return {name: [Keyword.from_dict(each) for each in options] for name, options in described.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise failed_to_start(" ".join(command), result.returncode, result.stdout, result.stderr) from error


def translated(top_options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that programs for Metaflow give, as those of rayflow: where data and metadata are is one root. ValueError for a choice
    that does not exist here."""
    found = {name: value for name, value in top_options.items() if name not in (*_OF_METAFLOW, "datastore_root", "compat")}
    if top_options.get("datastore_root") is not None:
        found.setdefault("root", top_options["datastore_root"])
    for name in _OF_METAFLOW:
        value = top_options.get(name)
        if value is not None and value not in _NOTHING_SPECIAL:
            raise ValueError(
                f"There is no {name}={value!r} in rayflow: a run's data, records and logs are all under one root. "
                "Give root=..., a directory or a URL such as s3://bucket/path."
            )
    return found


def failed_to_start(command: str, code: int | None, stdout: str, stderr: str) -> RuntimeError:
    """What to raise where a command ended before there was a run."""
    return RuntimeError(f"Error executing: '{command}' (exit code {code})\n\nStdout:\n{stdout.strip()}\n\nStderr:\n{stderr.strip()}")
