"""cron and systemd on one machine: the driver is a process there, which joins whatever Ray cluster the environment names.

The run is `cron-<time at which it starts>`. A run that is still at work when the next is due holds a lock: the next one is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rayflow.catalog.deployments import Deployment
from rayflow.model.errors import UserError
from rayflow.submission.cron import parsed
from rayflow.submission.schedulers.shipment import Export, Shipment, refuse_events

SCHEDULER = "cron"
_TIME = "cron-TIME"
_STAMP = "cron-$(date -u +%Y%m%dT%H%M%S)"


@dataclass(frozen=True)
class MachineOptions:
    """`python` is the interpreter that has rayflow, `state_dir` where locks and logs of this user are; `is_systemd`: a service and its
    timer instead of a line of a crontab, `delay_s` seconds at most after the time, so that not everything starts at once."""

    python: str
    state_dir: str
    is_systemd: bool = False
    delay_s: int = 0


def export(shipment: Shipment, options: MachineOptions) -> Export:
    """UserError for what neither can carry."""
    deployment = shipment.deployment
    refuse_events(deployment, "cron", "Have the flow that comes before start this one, or use argo-workflows.")
    if deployment.cron is None:
        raise UserError(f"{deployment.flow} has no @schedule, so that cron has nothing to do. Add one.")
    if shipment.retries:
        raise UserError("--retries is not supported by cron, which starts each run once. Use @retry; a failed run is resumed.")
    name = unit_name(deployment)
    if options.is_systemd:
        units = {".service": _service(shipment, options), ".timer": _timer(shipment, options)}
        return Export(name, {f"{name}{suffix}": text for suffix, text in units.items()}, units)
    line = _line(shipment, options)
    return Export(name, {"crontab": line}, {".crontab": line})


def unit_name(deployment: Deployment) -> str:
    """What the units are called."""
    return f"rayflow-{re.sub(r'[^A-Za-z0-9_.-]+', '-', deployment.name)}"


def lock_path(deployment: Deployment, state_dir: str) -> str:
    """What a run holds while it goes on."""
    return f"{state_dir}/{unit_name(deployment)}.lock"


def _words(shipment: Shipment, options: MachineOptions) -> Sequence[str]:
    lock = lock_path(shipment.deployment, options.state_dir)
    words = shipment.job(_TIME).words
    return ("flock", "--nonblock", "--conflict-exit-code", "0", lock, options.python, *words[1:], "--here")


def _command(shipment: Shipment, options: MachineOptions) -> str:
    """A line for a shell. The time is put in where nothing else is: a root may hold any text."""
    words = [shlex.quote(word) for word in _words(shipment, options)]
    place = words.index(f"{shipment.deployment.flow}/{_TIME}")
    words[place] = f"{shipment.deployment.flow}/{_STAMP}"
    return " ".join(words)


def _line(shipment: Shipment, options: MachineOptions) -> str:
    deployment = shipment.deployment
    if deployment.timezone is not None:
        raise UserError(
            f"@schedule(timezone='{deployment.timezone}') of {deployment.flow} is not supported by a crontab, which counts by the "
            "machine's time zone. Use `cron create --systemd`, or leave it out."
        )
    log = shlex.quote(f"{options.state_dir}/{unit_name(deployment)}.log")
    command = f"{_command(shipment, options)} >> {log} 2>&1"
    if "\n" in command:
        raise UserError("A line of a crontab cannot hold a root or a path with a line break.")
    escaped = command.replace("%", "\\%")  # a bare one ends the command (crontab(5))
    return f"# rayflow: {deployment.name}, deployed by {deployment.draft.user}\n{deployment.cron} {escaped}\n"


def _service(shipment: Shipment, options: MachineOptions) -> str:
    deployment = shipment.deployment
    command = f"exec {_command(shipment, options)}"
    return "\n".join(
        [
            "[Unit]",
            f"Description=rayflow: {_plain(deployment.name)}",
            "Wants=network-online.target",
            "After=network-online.target",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart=/bin/sh -c {_quoted(command)}",
            "",
        ]
    )


def _timer(shipment: Shipment, options: MachineOptions) -> str:
    deployment = shipment.deployment
    times = parsed(deployment.cron or "").on_calendar(deployment.timezone)
    delay = [f"RandomizedDelaySec={options.delay_s}"] if options.delay_s else []
    return "\n".join(
        [
            "[Unit]",
            f"Description=rayflow: when {_plain(deployment.name)} starts",
            "",
            "[Timer]",
            *(f"OnCalendar={time}" for time in times),
            "Persistent=true",
            *delay,
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _quoted(text: str) -> str:
    """One word of a command of systemd, in which `%` and `$` are what they are (systemd.service(5))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\n", "\\n")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return text.replace("%", "%%").replace("\n", " ")
