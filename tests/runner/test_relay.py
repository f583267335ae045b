from rayflow.runner.relay import lines_from


def test_a_line_is_shown_when_it_is_whole_or_when_nothing_more_will_come(tmp_path):
    log = tmp_path / "log"
    log.write_bytes("one\ntwö \xff".encode() + b"\xff")

    assert list(lines_from(str(log), 0, is_over=False)) == [(4, "one")]
    assert list(lines_from(str(log), 4, is_over=True)) == [(12, "twö ÿ\N{REPLACEMENT CHARACTER}")]
    assert list(lines_from(str(log), 12, is_over=True)) == []
