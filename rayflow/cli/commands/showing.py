"""The live view of a run, for whatever command shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rayflow.cli.commands.call import Call

if TYPE_CHECKING:
    from rayflow.cli.reporting.live import LiveReporter


def live_reporter(call: Call, options: Mapping[str, Any]) -> LiveReporter:
    """The live view of a run with these options, on stderr. To be closed, however the run ends."""
    from rich.console import Console

    from rayflow import __version__
    from rayflow.cli.reporting.live import LiveReporter

    console = Console(file=call.err, markup=False, emoji=False, highlight=False)
    facts = options["address"] or "" if options["executor"] in (None, "auto", "ray") else options["executor"]
    return LiveReporter(console, call.prompt, facts=facts, version=__version__, is_verbose=options["verbose"])
