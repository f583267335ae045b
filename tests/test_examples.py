"""The examples run and show the result that they promise; other tools read what they store, without rayflow."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from rayflow.client import open_pathspec
from rayflow.testing import run_flow

EXAMPLES = Path(__file__).parent.parent / "examples"
FLIGHTS = 336_776
BUSIEST = [("UA", 58665), ("B6", 54635), ("EV", 54173)]
"""Flights of the three busiest carriers, as counted in the CSV file itself."""


def command(arguments: list[str], root: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python examples/...`, as a user calls it."""
    script, *rest = arguments
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("RAYFLOW", "RAY_"))}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *rest],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        timeout=100,
        env={**outside, "RAYFLOW_ROOT": str(root / "runs"), "RAYFLOW_USER": "tester", **environ},
    )


def rayflow_path(root: Path, artifact: str) -> str:
    """What `rayflow path` says."""
    result = subprocess.run(
        [str(Path(sys.executable).parent / "rayflow"), "path", artifact, "--root", str(root / "runs")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return result.stdout.strip()


def flow_of(name: str, flow: str) -> Any:
    return getattr(importlib.import_module(f"examples.{name}"), flow)


def test_hello_greets_without_ray(tmp_path: Path):
    (tmp_path / "ray.py").write_text("raise SystemExit('somebody imported ray')\n")

    result = command(["hello.py", "run", "--who", "Ada"], tmp_path, PYTHONPATH=str(tmp_path))

    assert (result.returncode, "HELLO, ADA" in result.stdout) == (0, True), result.stdout + result.stderr


def test_digits_chooses_a_model_that_reads_97_percent_of_the_held_out_digits(tmp_path: Path):
    run = run_flow(flow_of("digits", "DigitsFlow"), root=tmp_path / "runs")

    assert run.data.accuracy >= 0.97
    assert run["evaluate"].table("model", "fold", "score").num_rows == 50
    assert run.data.ranking.num_rows == 10
    assert run.data.best == run.data.ranking["model"][0].as_py()


def test_digits_fails_where_the_accuracy_is_not_good_enough(tmp_path: Path):
    run = run_flow(flow_of("digits", "DigitsFlow"), root=tmp_path / "runs", folds=2, at_least=1.0, check=False)

    assert not run.successful


@pytest.mark.ray
def test_digits_says_its_accuracy_on_the_command_line(tmp_path: Path):
    result = command(["digits.py", "run"], tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    accuracy = float(result.stdout.partition("held-out digits: ")[2].split()[0])
    assert accuracy >= 0.97


BY_CARRIER = "select carrier, sum(flights)::int as n from {} group by carrier order by n desc limit 3"


def check_arrow(artifact: str) -> None:
    """The artifact's file, as four tools read it without rayflow. DuckDB reads Arrow files through pyarrow."""
    with pa.memory_map(artifact) as file:
        routes = pa.ipc.open_file(file).read_all()
    stored = ds.dataset(artifact, format="ipc")  # the name by which DuckDB finds it

    assert sum(routes["flights"].to_pylist()) == FLIGHTS
    assert pl.read_ipc(artifact)["flights"].sum() == FLIGHTS
    assert pd.read_feather(artifact)["flights"].sum() == FLIGHTS
    assert stored.count_rows() == routes.num_rows
    assert duckdb.sql(BY_CARRIER.format("stored")).fetchall() == BUSIEST


def check_parquet(artifact: str) -> None:
    """The artifact's file, as four tools read it without rayflow."""
    assert duckdb.sql(BY_CARRIER.format(f"'{artifact}'")).fetchall() == BUSIEST
    assert sum(pq.read_table(artifact)["flights"].to_pylist()) == FLIGHTS
    assert pl.read_parquet(artifact)["flights"].sum() == FLIGHTS
    assert pd.read_parquet(artifact)["flights"].sum() == FLIGHTS


def test_flights_become_one_table_that_every_tool_reads(tmp_path: Path):
    run = run_flow(flow_of("flights", "FlightsFlow"), root=tmp_path / "runs")

    assert run.data.flown == FLIGHTS
    assert sum(run["delays"].table("flown")["flown"].to_pylist()) == FLIGHTS
    check_arrow(rayflow_path(tmp_path, "latest/gather/routes"))


def test_flights_can_be_stored_as_parquet(tmp_path: Path):
    run = run_flow(flow_of("flights", "FlightsFlow"), root=tmp_path / "runs", tables="parquet")

    assert run.data.flown == FLIGHTS
    check_parquet(rayflow_path(tmp_path, "latest/gather/routes"))


@pytest.mark.ray
def test_flights_on_the_command_line(tmp_path: Path):
    result = command(["flights.py", "run", "--tables", "parquet"], tmp_path)

    assert (result.returncode, "336,776 flights on 224 routes" in result.stdout) == (0, True), result.stdout + result.stderr
    check_parquet(rayflow_path(tmp_path, "latest/gather/routes"))


def test_the_delays_of_a_carrier_are_the_means_of_its_flights(tmp_path: Path):
    run = run_flow(flow_of("flights", "FlightsFlow"), root=tmp_path / "runs")
    (start,) = run["start"]
    flights = start.data.flights.to_pandas()
    expected = flights[flights["carrier"] == "AS"].groupby("month")["arr_delay"].mean()

    routes = run.data.routes.to_pandas()

    alaska = routes[routes["carrier"] == "AS"].set_index("month")["arr_delay_mean"]  # Alaska flies one route: EWR to SEA
    pd.testing.assert_series_equal(alaska, expected, check_names=False)


def test_the_client_opens_what_an_example_stored(tmp_path: Path):
    run = run_flow(flow_of("hello", "HelloFlow"), root=tmp_path / "runs")

    assert open_pathspec(str(tmp_path / "runs"), run.pathspec).data.greeting == "HELLO, WORLD"
