"""`completion`: the script by which a shell completes `rayflow`."""

from __future__ import annotations

import click

from rayflow.cli.commands.call import Call

_HELP = """Print the script by which SHELL completes `rayflow` at TAB: commands, options, runs, flows, steps, parameters of a flow's file.

\b
bash:  eval "$(rayflow completion bash)"      in ~/.bashrc
zsh:   eval "$(rayflow completion zsh)"       in ~/.zshrc, after compinit
fish:  rayflow completion fish | source       in ~/.config/fish/config.fish

Shells complete programs, not arguments of `python`: write `rayflow run flow.py`, which is the same as `python flow.py run`. Runs are
offered where the root is a directory.
"""


VARIABLE = "_RAYFLOW_COMPLETE"
"""Set by a shell that asks what may come next; `rayflow.cli.completing` answers."""


def script(shell: str) -> str:
    """What the shell has to evaluate so that it asks `rayflow`."""
    from click.shell_completion import get_completion_class

    asking = get_completion_class(shell)
    assert asking is not None
    return asking(click.Group("rayflow"), {}, "rayflow", VARIABLE).source()


def completion_command(call: Call) -> click.Command:
    def run(shell: str) -> None:
        call.out.write(script(shell))

    shell = click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]))
    return click.Command("completion", callback=run, params=[shell], help=_HELP)
