"""Which functions of two code packages differ."""

from __future__ import annotations

from rayflow.client.codediff import code_changes

BEFORE = '''
import os

RATE = 0.1

class Train(Flow):
    """Trains."""

    alpha = Parameter("alpha")

    @step
    def start(self):
        self.x = 1  # one
        self.next(self.end)

    @retry(times=1)
    @step
    def end(self):
        pass

def helper(x):
    def inner():
        return x
    return inner
'''


def changes(before, after, **files):
    found = code_changes({"train.py": before.encode(), **files}, {"train.py": after.encode()}, ("a", "b"))
    return [(change.name, change.change) for change in found]


def test_form_alone_is_no_change():
    assert changes(BEFORE, BEFORE.replace("  # one", "   # another").replace("\n\n", "\n\n\n")) == []


def test_functions_and_methods_are_told_by_name():
    after = (
        BEFORE.replace("self.x = 1", "self.x = 2")
        .replace("times=1", "times=2")
        .replace("def helper", "def helped")
        .replace("return x\n", "return x\n", 1)
    )

    assert changes(BEFORE, after) == [
        ("train.py:Train.start", "changed"),
        ("train.py:Train.end", "changed"),
        ("train.py:helper", "removed"),
        ("train.py:helped", "added"),
    ]


def test_what_is_outside_functions_is_the_files():
    assert changes(BEFORE, BEFORE.replace("RATE = 0.1", "RATE = 0.2")) == [("train.py", "changed")]
    assert changes(BEFORE, BEFORE.replace('"alpha")', '"alpha", default=1)')) == [("train.py", "changed")]
    assert changes(BEFORE, BEFORE.replace("return x\n", "return x + 1\n")) == [("train.py:helper", "changed")]


def test_other_files_come_and_go():
    assert changes(BEFORE, BEFORE, **{"data.json": b"{}", "lib/a.py": b"def f(): pass\nX = 1"}) == [
        ("data.json", "removed"),
        ("lib/a.py:f", "removed"),
        ("lib/a.py", "removed"),
    ]


def test_what_cannot_be_read_is_compared_as_bytes():
    assert changes(BEFORE, "def broken(:") == [
        ("train.py:Train.start", "removed"),
        ("train.py:Train.end", "removed"),
        ("train.py:helper", "removed"),
        ("train.py", "changed"),
    ]
    found = code_changes({"x.bin": b"\xff\x00"}, {"x.bin": b"\xff\x01"}, ("a", "b"))
    assert [(change.name, change.change, change.diff) for change in found] == [("x.bin", "changed", "")]


def test_the_diff_shows_decorators_and_comments_as_they_were_written():
    (change,) = code_changes({"t.py": BEFORE.encode()}, {"t.py": BEFORE.replace("times=1", "times=2").encode()}, ("one", "two"))

    assert change.diff.splitlines()[:5] == [
        "--- one/t.py:Train.end",
        "+++ two/t.py:Train.end",
        "@@ -1,4 +1,4 @@",
        "-    @retry(times=1)",
        "+    @retry(times=2)",
    ]
