from __future__ import annotations

import pytest

from rayflow.executors import deaths
from rayflow.executors.ray_faults import peak_in


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n"], 3),
        (["oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"], 4),
        ([None, "nr_free_pages 17\noom_kill 5\n"], 5),
        (["oom_kill_disable 0\nunder_oom 0\n", "oom_kill 6\n"], 6),
        (["rubbish"], 0),
        ([], 0),
    ],
    ids=["cgroup v2", "cgroup v1", "no cgroup", "an old kernel's cgroup", "rubbish", "nothing"],
)
def test_the_kernels_count_of_kills_is_found_where_it_is(tmp_path, monkeypatch, files, expected):
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        if text is not None:
            path.write_text(text)
    monkeypatch.setattr(deaths, "_oom_counters", lambda: map(str, paths))

    assert deaths.oom_kills() == expected


def test_this_system_keeps_such_a_count_somewhere():
    assert any(path.endswith(("memory.events", "oom_control", "vmstat")) for path in deaths._oom_counters())


def test_what_a_process_held_is_in_rays_words():
    text = "killed: [\n(lease ID=02, pid=75, actual memory used=9.99GB, worker ID=1)\n(pid=7, actual memory used=0.96GB, worker ID=2)]"

    assert (peak_in(RuntimeError(text), 7), peak_in(RuntimeError(text), 8)) == (int(0.96 * 2**30), 0)
