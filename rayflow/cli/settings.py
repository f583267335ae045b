"""From options and the environment to `Settings`. The one place of the program that reads `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import UsageError
from rayflow.settings.reading import StatedSettings, read_settings
from rayflow.settings.table import DEFAULT_DECOSPECS, NODE_KINDS, STATE_DIR

if TYPE_CHECKING:
    from rayflow.flow.configs import ConfigSources
    from rayflow.flow.flowspec import FlowSpec
    from rayflow.runtime.launch import Settings


@dataclass(frozen=True)
class Surroundings:
    """What the program is given besides its arguments."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: str = field(default_factory=os.getcwd)

    @cached_property
    def stated(self) -> StatedSettings:
        """What is stated for the program besides its arguments. UsageError for a file that cannot be read."""
        return read_settings(self.environ, self.cwd)

    def root(self, explicit: str | None) -> str:
        """Where runs are: `--root`, else the setting ROOT, else the nearest `.rayflow` here or above."""
        from rayflow.settings.here import find_root

        if explicit == "":
            raise UsageError("--root is empty. Give a directory or a URL, or leave it out.")
        return find_root(self.stated, explicit)

    @property
    def state_dir(self) -> str:
        """Where the warm cluster of this user is noted: the setting STATE_DIR, else `rayflow` where programs keep their state."""
        home = self.environ.get("HOME") or os.path.expanduser("~")
        own = self.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
        return os.path.abspath(self.stated[STATE_DIR] or os.path.join(own, "rayflow"))

    @property
    def environments_dir(self) -> str:
        """Where the Pythons of steps are kept."""
        from rayflow.settings.here import environments_dir

        return environments_dir(self.stated)

    @property
    def user(self) -> str:
        """Who runs this, as recorded with the run."""
        from rayflow.settings.here import identity

        return identity(self.stated)

    @property
    def default_decospecs(self) -> tuple[str, ...]:
        return self.stated[DEFAULT_DECOSPECS] or ()

    def configs(self, flow_class: type[FlowSpec], sources: ConfigSources, known: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a flow's Configs by attribute: as `known`, as the command line or the environment states them, or default."""
        from rayflow.flow.configs import resolved_configs
        from rayflow.flow.parameters import ParameterContext

        return resolved_configs(flow_class, sources, self.stated, ParameterContext(flow_class.__name__, self.user), known)

    def option_defaults(self, *commands: str) -> dict[str, Any]:
        """What settings say of options, as click takes it: for a group, and for some of its commands."""
        defaults = self.stated.option_defaults()
        return {**defaults, **dict.fromkeys(commands, defaults)}

    def settings(self, options: Mapping[str, Any]) -> Settings:
        """The options of `run` or `resume`, by their names, as what the runtime takes."""
        from rayflow.package.gathering import modules_of, suffixes_of
        from rayflow.runtime.compat import active
        from rayflow.runtime.launch import Settings

        # What is stated counts too where a Parameter has taken the option's name.
        stated = {name: value() for name, value in self.stated.option_defaults().items() if name not in options}
        options = {**options, **stated}
        return Settings(
            root=self.root(options.get("root")),
            executor=options.get("executor") or "auto",
            address=options.get("address"),
            max_workers=options.get("max_workers"),
            max_num_splits=options.get("max_num_splits"),
            max_log_mb=options.get("max_log_size") or 10,
            user=self.user,
            tags=tuple(dict.fromkeys(options.get("tag") or ())),
            run_id=options.get("run_id"),
            run_id_file=options.get("run_id_file"),
            runner_attribute_file=options.get("runner_attribute_file"),
            namespace=options.get("namespace"),
            tables=options.get("tables"),
            is_strict=bool(options.get("strict_resources")),
            state_dir=self.state_dir,
            environ=self.environ,
            branch=options.get("branch"),
            is_production=bool(options.get("production")),
            triggers=tuple(options.get("trigger") or ()),
            environment=options.get("environment"),
            environments_dir=self.environments_dir,
            compat=active(),
            decospecs=tuple(dict.fromkeys([*options.get("with", ()), *self.default_decospecs])),
            node_kinds=self.stated[NODE_KINDS] or (),
            code=options.get("code"),
            package_suffixes=suffixes_of(options.get("package_suffixes") or ""),
            package_modules=modules_of(options.get("package_modules") or ""),
        )
