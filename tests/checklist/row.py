"""A feature and what shows it. A test is named as pytest names it, below tests/.

A feature is shown by a flow that is played on every executor that can, unless it is `beside` the executors: then it says why.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A feature: the page below docs/ that explains it, the tests that show it."""

    feature: str
    page: str
    tests: tuple[str, ...] = ()
    beside: str = ""
    """Why no flow is played on the executors to show it."""
    absent: str = ""
    """Why it is not there."""


def row(feature: str, page: str, *tests: str, beside: str = "", absent: str = "") -> Row:
    return Row(feature, page, tests, beside, absent)


READ = "the flow is read, nothing runs"
LAUNCHED = "it is over before a task begins"
COMMAND = "a command, which does the same whatever performed the run"
READER = "it reads what was stored, whatever performed the run"
PROGRAM = "a program around runs; it starts the command line"
CRASHES = "whole processes are killed: the suite of crashes has drivers of its own"
CARDS = "later: cards"
INTERNAL = "internal to Metaflow: no flow of a user has one"
