"""Values as they may be shown: what looks like a secret is not."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "(hidden)"
_SECRET = re.compile(r"(?i)passw|secret|token|credential|(^|_)(pwd|auth|key)($|_)|api_?key|access_?key|private_?key")
_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


def masked(name: str, value: Any) -> Any:
    """The value of what is called `name`; within mappings and lists too. Of a URL, whoever logs in there is hidden."""
    if isinstance(value, dict):
        return {str(key): masked(str(key), each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
    if value not in (None, "", True, False) and _SECRET.search(name):
        return HIDDEN
    if isinstance(value, (list, tuple)):
        return [masked("", each) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return _IN_URL.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value
