"""What an argument names. What ends in `.py` (or is `module:Class`) is a flow; anything else names a run, or something in one.

Apart from `target`, since every command asks this, and few load a flow.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_MODULE_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")


def names_flow(argument: str) -> bool:
    """Whether the argument is a flow: `flow.py`, `flow.py:Class` or `module:Class`."""
    return argument.endswith(".py") or ".py:" in argument or _MODULE_CLASS.fullmatch(argument) is not None


def take_flow(arguments: Sequence[str], options_with_value: Collection[str]) -> tuple[str | None, list[str]]:
    """The first argument that is a flow, and the others. Values of `options_with_value` (`--tag`) are passed over."""
    is_value = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if not is_value and not argument.startswith("-") and names_flow(argument):
            return argument, [*arguments[:position], *arguments[position + 1 :]]
        is_value = not is_value and argument in options_with_value
    return None, list(arguments)
