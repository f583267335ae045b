"""What every store checks about a key before it touches anything. The keys themselves are spelled in `rayflow.model.layout`."""

from __future__ import annotations

from rayflow.model.errors import UnsafeName


def safe_key(key: str) -> str:
    """`key`, if it is a relative path without empty, `.`, `..` or hidden segments, backslashes or NULs; else `UnsafeName`."""
    if "\0" in key or "\\" in key or key.startswith((".", "/")) or "/." in key or "//" in key or not key or key.endswith("/"):
        raise UnsafeName(f"The key {key[:120]!a} could leave the root.")
    return key
