"""The group of `python flow.py COMMAND`. A command is built when it is asked for: only `run` needs the flow's Parameters."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import click

from rayflow.cli.commands import describing
from rayflow.cli.commands.call import FlowCall
from rayflow.cli.options import config_options, shared_options, stated
from rayflow.cli.suggest import nearest
from rayflow.flow.configs import ConfigSources
from rayflow.model.errors import UsageError

_BUILDERS: dict[str, tuple[str, str]] = {
    "check": ("describing", "check_command"),
    "run": ("launching", "run_command"),
    "submit": ("submitting", "submit_command"),
    "resume": ("launching", "resume_command"),
    "spin": ("spinning", "spin_command"),
    "argo-workflows": ("scheduling", "argo_workflows_group"),
    "airflow": ("scheduling", "airflow_group"),
    "step-functions": ("scheduling", "step_functions_group"),
    "kuberay-cron": ("scheduling", "kuberay_cron_group"),
    "cron": ("scheduling", "cron_group"),
    "show": ("describing", "show_command"),
    "logs": ("logs", "flow_logs_command"),
    "dump": ("reading", "flow_dump_command"),
    "tag": ("tagging", "flow_tag_command"),
    "package": ("packaging", "package_command"),
    "output-raw": ("describing", "output_raw_command"),
    "output-dot": ("describing", "output_dot_command"),
    "output-options": ("keyworded", "output_options_command"),
    "version": ("describing", "version_command"),
    "help": ("describing", "help_command"),
}
"""Module and function that builds the command: imported when it is asked for."""
COMMANDS = tuple(_BUILDERS)


class FlowGroup(click.Group):
    """The commands of one flow. Without a command it is `check`."""

    def __init__(self, flow_call: FlowCall) -> None:
        super().__init__(
            name=flow_call.flow_class.__name__,
            params=[*shared_options(), *config_options(flow_call.flow_class)],
            invoke_without_command=True,
            callback=self._begin,
            help="Commands of this flow. Without one: check.",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        )
        self._flow_call = flow_call

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        sources = ConfigSources(dict(ctx.params.pop("config", ())), dict(ctx.params.pop("config_value", ())))
        self._flow_call = replace(self._flow_call, sources=sources)
        return rest

    @property
    def flow_call(self) -> FlowCall:
        """The call, with the configs that were given when its arguments were parsed."""
        return self._flow_call

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_BUILDERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _BUILDERS:
            return None
        module, builder = _BUILDERS[cmd_name]
        return getattr(import_module(f"rayflow.cli.commands.{module}"), builder)(self._flow_call)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _BUILDERS:
            ctx.fail(f"No such command {args[0]!r}.{nearest(args[0], _BUILDERS)}")
        if args[:1] == ["resume"] and self._flow_call.sources:
            ctx.fail("Cannot specify --config or --config-value with 'resume': a resume has the configs of the run that it continues.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:  # raised below the command line: shown like click's own
            raise click.UsageError(str(error), ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        described = [(name, _SUMMARIES[name]) for name in _BUILDERS]
        with formatter.section("Commands"):
            formatter.write_dl(described)

    def _begin(self, **_: Any) -> None:
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is None:
            describing.check(self._flow_call, stated(ctx))


_SUMMARIES = {
    "check": "Check that the flow is valid (default).",
    "run": "Run the flow.",
    "submit": "Run the flow elsewhere: on a Ray cluster.",
    "resume": "Continue an earlier run: what is done is not done again.",
    "spin": "Run one step again by itself, with the inputs of an earlier task.",
    "argo-workflows": "Have Argo Workflows start the flow: create | trigger | list-runs | terminate | delete.",
    "airflow": "Have Airflow start the flow: create | delete.",
    "step-functions": "Have AWS Step Functions start the flow: create | trigger | list-runs | terminate | delete.",
    "kuberay-cron": "Have a CronJob of Kubernetes start the flow: create | delete.",
    "cron": "Have cron or systemd on this machine start the flow: create | delete.",
    "show": "Show the structure of the flow.",
    "logs": "Show what tasks printed, or take it back: logs [show] | scrub.",
    "dump": "Show the artifacts of a task, or of all tasks of a step.",
    "tag": "Show and change the tags of runs: tag add | remove | replace | list.",
    "package": "Show the code package that a run would store: package info | list | save.",
    "output-raw": "Write the flow's graph as data.",
    "output-dot": "Write the flow's graph for Graphviz.",
    "output-options": "Write the options of `run` and `resume` as data.",
    "version": "Show the version of rayflow.",
    "help": "Show all commands and options.",
}
