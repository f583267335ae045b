"""The benchmarks run, and their table says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measures import Measure, Ran, run
from benchmarks.table import as_text

REPO = Path(__file__).parent.parent


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_shows_medians_spreads_and_by_how_much_rayflow_is_better():
    measures = [
        Measure("hello", "3 steps", "rayflow", "process s", [2.0, 1.0, 9.0], "all"),
        Measure("hello", "3 steps", "raw Ray", "process s", [8.0], "nothing"),
        Measure("fanout", "foreach", "rayflow", "splits/s", [50_000.0], "all"),
        Measure("fanout", "foreach", "raw Ray", "splits/s", [1_000.0], "nothing"),
    ]

    facts, _, _, _, ours, *rows = as_text({"cores": "2"}, measures).splitlines()

    assert facts == "cores 2"
    assert cells(ours) == ["hello", "3 steps", "rayflow", "process s", "2", "1 .. 9", "", "all"]
    assert [cells(row) for row in rows] == [
        ["hello", "3 steps", "raw Ray", "process s", "8", "", "4 x", "nothing"],
        ["fanout", "foreach", "rayflow", "splits/s", "50,000", "", "", "all"],
        ["fanout", "foreach", "raw Ray", "splits/s", "1,000", "", "50 x", "nothing"],
    ]


def test_a_program_tells_its_figures_anywhere_in_a_line():
    ran = Ran(1.0, 10.0, 'noise\n2026-01-01 [1/end/2 (pid 3)] fanout {"per_s": 5}\n')

    assert ran.told("fanout") == {"per_s": 5}


def test_a_program_that_fails_is_no_measure(tmp_path: Path):
    with pytest.raises(RuntimeError, match="ended with 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"], str(tmp_path))


@pytest.mark.nightly
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_the_benchmarks_run(tmp_path: Path):
    small = ["--rounds", "1", "--splits", "1000", "--raw-splits", "100", "--sizes", "1", "--json", str(tmp_path / "found.json")]

    subprocess.run([sys.executable, "-m", "benchmarks", "all", *small], cwd=REPO, check=True, timeout=500)

    found = json.loads((tmp_path / "found.json").read_text())
    assert {each["benchmark"] for each in found["measures"]} == {"hello", "fanout", "handoff", "scheduler"}
