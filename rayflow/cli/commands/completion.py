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


def completion_command(call: Call) -> click.Command:
    def run(shell: str) -> None:
        from rayflow.cli.completing import script

        call.out.write(script(shell))

    shell = click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]))
    return click.Command("completion", callback=run, params=[shell], help=_HELP)
