"""How this program was called, so that messages can end with a command that works."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """`program` is what opens a command line (`python train.py`, `rayflow`), `flow` the flow argument where the program is not the
    flow itself, `root` the `--root` that was given on the command line, `compat` the mode that the flow was loaded in."""

    program: str
    flow: str = ""
    root: str | None = None
    compat: str = ""

    @property
    def flow_words(self) -> tuple[str, ...]:
        """What a command line has to say of the flow."""
        return (self.flow, *(("--compat", self.compat) if self.compat else ())) if self.flow else ()

    def resume(self, run_id: str) -> str:
        """The command that continues what the run did not finish. A run whose flow is not at hand is named."""
        is_flow_known = self.flow or self.program != "rayflow"
        return self._command("resume", *(self.flow_words if is_flow_known else (run_id,)))

    def logs(self, pathspec: str) -> str:
        """The command that shows the output of `run/step/task`."""
        return self._command("logs", pathspec)

    def of_run(self, command: str, run_id: str) -> str:
        """A command of `rayflow` about the run, such as attach."""
        return f"rayflow {command} {shlex.quote(run_id)}{self._options}"

    def show(self, run_id: str) -> str:
        """The command that shows the run."""
        return self.of_run("show", run_id)

    def _command(self, *words: str) -> str:
        return " ".join([self.program, *(shlex.quote(word) for word in words if word)]) + self._options

    @property
    def _options(self) -> str:
        return f" --root {shlex.quote(self.root)}" if self.root else ""


@dataclass(frozen=True)
class CellPrompt(Prompt):
    """Of a flow that a notebook defines: it goes on there, since no file holds its code."""

    class_name: str = ""

    def resume(self, run_id: str) -> str:
        return f"NBRunner({self.class_name}).nbresume(origin_run_id={run_id!r})"
