"""Did you mean: the nearest of the names that exist."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(wrong: str, existing: Iterable[str]) -> str:
    """` Did you mean 'train'?` with a space before it, or nothing where no name is near."""
    from difflib import get_close_matches

    found = get_close_matches(wrong, list(existing), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


def listed(names: Iterable[str], most: int = 20) -> str:
    """`a, b, c`, cut after `most`."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
