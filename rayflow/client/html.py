"""HTML for notebooks: small, self-contained, everything escaped, no scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from rayflow.model.records import Failure, Outcome

MOST_ROWS = 12
_CELL = "text-align:left;vertical-align:top"
_STATES = {"succeeded": "#2e7d32", "done": "#2e7d32", "failed": "#c62828", "interrupted": "#ef6c00", "caught": "#ef6c00"}


def card(title: str, facts: Iterable[tuple[str, str]], body: str = "") -> str:
    """A title, pairs of what and how, and a body that is HTML already. Facts without a text are left out."""
    rows = "".join(
        f'<tr><td style="{_CELL};opacity:.6">{escape(name)}</td><td style="{_CELL}">{_coloured(name, text)}</td></tr>'
        for name, text in facts
        if text
    )
    return f'<div><div><b>{escape(title)}</b></div><table style="border-collapse:collapse;margin:2px 0">{rows}</table>{body}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], raw: int = -1, more: str = "") -> str:
    """Rows of texts; the column `raw` is HTML already. `more` is said below them, of those that are left out."""
    if not rows:
        return ""
    head = "".join(f'<th style="{_CELL};opacity:.6;font-weight:normal">{escape(name)}</th>' for name in columns)
    lines = "".join(f"<tr>{''.join(_cell(columns[at], text, is_raw=at == raw) for at, text in enumerate(row))}</tr>" for row in rows)
    below = f'<div style="opacity:.6">{escape(more)}</div>' if more else ""
    return f'<table style="border-collapse:collapse;margin:2px 0"><tr>{head}</tr>{lines}</table>{below}'


def _cell(column: str, text: str, *, is_raw: bool) -> str:
    return f'<td style="{_CELL}">{text if is_raw else _coloured(column, text)}</td>'


def _coloured(name: str, text: str) -> str:
    colour = _STATES.get(text.partition(":")[0]) if name == "state" else None
    return f'<span style="color:{colour}">{escape(text)}</span>' if colour else escape(text)


def when(moment: datetime | None) -> str:
    """`2026-11-28 06:54:21`; empty where unknown."""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment is not None else ""


def left_out(total: int, shown: int) -> str:
    """`1,234 more`; empty where none are."""
    return f"{total - shown:,} more" if total > shown else ""


def told(failure: Failure | None) -> str:
    """The exception and the user's innermost line: `ValueError: boom (train.py:21)`; empty without a failure."""
    if failure is None:
        return ""
    message = failure.message.strip().partition("\n")[0]
    text = ": ".join(part for part in (failure.type.rpartition(".")[2], message) if part) or failure.kind.value
    return f"{text} ({failure.frames[-1].file}:{failure.frames[-1].line})" if failure.frames else text


def stage(outcome: Outcome | None) -> str:
    """How a run ended. Whether one that did not is still at work can take seconds to find out, and is not asked here: see `run.state`."""
    return outcome.value if outcome is not None else "not ended"
