"""What every command is given: where it was called from, and whom it may ask. Tests put their own in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.flow.configs import ConfigSources

if TYPE_CHECKING:
    from rayflow.flow.definition import FlowDefinition
    from rayflow.flow.flowspec import FlowSpec
    from rayflow.runtime.launch import RunResult

Launch = Callable[..., "RunResult"]


def _run_flow(*arguments: Any, **keywords: Any) -> RunResult:
    from rayflow.runtime.launch import run_flow

    return run_flow(*arguments, **keywords)


def _resume_flow(*arguments: Any, **keywords: Any) -> RunResult:
    from rayflow.runtime.launch import resume_flow

    return resume_flow(*arguments, **keywords)


@dataclass(frozen=True)
class Call:
    """A call of the program. `run_flow` and `resume_flow` are those of `runtime.launch`."""

    prompt: Prompt
    surroundings: Surroundings = field(default_factory=Surroundings)
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    run_flow: Launch = _run_flow
    resume_flow: Launch = _resume_flow

    @property
    def is_live(self) -> bool:
        """Whether both streams are a terminal that can be drawn on. Who redirects stdout wants the run log there."""
        is_dumb = self.surroundings.environ.get("TERM") == "dumb"
        return self.out.isatty() and self.err.isatty() and not is_dumb


@dataclass(frozen=True)
class FlowCall:
    """A call about a flow. `definition` is the flow without `--with`; its configs are as `sources` state them, or as those of a run that is
    to be continued were (`known`, by attribute)."""

    call: Call
    flow_class: type[FlowSpec]
    sources: ConfigSources = field(default_factory=ConfigSources)
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def definition(self) -> FlowDefinition:
        from rayflow.flow.definition import define

        return define(self.flow_class, configs=self.call.surroundings.configs(self.flow_class, self.sources, self.known))

    def greet(self, options: Mapping[str, Any]) -> None:
        """`rayflow 0.1.0 executing TrainFlow for user:ann` on stderr, unless asked for quiet."""
        from rayflow import __version__

        if not options.get("quiet"):
            self.say(f"rayflow {__version__} executing {self.flow_class.__name__} for user:{self.call.surroundings.user}")

    def say(self, text: str = "") -> None:
        """A line on stderr: about the command, not its answer."""
        self.call.err.write(text + "\n")

    def decorated(self, decospecs: Sequence[str]) -> FlowDefinition:
        """The definition with what `--with` and RAYFLOW_DEFAULT_DECOSPECS add, in that order."""
        from rayflow.flow.definition import with_decospecs

        return with_decospecs(self.definition, [*decospecs, *self.call.surroundings.default_decospecs])
