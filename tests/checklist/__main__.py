"""`python -m tests.checklist` says what is missing; with `--write` it makes docs/checklist.md anew."""

from __future__ import annotations

import sys

from tests.checklist.reading import problems, rows, write

found = [problem for row in rows() for problem in problems(row)]
print(*found, sep="\n", end="\n" if found else "")
if "--write" in sys.argv[1:]:
    write()
sys.exit(bool(found))
