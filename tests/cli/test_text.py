import pytest

from rayflow.cli.reporting.text import duration, harmless, size


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (41.2, "41s"), (59.6, "60s"), (250, "4m10s"), (7500, "2h05m"), (273_600, "3d04h")],
)
def test_durations_are_short(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("nbytes", "shown"), [(0, "0 B"), (812, "812 B"), (3_400, "3.4 kB"), (88_000_000, "88 MB"), (999_999, "1.0 MB"), (2.1e12, "2.1 TB")]
)
def test_sizes_are_short(nbytes, shown):
    assert size(int(nbytes)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext", "plain\ttext"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("10%\r50%\r100%", "100%"),
        ("a\x00b\x9bc", "a\\x00b\\x9bc"),
        ("abc\u202edef", "abc\\u202edef"),
        ("windows\r\n", "windows"),
    ],
)
def test_foreign_text_does_nothing_to_a_terminal(text, shown):
    assert harmless(text) == shown
