"""The TYPEs of serializers that were declared in this process, and are asked about every value: a set of its own, since every process that
stores a value looks at it, and few need what knows more (`shelf`)."""

from __future__ import annotations

types: set[str] = set()
