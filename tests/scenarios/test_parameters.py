"""Parameters in steps."""

from __future__ import annotations

from rayflow.runtime.notices import Included
from scenarios.flows import parameters


def test_parameters_have_their_types_and_are_read_only(play, tmp_path):
    (tmp_path / "t.txt").write_text("zażółć\n", encoding="utf-8")
    (tmp_path / "r.bin").write_bytes(b"\x00\xff")

    played = play(
        parameters.Parameters,
        i="5", f="2", b="yes", named="7", js='[1, {"x": 2}]', parts="c,d,e", text=str(tmp_path / "t.txt"), raw=str(tmp_path / "r.bin"),
        parsed=str(tmp_path / "t.txt"),
    )  # fmt: skip

    assert played.data.values == [
        5, 2.0, True, "x", 7, [1, {"x": 2}], {"o": 1}, ["c", "d", "e"], None, "Parameters-ada-computed", "zażółć\n", b"\x00\xff",
        ["zażółć"],
    ]  # fmt: skip
    assert "not modifiable" in played.data.refusal
    assert set(played.data.names) == set("i f b s named js jo parts nothing computed text raw parsed".split())
    assert [notice.nbytes for notice in played.notices if isinstance(notice, Included)] == [11, 2, 11]
    assert played.run["_parameters"].task["text"].data == "zażółć\n"


def test_defaults_apply_and_the_environment_of_the_command_comes_before_them(play):
    data = play(parameters.Parameters, environ={"RAYFLOW_RUN_I": "9", "RAYFLOW_RUN_OTHER_NAME": "8"}).data

    assert data.values == [
        9, 0.5, False, "x", 8, {"a": [1, None]}, {"o": 1}, ["a", "b"], None, "Parameters-ada-computed", None, None, None,
    ]  # fmt: skip
