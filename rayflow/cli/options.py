"""Every option that more than one command has, each told once.

An option of `SHARED` is accepted before the command and after it. Environment: click reads `RAYFLOW_<OPTION>` for the former and
`RAYFLOW_<COMMAND>_<OPTION>` for the latter, since the groups are started with the prefix RAYFLOW.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import click

from rayflow.settings.table import ENVIRONMENTS, EXECUTORS, MODES, TABLES

ENV_PREFIX = "RAYFLOW"
_ROOT_HELP = "Where runs are kept: a directory or any fsspec URL (s3://bucket/path). Default: the nearest .rayflow, here or above."
_JSON_HELP = "Write JSON on stdout, for programs."


def root_option() -> click.Option:
    return click.Option(["--root"], metavar="URL", help=_ROOT_HELP)


def json_option(help: str = _JSON_HELP) -> click.Option:  # noqa: A002 - click's word
    return click.Option(["--json"], is_flag=True, help=help)


def quiet_option(help: str) -> click.Option:  # noqa: A002 - click's word
    return click.Option(["--quiet/--not-quiet"], default=False, help=help)


def package_options() -> list[click.Option]:
    """What belongs to the code of a run."""
    return [
        click.Option(
            ["--package-suffixes"],
            metavar=".A,.B",
            help="Keep files that end so with the code of the run too, such as .json,.yaml; .py always are.",
        ),
        click.Option(
            ["--package-modules"],
            metavar="A,B.C",
            help="Keep modules of yours from outside the flow's directory with the code of the run too, named as for import.",
        ),
    ]


def shared_options() -> list[click.Option]:
    """What is said before or after a flow's command."""
    return [
        root_option(),
        click.Option(
            ["--executor"],
            type=click.Choice(EXECUTORS),
            help="Who performs the tasks. auto: child processes, and Ray for @resources, long fan-outs, or where `rayflow up` keeps it; "
            "ray: Ray alone; process: child processes alone; inline: this very process.",
        ),
        click.Option(
            ["--address"],
            metavar="ADDRESS",
            help="The Ray cluster to join: host:port, or 'local' for one of the run's own. Default: that of `rayflow up`, else one's own.",
        ),
        click.Option(
            ["--with"], multiple=True, metavar="DECORATOR", help="Add a decorator to all steps that have none of its name: retry:times=2."
        ),
        click.Option(
            ["--environment"],
            type=click.Choice(ENVIRONMENTS),
            help="Give steps that ask for packages (@pypi, @conda, @uv) a Python of their own; uv: all steps have those of the uv.lock "
            "beside the flow, too. Default: local, this Python; of a resume that of the run that it continues.",
        ),
        click.Option(["--branch"], metavar="NAME", help="The branch of the flow's @project. Default: one of your own."),
        click.Option(["--production"], is_flag=True, help="The production branch of the flow's @project."),
        click.Option(["--trigger"], multiple=True, metavar="FLOW/RUN", help="Play that the end of this run started the flow."),
        quiet_option("Only the run log and errors: no banner, no live view."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Show tracebacks in full."),
        json_option("Events as JSON lines on stdout, for programs."),
        click.Option(
            ["--compat"],
            type=click.Choice(MODES),
            callback=_is_in_effect,
            help="Of `rayflow COMMAND FLOW.py`: FLOW.py says `from metaflow import ...`, and gets rayflow.",
        ),
        *package_options(),
        click.Option(
            ["--code"],
            metavar="DIGEST",
            hidden=True,
            allow_from_autoenv=False,  # runs that a task starts inherit its environment, and have code of their own
            help="The code package of this flow under the root that the driver runs from; given by jobs.",
        ),
        click.Option(["--pylint/--no-pylint"], default=True, help="Accepted for Metaflow's sake; flows are checked by rayflow alone."),
    ]


def _is_in_effect(ctx: click.Context, option: click.Parameter, mode: str | None) -> str | None:
    """The flow was imported before its options are read: by `rayflow`, in this mode; or by Python itself, which knows none."""
    from rayflow.runtime.compat import active

    if mode is not None and mode != active() and not ctx.resilient_parsing:
        raise click.UsageError(f"--compat comes too late here: the flow is imported already. Use: rayflow run FLOW.py --compat {mode}", ctx)
    return mode


def config_options(flow_class: type) -> list[click.Option]:
    """What is said before the command of a flow that has Configs."""
    from rayflow.flow.configs import configs_of

    specs = [*configs_of(flow_class).values()]
    if not specs:
        return []
    told = "; ".join(f"{spec.name}{' (required)' if spec.required else ''}{f': {spec.help}' if spec.help else ''}" for spec in specs)
    return [
        click.Option(
            ["--config"], type=(str, str), multiple=True, metavar="NAME FILE", help=f"Read a config from a file. Configs: {told}."
        ),
        click.Option(["--config-value"], type=(str, str), multiple=True, metavar="NAME TEXT", help="Give a config as a text, mostly JSON."),
    ]


def configs_first(flow_class: type, arguments: Sequence[str]) -> list[str]:
    """The arguments with those about Configs before the command, where they are needed: Parameters may depend on them."""
    first: list[str] = []
    rest: list[str] = []
    flags = {flag for option in config_options(flow_class) for flag in option.opts}
    left = list(arguments)
    while left:
        count = 3 if left[0] in flags else 1
        (first if count == 3 else rest).extend(left[:count])
        del left[:count]
    return [*first, *rest]


def launch_options() -> list[click.Option]:
    """What `run` and `resume` have in common."""
    number = click.IntRange(min=1)
    return [
        click.Option(["--tag"], multiple=True, metavar="TAG", help="Annotate the run. May be given several times."),
        click.Option(["--max-workers"], type=number, metavar="N", help="At most so many tasks at once. Default: what the cluster holds."),
        click.Option(["--max-num-splits"], type=number, metavar="N", help="Refuse a foreach of more splits. Default: no limit."),
        click.Option(
            ["--max-log-size"], type=number, default=10, show_default=True, metavar="MB", help="Cut each stream of a task's output there."
        ),
        click.Option(["--run-id-file"], type=click.Path(dir_okay=False), metavar="FILE", help="Write the run id there before any task."),
        click.Option(
            ["--runner-attribute-file"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Write the run's pathspec and root there as JSON; read by Runner.",
        ),
        click.Option(
            ["--tables"],
            type=click.Choice(TABLES),
            help="How tables are stored. Default: arrow (mapped, fastest) on a local root, parquet on a bucket.",
        ),
        click.Option(["--strict-resources"], is_flag=True, help="Refuse a step that needs more than this machine has."),
    ]


def flags_of(option: click.Parameter) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def without(options: list[click.Option], taken: Collection[str]) -> list[click.Option]:
    """The options none of whose flags a Parameter has taken (names in lower case). Those remain before the command."""
    return [option for option in options if not any(flag.lstrip("-").lower() in taken for flag in flags_of(option))]


def value_options(options: list[click.Option]) -> set[str]:
    """The flags that are followed by a value."""
    return {flag for option in options if not option.is_flag for flag in flags_of(option)}


def stated(ctx: click.Context) -> dict[str, Any]:
    """The options of a command and of the groups above it, by name. What is given on the command line wins over the environment,
    that over defaults, and in each what stands nearer to the command; `--with` adds up in that order."""
    from click.core import ParameterSource

    contexts: list[click.Context] = []
    step: click.Context | None = ctx
    while step is not None:
        contexts.append(step)
        step = step.parent
    found: dict[str, Any] = {}
    decospecs: list[str] = []
    levels = ((ParameterSource.COMMANDLINE,), (ParameterSource.ENVIRONMENT,), tuple(ParameterSource))
    for sources in levels:
        for level in contexts:
            for name, value in level.params.items():
                if level.get_parameter_source(name) in sources:
                    if name == "with":
                        decospecs += [text for text in value if text not in decospecs]
                    found.setdefault(name, value)
    return {**found, "with": tuple(decospecs)}


def is_on_command_line(name: str) -> bool:
    """Whether the option was given there: of this command, or before it."""
    from click.core import ParameterSource

    ctx: click.Context | None = click.get_current_context()
    while ctx is not None:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            return True
        ctx = ctx.parent
    return False
