"""`MyFlow.run(alpha=1)`: a flow that a program or a notebook performs, with itself as the driver.

Its arguments are the flow's Parameters, and what `python flow.py [OPTIONS] run [OPTIONS]` takes, as `keywords` names it; the environment
counts as it does there. Tasks run where they would: in child processes and on Ray, also for a class of a notebook, which travels by
value. What it raises is what the command line would have told.

Rejected: a child process for the driver, as `rayflow.runner` has. The class of a notebook would have to become a file first, and values
that are no texts could not be given. Who wants a process of its own has `Runner`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import TaskFailedException, UsageError, UserError
from rayflow.model.records import Outcome
from rayflow.runtime.notices import Notice, Reporter, RunEnded

if TYPE_CHECKING:
    import click

    from rayflow.cli.commands.call import Call, FlowCall
    from rayflow.cli.keywords import Keyword
    from rayflow.cli.reporting.prompt import Prompt
    from rayflow.client import Run
    from rayflow.flow.definition import FlowDefinition
    from rayflow.flow.flowspec import FlowSpec
    from rayflow.model.records import Failure

_NOT_OFFERED = ("json", "runner_attribute_file", "verbose", "pylint", "compat", "code")


def run_called(flow_class: type[FlowSpec], arguments: Mapping[str, Any]) -> Run:
    """Performs the flow and returns the run. TaskFailedException, with the user's own frames, where it failed; KeyboardInterrupt where it
    was interrupted; ValueError, TypeError and UsageError for wrong arguments; UserError for a flow that breaks the rules."""
    from rayflow.cli.commands.call import Call, FlowCall
    from rayflow.runtime.loading import is_loading

    __tracebackhide__ = True  # a notebook shows the user's call, and the message
    name = flow_class.__name__
    if is_loading():
        raise UserError(
            f"{name}.run() was called while a worker imports the flow's file, which would run the flow again in every worker. Put the call "
            'under `if __name__ == "__main__":`.'
        )
    flow_call, options, given = _understood(FlowCall(Call(_prompt(flow_class, arguments.get("root"))), flow_class), arguments)
    definition = flow_call.decorated(options["with"])
    settings = flow_call.call.surroundings.settings(options)
    with _reporter(flow_call.call, options) as shown:
        witness = _Witness(shown)
        result = flow_call.call.run_flow(definition, given, settings, witness)
    if result.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt(f"Run {name}/{result.run_id} was interrupted. Continue with: {flow_call.call.prompt.resume(result.run_id)}")
    run = _opened(settings.root, f"{name}/{result.run_id}")
    if result.outcome is Outcome.FAILED:
        raise TaskFailedException(_told(flow_call.call, run, witness.ending))
    return run


# -- arguments ---------------------------------------------------------------------------------------------------------


def _understood(flow_call: FlowCall, arguments: Mapping[str, Any]) -> tuple[FlowCall, dict[str, Any], dict[str, Any]]:
    """The flow with the configs that are given, the options by their names, as a command gets them, and the values of Parameters by
    attribute name."""
    from rayflow.cli.commands.flow import FlowGroup
    from rayflow.cli.commands.keyworded import keywords_of
    from rayflow.cli.keywords import command_words, config_words, refuse_unknown
    from rayflow.cli.options import stated

    group = FlowGroup(flow_call)
    command = group.get_command(_context(group, None, config_words(arguments), flow_call), "run")
    assert command is not None
    flow_call = group.flow_call
    parameters = _parameters(flow_call.definition)
    keywords = _offered(keywords_of([*group.params, *command.params], {}), parameters)
    refuse_unknown(arguments, [*parameters, *keywords])
    given = {parameters[name]: value for name, value in arguments.items() if name in parameters and value is not None}
    own = {name: value for name, value in arguments.items() if name not in parameters}
    before = {keyword.flag for keyword in keywords_of(group.params, {})} - {keyword.flag for keyword in keywords_of(command.params, {})}
    top = {name: value for name, value in own.items() if keywords[name].flag in before}
    rest = {name: value for name, value in own.items() if name not in top}
    outer = _context(group, None, command_words([keywords[name] for name in top], top), flow_call)
    inner = _context(command, outer, command_words([keywords[name] for name in rest], rest), flow_call)
    return flow_call, stated(inner), given


def _context(command: click.Command, parent: click.Context | None, words: list[str], flow_call: FlowCall) -> click.Context:
    """The context of a command that is not invoked."""
    import click

    from rayflow.cli.options import ENV_PREFIX

    prefix = ENV_PREFIX if parent is None else f"{ENV_PREFIX}_RUN"
    defaults = flow_call.call.surroundings.option_defaults()
    try:
        return command.make_context(
            command.name, words, parent=parent, auto_envvar_prefix=prefix, default_map=defaults, resilient_parsing=False
        )
    except click.UsageError as error:
        raise UsageError(error.format_message()) from error


def _parameters(definition: FlowDefinition) -> dict[str, str]:
    """How a Parameter may be called in a call, and its attribute: its name with underscores, or the attribute itself."""
    found = {attribute: attribute for attribute in definition.parameters}
    return {**found, **{parameter.name.replace("-", "_"): attribute for attribute, parameter in definition.parameters.items()}}


def _offered(keywords: list[Keyword], parameters: Mapping[str, str]) -> dict[str, Keyword]:
    return {keyword.name: keyword for keyword in keywords if keyword.name not in parameters and keyword.name not in _NOT_OFFERED}


# -- what is shown -----------------------------------------------------------------------------------------------------


@dataclass
class _Witness:
    """A Reporter that passes everything on and remembers how the run ended."""

    shown: Reporter
    ending: RunEnded | None = None

    def tell(self, notice: Notice) -> None:
        if isinstance(notice, RunEnded):
            self.ending = notice
        self.shown.tell(notice)


@contextlib.contextmanager
def _reporter(call: Call, options: Mapping[str, Any]) -> Generator[Reporter]:
    """The live view on a terminal, a table that changes in a notebook, plain lines elsewhere; nothing with `quiet`."""
    from rayflow.runtime.notices import Silent

    if options["quiet"]:
        yield Silent()
        return
    if _is_notebook():
        from rayflow.cli.reporting.notebook import NotebookReporter

        yield NotebookReporter(call.out, call.err)
        return
    if call.is_live and options["executor"] != "inline":
        from rayflow.cli.commands.showing import live_reporter

        reporter = live_reporter(call, options)
        try:
            yield reporter
        finally:
            reporter.close()
        return
    from rayflow.cli.reporting.plain import PlainReporter

    yield PlainReporter(call.out, call.err, call.prompt)


def _is_notebook() -> bool:
    """Whether this process is the kernel of a notebook: what is displayed there is drawn by somebody else."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


# -- what went wrong ---------------------------------------------------------------------------------------------------


def _prompt(flow_class: type[FlowSpec], root: Any) -> Prompt:
    """How a run of the class goes on: by its file where it has one, else by its notebook."""
    from rayflow.cli.reporting.prompt import CellPrompt, Prompt

    shown_root = str(root) if isinstance(root, (str, os.PathLike)) else None
    file = getattr(sys.modules.get(flow_class.__module__), "__file__", None)
    if file and os.path.isfile(file):
        return Prompt("rayflow", file, shown_root)
    return CellPrompt("rayflow", root=shown_root, class_name=flow_class.__name__)


def _opened(root_url: str, pathspec: str) -> Run:
    from rayflow.client import Run, open_pathspec

    run = open_pathspec(root_url, pathspec)
    assert isinstance(run, Run)
    return run


def _told(call: Call, run: Run, ending: RunEnded | None) -> str:
    """Which step failed, where in the user's code, and how to go on."""
    from rayflow.cli.reporting.failure import described

    failure: Failure | None = ending.failure if ending is not None else None
    step = f" in step {ending.label.step}" if ending is not None and ending.label is not None else ""
    lines = [f"Run {run.pathspec} failed{step}."]
    lines += described(failure) if failure is not None else ()
    return "\n".join([*lines, f"  Continue with: {call.prompt.resume(run.id)}"])
