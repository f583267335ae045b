"""How the files of two code packages differ, as a patch that `git apply` and `patch -p1` take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import unified_diff

from rayflow.client.codediff import CodeChange

_MAX_NBYTES = 1 << 20
"""Of larger files it is told only that they differ: comparing their lines takes minutes."""
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_UNENDED = "\n\\ No newline at end of file\n"


def file_changes(a: Mapping[str, bytes], b: Mapping[str, bytes]) -> list[CodeChange]:
    """Whole files that differ, by name. `diff` ends with a newline."""
    changes: list[CodeChange] = []
    for name in sorted({*a, *b}):
        before, after = a.get(name), b.get(name)
        if before != after:
            change = "added" if before is None else "removed" if after is None else "changed"
            changes.append(CodeChange(name, change, _patch(name, before, after)))
    return changes


def _patch(name: str, before: bytes | None, after: bytes | None) -> str:
    lines = [f"diff --git a/{name} b/{name}\n"]
    if before is None or after is None:
        lines.append("new file mode 100644\n" if before is None else "deleted file mode 100644\n")
    old, new = ([] if content is None else _lines(content) for content in (before, after))
    if old is None or new is None:
        return "".join([*lines, f"Binary files a/{name} and b/{name} differ\n"])
    tab = "\t" if " " in name else ""  # as git does it: without, `patch` ends the name at the space
    left, right = (f"{side}/{name}{tab}" if content is not None else "/dev/null" for side, content in (("a", before), ("b", after)))
    found = (line if line.endswith("\n") else line + _UNENDED for line in unified_diff(old, new, left, right))
    return "".join([*lines, *found])


def _lines(content: bytes) -> list[str] | None:
    """With their ends; None for what is no text, or a long one."""
    if len(content) > _MAX_NBYTES or b"\0" in content:
        return None
    try:
        return _LINE.findall(content.decode("utf-8"))
    except UnicodeDecodeError:
        return None
