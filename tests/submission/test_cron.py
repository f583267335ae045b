"""Expressions of cron, and what each scheduler makes of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from rayflow.model.errors import UserError
from rayflow.submission.cron import parsed

ROWS = [
    ("0 6 * * *", ["*-*-* 06:00:00"], "cron(0 6 * * ? *)"),
    ("*/15 9-10 * * MON-FRI", ["Mon,Tue,Wed,Thu,Fri *-*-* 09,10:00,15,30,45:00"], "cron(0,15,30,45 9,10 ? * 2,3,4,5,6 *)"),
    ("5/20 * * JAN *", ["*-01-* *:05,25,45:00"], "cron(5,25,45 * * 1 ? *)"),
    ("0 0 * * 7", ["Sun *-*-* 00:00:00"], "cron(0 0 ? * 1 *)"),
    ("0 0 1,15 * *", ["*-*-01,15 00:00:00"], "cron(0 0 1,15 * ? *)"),
    ("@hourly", ["*-*-* *:00:00"], "cron(0 * * * ? *)"),
    ("0 12 ? * 2-6 *", ["Mon,Tue,Wed,Thu,Fri *-*-* 12:00:00"], "cron(0 12 ? * 2,3,4,5,6 *)"),
    ("0 12 1 * ? *", ["*-*-01 12:00:00"], "cron(0 12 1 * ? *)"),
]


@pytest.mark.parametrize(("text", "calendar", "aws"), ROWS)
def test_an_expression_is_spelled_as_systemd_and_aws_have_it(text, calendar, aws):
    assert (parsed(text).on_calendar(None), parsed(text).for_aws()) == (calendar, aws)


def test_where_both_kinds_of_days_are_restricted_either_counts():
    both = parsed("0 0 1 * FRI")

    assert both.on_calendar("Europe/Berlin") == ["*-*-01 00:00:00 Europe/Berlin", "Fri *-*-* 00:00:00 Europe/Berlin"]
    with pytest.raises(UserError, match=r"'0 0 1 \* FRI'.*which AWS cannot"):
        both.for_aws()


def test_a_star_with_a_step_restricts_days_together_with_the_other_kind_as_cron_has_it():
    assert parsed("0 0 */2 * MON").on_calendar(None) == [f"Mon *-*-{','.join(f'{day:02d}' for day in range(1, 32, 2))} 00:00:00"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 6 * *", "five fields"),
        ("", "five fields"),
        ("60 * * * *", "the minute '60'"),
        ("* 24 * * *", "the hour '24'"),
        ("* * 0 * *", "the day of month '0'"),
        ("* * * FOO *", "the month 'FOO'"),
        ("* * * * 5-2", "the day of week '5-2'"),
        ("*/0 * * * *", "the minute"),
        ("1,,2 * * * *", "the minute"),
        ("0 0 L * *", "the day of month 'L'"),
        ("0 12 ? * 2 2027", "five fields"),
    ],
)
def test_what_is_no_expression_is_named_by_its_field(text, words):
    with pytest.raises(UserError, match=r"@schedule\(cron=") as raised:
        parsed(text)

    assert words in str(raised.value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("text", [row[0] for row in ROWS] + ["0 0 1 * FRI"])
def test_systemd_understands_what_it_is_given(text):
    for calendar in parsed(text).on_calendar("Europe/Berlin"):
        result = subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, text=True, check=False, timeout=20)

        assert (result.returncode, "Normalized form" in result.stdout or "Original form" in result.stdout) == (0, True), result.stderr
