"""Expressions of cron: read once, and written as each scheduler spells them.

The five fields of crontab(5), and the six of AWS with `?` for `*` as long as their year is `*`. Days: where day of month and day of week
are both restricted, either counts (crontab(5)); Sunday is 0 or 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rayflow.model.errors import UserError

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))


@dataclass(frozen=True)
class Cron:
    """The values of each field, sorted; `days_or_weekdays`: either of the two counts. `text` is the expression with five fields."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    days_or_weekdays: bool

    def on_calendar(self, timezone: str | None) -> list[str]:
        """As systemd.time(7) has it: one or two calendar events, either of which counts."""
        zone = f" {timezone}" if timezone else ""
        clock = f"{_listed(self.hours, 24)}:{_listed(self.minutes, 60)}:00{zone}"
        months = _listed(self.months, 12)
        weekdays = "" if len(self.weekdays) == 7 else ",".join(_DAYS[day].capitalize() for day in self.weekdays) + " "
        days = _listed(self.days, 31)
        if self.days_or_weekdays:
            return [f"*-{months}-{days} {clock}", f"{weekdays}*-{months}-* {clock}"]
        return [f"{weekdays}*-{months}-{days} {clock}"]

    def for_aws(self) -> str:
        """As EventBridge Scheduler has it. UserError where both kinds of days are restricted, which it cannot say."""
        if len(self.days) < 31 and len(self.weekdays) < 7:
            raise UserError(
                f"@schedule(cron={self.text!r}) names days of the month and days of the week, which AWS cannot: leave one of them out."
            )
        days = "?" if len(self.weekdays) < 7 else _plain(self.days, 31)
        weekdays = _plain(tuple(day + 1 for day in self.weekdays), 7) if len(self.weekdays) < 7 else ("?" if days != "?" else "*")
        return f"cron({_plain(self.minutes, 60)} {_plain(self.hours, 24)} {days} {_plain(self.months, 12)} {weekdays} *)"


def parsed(expression: str) -> Cron:
    """The expression; UserError says which field of it cannot be read."""
    text = " ".join(str(expression).split())
    fields = _NAMED.get(text.lower(), text).split()
    if len(fields) == 6 and fields[5] in ("*", "?"):
        fields = _weekdays_of_aws(fields[:5])
    if len(fields) != 5:
        raise UserError(
            f"@schedule(cron={expression!r}): an expression of cron has five fields: minute, hour, day, month, day of the week."
        )
    fields = ["*" if each == "?" else each for each in fields]
    values = [_values(expression, each, *described) for each, described in zip(fields, _FIELDS, strict=True)]
    weekdays = tuple(sorted({day % 7 for day in values[4]}))
    either = not fields[2].startswith("*") and not fields[4].startswith("*") and len(values[2]) < 31 and len(weekdays) < 7
    return Cron(" ".join(fields), values[0], values[1], values[2], values[3], weekdays, either)


def _weekdays_of_aws(fields: list[str]) -> list[str]:
    """There Sunday is 1: numbers become names, which mean the same everywhere."""
    if not any(letter.isdigit() for letter in fields[4]) or "#" in fields[4]:
        return fields
    range_, slash, step = fields[4].partition("/")
    named = "".join(_DAYS[int(letter) - 1] if letter in "1234567" else letter for letter in range_)
    return [*fields[:4], f"{named}{slash}{step}"]


def _values(expression: str, field: str, what: str, low: int, high: int) -> tuple[int, ...]:
    found: set[int] = set()
    names: Sequence[str] = {"month": _MONTHS, "day of week": _DAYS}.get(what, ())
    for term in field.split(","):
        try:
            found.update(_term(term, names, low, high))
        except (ValueError, IndexError):
            raise UserError(
                f"@schedule(cron={expression!r}): the {what} {field!r} cannot be read. It is a number from {low} to {high}, '*', a range "
                "such as 1-5, a step such as */2, or several of these with commas between them."
            ) from None
    return tuple(sorted(found))


def _term(term: str, names: Sequence[str], low: int, high: int) -> range:
    range_, slash, step = term.partition("/")
    first, dash, last = range_.partition("-")
    if range_ == "*":
        begin, end = low, min(high, 6) if names is _DAYS else high
    else:
        begin = _number(first, names, low)
        end = _number(last, names, low) if dash else (high if slash else begin)
    width = int(step) if slash else 1
    if not (low <= begin <= end <= high) or width < 1:
        raise ValueError(term)
    return range(begin, end + 1, width)


def _number(text: str, names: Sequence[str], low: int) -> int:
    return names.index(text.upper()) + low if text.upper() in names else int(text)


def _listed(values: tuple[int, ...], count: int) -> str:
    return "*" if len(values) == count else ",".join(f"{value:02d}" for value in values)


def _plain(values: tuple[int, ...], count: int) -> str:
    return "*" if len(values) == count else ",".join(map(str, values))
