"""The fence around everything: whatever goes wrong becomes one short text on stderr and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from rayflow.model.errors import RayflowException, UsageError, block

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


def guarded(command: Callable[[], int], err: TextIO) -> int:
    """The command's exit code, or that of what it raised, told on `err`."""
    import click

    try:
        return command()
    except (click.Abort, KeyboardInterrupt):
        err.write("\nInterrupted.\n")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost fence
        return _told(error, err)


def _told(error: Exception, err: TextIO) -> int:
    import click

    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            error.show(file=err)
            return error.exit_code
        case UsageError():
            err.write(f"Error: {error}\n")
            return USAGE
        case RayflowException():
            err.write(block(error))
            return FAILURE
        case _:
            err.write(_internal(error))
            return FAILURE


def _internal(error: Exception) -> str:
    import platform
    import traceback

    from rayflow import __version__

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    versions = f"rayflow {__version__}, Python {platform.python_version()}, {platform.system()}"
    advice = f"This is a mistake in rayflow, not in your flow. Please report it with the lines above ({versions})."
    return f"    Internal error\n{text}    {advice}\n"
