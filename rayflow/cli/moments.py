"""Ages and moments as users write them: `30d`, `2026-11-28`, `2026-11-28 14:30`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from rayflow.model.errors import UsageError

_AGE = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def age_us(text: str, option: str) -> int:
    """Microseconds; UsageError for what is no age."""
    found = _age_us(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no age. Give a number of minutes, hours, days or weeks: 90m, 12h, 30d, 8w.")
    return found


def moment_us(text: str, option: str, now_us: int, *, is_end: bool = False) -> int:
    """Microseconds since 1970 of an age before now, or of a local time. A date alone is its beginning, and with `is_end` the end of that
    day. UsageError for anything else."""
    age = _age_us(text)
    if age is not None:
        return now_us - age
    try:
        moment = datetime.fromisoformat(text.strip())
        if is_end and _DATE.fullmatch(text.strip()):
            moment += timedelta(days=1)
        return int(moment.timestamp() * 1e6)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{option} {text!r} is no time. Give an age (12h, 30d, 8w) or a date (2026-11-28, 2026-11-28 14:30).") from None


def _age_us(text: str) -> int | None:
    match = _AGE.fullmatch(text.strip())
    return int(match[1]) * _UNITS_S[match[2]] * 1_000_000 if match else None
