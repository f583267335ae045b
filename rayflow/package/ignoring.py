"""`.rayflowignore`: what a code package is to leave out, in the language of `.gitignore`."""

from __future__ import annotations

import os
from collections.abc import Callable

from rayflow.model.errors import UserError

IGNORE_FILE = ".rayflowignore"
Ignores = Callable[[str], bool]
"""Of a path relative to the directory of the file, with a slash at the end of a directory's."""


def ignores_of(directory: str) -> Ignores:
    """What the `.rayflowignore` of the directory leaves out; nothing where there is none. UserError, which names it, where it cannot be
    read."""
    path = os.path.join(directory, IGNORE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return lambda path: False
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UserError(f"{path} cannot be read: {why}.") from error
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines).match_file
    except ValueError as error:
        raise UserError(f"{path} has a pattern that cannot be used. {error}") from error
