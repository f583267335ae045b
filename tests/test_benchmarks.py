"""The harness chooses, judges, compares and shows what was measured; and a tiny run of it works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import stored
from benchmarks.bars import Bar, judged
from benchmarks.cluster import WarmCluster
from benchmarks.contenders import Contenders
from benchmarks.measures import Entrant, Findings, Key, Measure, interleaved
from benchmarks.peers import environments
from benchmarks.plot import panels
from benchmarks.programs.durations import ideal_s
from benchmarks.records import newest_run, repeated
from benchmarks.running import Program, Ran, run
from benchmarks.selection import Wanted, wanted
from benchmarks.table import as_text

REPO = Path(__file__).parent.parent
RATE = Key("fanout", "100 trivial", "rayflow", "splits/s")
TIME = Key("hello", "3 steps", "rayflow", "process s")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def beside(limit: float, key: Key) -> Bar:
    return Bar(key, limit, key.of("raw Ray"))


def test_the_table_shows_medians_spreads_and_by_how_much_rayflow_is_better():
    findings = Findings(
        [
            Measure(TIME, [2.0, 1.0, 9.0], "all"),
            Measure(TIME.of("raw Ray"), [8.0], "nothing"),
            Measure(RATE, [50_000.0], "all"),
            Measure(RATE.of("raw Ray"), [1_000.0], "nothing", "of 20 tasks"),
        ],
        ["Dagster could not be installed: no network\nat all"],
    )

    facts, _, _, _, ours, *rows, _, left_out = as_text({"cores": "2"}, findings).splitlines()

    assert facts == "cores 2"
    assert cells(ours) == ["hello", "3 steps", "rayflow", "process s", "2", "1 .. 9", "", "", "all"]
    assert [cells(row) for row in rows] == [
        ["hello", "3 steps", "raw Ray", "process s", "8", "", "4 x", "", "nothing"],
        ["fanout", "100 trivial", "rayflow", "splits/s", "50,000", "", "", "", "all"],
        ["fanout", "100 trivial", "raw Ray (of 20 tasks)", "splits/s", "1,000", "", "50 x", "", "nothing"],
    ]
    assert left_out == "Left out: Dagster could not be installed: no network ... at all"


@pytest.mark.parametrize(
    ("bar", "ours", "theirs", "said"),
    [
        (beside(40, RATE), 4_100.0, 100.0, "met: 41 >= 40 x raw Ray"),
        (beside(40, RATE), 3_900.0, 100.0, "NOT MET: 39 >= 40 x raw Ray"),
        (beside(0.6, TIME), 0.5, 1.0, "met: 0.5 <= 0.6 x raw Ray"),
        (beside(0.6, TIME), 0.7, 1.0, "NOT MET: 0.7 <= 0.6 x raw Ray"),
        (Bar(TIME, 0.4, unit="s"), 0.5, 1.0, "NOT MET: 0.5 <= 0.4 s"),
    ],
)
def test_a_bar_is_judged_by_medians(bar: Bar, ours: float, theirs: float, said: str):
    measures = [Measure(bar.subject, [ours] * 5), Measure(bar.subject.of("raw Ray"), [theirs] * 5)]
    row = next(each for each in measures if each.key == bar.row)

    assert judged(row, Findings(measures), cores=2, bars=[bar]) == said


@pytest.mark.parametrize(("rounds", "cores", "why"), [(4, 2, "4 of 5 rounds"), (5, 16, "16 cores, not 2")])
def test_a_bar_is_not_judged_on_other_terms_than_its_own(rounds: int, cores: int, why: str):
    measures = [Measure(TIME, [1.0] * rounds), Measure(TIME.of("raw Ray"), [4.0] * rounds)]

    said = judged(measures[1], Findings(measures), cores, [beside(0.6, TIME)])

    assert said == f"0.25 (bar: <= 0.6 x raw Ray; not judged: {why})"


def test_a_bar_across_cases_is_shown_beside_rayflows_own_measure():
    plain, switch = Measure(RATE, [10.0] * 5), Measure(RATE._replace(case="100 switch"), [4.0] * 5)
    bar = Bar(switch.key, 0.5, plain.key)

    assert judged(switch, Findings([plain, switch]), 2, [bar]) == "NOT MET: 0.4 >= 0.5 x 100 trivial"
    assert judged(plain, Findings([plain, switch]), 2, [bar]) == ""


def test_entrants_take_turns_and_one_that_fails_is_named_and_left_out():
    turns: list[str] = []

    def take(name: str) -> dict[str, float]:
        turns.append(name)
        if name == "b" and len(turns) > 3:
            raise RuntimeError("no more")
        return {"s": float(len(turns))}

    entrants = [Entrant("x", "case", name, lambda name=name: take(name)) for name in "abc"]

    found = interleaved(entrants, 3, lambda text: None)

    assert turns == ["a", "b", "c", "c", "b", "a", "a", "c"]
    assert [(each.key.contender, each.values) for each in found.measures] == [("a", [1.0, 6.0, 7.0]), ("c", [3.0, 4.0, 8.0])]
    assert found.left_out == ["x, case, b: no more"]


def test_names_are_benchmarks_or_cases_with_sizes():
    assert wanted(["nested:10x20", "cold", "trivial:1000000"]) == [
        Wanted("hello", "cold", ""),
        Wanted("fanout", "nested", "10x20"),
        Wanted("fanout", "trivial", "1000000"),
    ]
    assert wanted(["handoff"]) == [Wanted("handoff", kind, "1024") for kind in ("numpy", "arrow", "pandas")]
    assert {each.benchmark for each in wanted([])} > {"hello", "fault", "memory"}


@pytest.mark.parametrize("name", ["fanuot", "cold:3", "nested:100", "trivial:0", "trivial:1x2"])
def test_a_name_that_is_none_is_refused(name: str):
    with pytest.raises(ValueError, match=r"There is no benchmark|has no size"):
        wanted([name])


def test_a_program_tells_its_figures_anywhere_in_a_line():
    ran = Ran(0.0, 1.0, 1.0, 10.0, 'noise\n2026-01-01 [1/end/2 (pid 3)] fanout {"per_s": 5}\n')

    assert ran.told("fanout") == {"per_s": 5}


def test_a_program_that_ends_otherwise_than_expected_is_no_measure(tmp_path: Path):
    ending = [sys.executable, "-c", "raise SystemExit(3)"]

    assert run(Program(ending, str(tmp_path), exit_code=3)).seconds > 0
    with pytest.raises(RuntimeError, match="ended with 3"):
        run(Program(ending, str(tmp_path)))
    with pytest.raises(RuntimeError, match=r"stopped after 0 s"):
        run(Program([sys.executable, "-c", "import time; time.sleep(60)"], str(tmp_path), limit_s=0.2))


def test_a_peer_that_cannot_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    made = environments(["Luigi"], str(tmp_path / "environments"))

    assert made.pythons == {}
    assert made.left_out == ["Luigi could not be installed: uv was not found, neither on PATH nor beside this Python."]


def test_the_least_time_of_a_fan_out_is_the_total_or_the_longest():
    assert ideal_s("100ms", 200, 2) == pytest.approx(10.0)
    assert ideal_s("straggler", 10, 2) == pytest.approx(0.1)


def test_findings_are_compared_by_how_they_stand_to_others(tmp_path: Path):
    others = [Measure(RATE.of("raw Ray"), [1_000.0]), Measure(TIME._replace(what="peak MB"), [300.0])]
    then = stored.Stored({"ray": "1"}, Findings([Measure(RATE, [30_000.0]), *others]))
    now = stored.Stored({"ray": "2"}, Findings([Measure(RATE, [60_000.0]), *others[:1], Measure(others[1].key, [150.0])]))

    stored.write(str(tmp_path / "then.json"), then)
    differs, _, _, _, *rows = stored.compared(stored.read(str(tmp_path / "then.json")), now).splitlines()

    assert differs == "Differs: ray 1 -> 2"
    assert [cells(row) for row in rows] == [
        ["fanout", "100 trivial", "splits/s", "raw Ray", "30 x", "60 x", "2 x"],
        ["hello", "3 steps", "peak MB", "nothing", "300", "150", "2 x"],
    ]


def test_what_has_no_company_is_not_drawn():
    alone, ours, other = Measure(RATE, [1.0]), Measure(TIME, [1.0]), Measure(TIME.of("raw Ray"), [2.0])

    assert panels(Findings([alone, ours, other])) == [[ours, other]]


def test_a_small_flow_is_measured_and_its_records_say_that_nothing_was_repeated(tmp_path: Path):
    contenders = Contenders(str(tmp_path), sys.executable, {}, WarmCluster(sys.executable, 2))

    with contenders.place("trivial_flow.py") as place:
        ran = contenders.rayflow_in(place, ["trivial_flow.py", "--executor", "inline", "run", "--splits", "50"])
        kept = newest_run(f"{place}/root", "TrivialFlow")

        assert ran.told("fanout")["per_s"] > 0
        assert repeated(kept, "square") == 0
        assert kept.view.steps["square"].total == 50


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_harness_measures_rayflow_beside_ray(tmp_path: Path):
    names = ["few:50", "newest:5"]
    options = ["--rounds", "1", "--peers", "none", "--json", str(tmp_path / "found.json")]

    subprocess.run([sys.executable, "-m", "benchmarks", *names, *options], cwd=REPO, check=True, timeout=280)

    found = stored.read(str(tmp_path / "found.json")).findings
    assert found.left_out == []
    assert {each.key.contender for each in found.measures if each.key.case == "50 trivial"} == {"rayflow", "raw Ray"}
    assert {each.key.benchmark for each in found.measures} == {"fanout", "client"}


@pytest.mark.nightly
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_every_benchmark_runs(tmp_path: Path):
    small = ["--quick", "--peers", "none", "--json", str(tmp_path / "found.json")]

    subprocess.run([sys.executable, "-m", "benchmarks", *small], cwd=REPO, check=True, timeout=1700)

    form = json.loads((tmp_path / "found.json").read_text())
    assert form["left_out"] == []
