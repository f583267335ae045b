"""From options and the environment to `Settings`. The one place of the program that reads `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import UsageError

if TYPE_CHECKING:
    from rayflow.flow.configs import ConfigSources
    from rayflow.flow.flowspec import FlowSpec
    from rayflow.runtime.launch import Settings

DECOSPECS_VARIABLE = "RAYFLOW_DEFAULT_DECOSPECS"
STATE_VARIABLE = "RAYFLOW_STATE_DIR"


@dataclass(frozen=True)
class Surroundings:
    """What the program is given besides its arguments."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: str = field(default_factory=os.getcwd)

    def root(self, explicit: str | None) -> str:
        """Where runs are: `--root`, else RAYFLOW_ROOT, else the nearest `.rayflow` here or above."""
        from rayflow.client.environ import find_root

        if explicit == "":
            raise UsageError("--root is empty. Give a directory or a URL, or leave it out.")
        return find_root(self.environ, self.cwd, explicit)

    @property
    def state_dir(self) -> str:
        """Where the warm cluster of this user is noted: RAYFLOW_STATE_DIR, else `rayflow` where programs keep their state."""
        home = self.environ.get("HOME") or os.path.expanduser("~")
        own = self.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
        return os.path.abspath(self.environ.get(STATE_VARIABLE) or os.path.join(own, "rayflow"))

    @property
    def user(self) -> str:
        """Who runs this, as recorded with the run."""
        from rayflow.client.environ import identity

        return identity(self.environ)

    @property
    def default_decospecs(self) -> tuple[str, ...]:
        return tuple(self.environ.get(DECOSPECS_VARIABLE, "").split())

    def configs(self, flow_class: type[FlowSpec], sources: ConfigSources, known: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a flow's Configs by attribute: as `known`, as the command line or the environment states them, or default."""
        from rayflow.flow.configs import resolved_configs
        from rayflow.flow.parameters import ParameterContext

        return resolved_configs(flow_class, sources, self.environ, ParameterContext(flow_class.__name__, self.user), known)

    def settings(self, options: Mapping[str, Any]) -> Settings:
        """The options of `run` or `resume`, by their names, as what the runtime takes."""
        from rayflow.runtime.launch import Settings

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
        )
