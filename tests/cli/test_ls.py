"""`ls` with filters, and the same questions to the client: what is answered, and how few runs are opened for it."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime, timedelta

import pytest

from rayflow.catalog.run import RunRecord
from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.moments import moment_us
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client import Flow, Run, metadata, namespace
from rayflow.client.roots import root_at
from rayflow.model.errors import UsageError, UserError
from rayflow.model.records import Outcome
from rayflow.store import open_root
from tests.client.building import RunBuilder, hello
from tests.client.flows import Hello, Sweep

HOUR_US = 3_600_000_000
NOW = time.time_ns() // 1000


def ended(store, hours, outcome, **record):
    run = RunBuilder(store, Hello, str(NOW - hours * HOUR_US), **record)
    run.lone("start", x=1)
    run.end(outcome)
    return run


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Runs of Hello, so many hours old: 1 failed, 2 succeeded, 30 succeeded, 50 without an end; of Sweep one, 3 hours old."""
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    store = open_root(str(tmp_path / ".rayflow"), create=True)
    ended(store, 1, Outcome.FAILED, parameters={"lr": 0.1, "name": "a b", "deep": {"n": [1]}}, tags=("x",))
    ended(store, 2, Outcome.SUCCEEDED, parameters={"lr": 0.10000001, "name": "1", "on": True})
    ended(store, 30, Outcome.SUCCEEDED, parameters={"lr": 1, "batch_size": 8}, tags=("x", "y"))
    RunBuilder(store, Hello, str(NOW - 50 * HOUR_US))
    RunBuilder(store, Sweep, str(NOW - 3 * HOUR_US)).end()
    metadata(str(tmp_path))
    namespace(None)
    return store.url


def listed(root, *arguments):
    """How many hours old the runs are that `rayflow ls` shows."""
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": root}, "/"), io.StringIO(), io.StringIO())
    code = run_program(call, ["ls", "--json", *arguments])
    if code == 1:
        assert "There are no such runs under" in call.err.getvalue()
        return []
    assert code == 0, call.err.getvalue()
    return [round((NOW - int(run["run_id"])) / HOUR_US) for run in json.loads(call.out.getvalue())]


def date(hours):
    return (datetime.now() - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("arguments", "hours"),
    [
        ([], [1, 2, 3, 30, 50]),
        (["-n", "3"], [1, 2, 3]),
        (["Hello", "-n", "3"], [1, 2, 30]),
        (["--tag", "x"], [1, 30]),
        (["--tag", "x", "--tag", "y"], [30]),
        (["--tag", "user:ada", "-n", "1"], [1]),
        (["--tag", "z"], []),
        (["--status", "succeeded"], [2, 3, 30]),
        (["--status", "failed"], [1]),
        (["--status", "failed", "--status", "unknown"], [1, 50]),
        (["--status", "running"], []),
        (["--since", "24h"], [1, 2, 3]),
        (["--since", "2d"], [1, 2, 3, 30]),
        (["--until", "24h"], [30, 50]),
        (["--since", "8w", "--until", "150m"], [3, 30, 50]),
        (["--since", date(2.5)], [1, 2]),
        (["--until", date(2.5), "--since", date(40)], [3, 30]),
        (["--param", "lr=0.1"], [1]),
        (["--param", "lr=1e-1"], [1]),
        (["--param", "lr=1"], [30]),
        (["--param", "batch-size=8", "--param", "lr=1.0"], [30]),
        (["--param", "name=a b"], [1]),
        (["--param", "name=1"], [2]),
        (["--param", "on=true"], [2]),
        (["--param", "on=1"], []),
        (["--param", 'deep={"n": [1]}'], [1]),
        (["--param", "nosuch=1"], []),
        (["--param", "lr=0.1", "--tag", "y"], []),
    ],
)
def test_filters(root, arguments, hours):
    assert listed(root, *arguments) == hours


def test_a_tag_that_was_added_later_counts(root):
    Run(f"Hello/{NOW - 2 * HOUR_US}").add_tag("late")

    assert listed(root, "--tag", "late") == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since 'soon' is no time"),
        (["--until", "2026-13-01"], "--until '2026-13-01' is no time"),
        (["--param", "lr"], "Give NAME=VALUE"),
        (["--status", "done"], "'done' is not one of"),
    ],
)
def test_what_is_no_filter_is_refused(root, arguments, message):
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": root}, "/"), io.StringIO(), io.StringIO())

    assert run_program(call, ["ls", *arguments]) == 2
    assert message in call.err.getvalue()


def test_a_date_alone_ends_with_its_day():
    begin, end = (moment_us("2026-11-27", "--until", 0, is_end=is_end) for is_end in (False, True))

    assert (end - begin, datetime.fromtimestamp(begin / 1e6)) == (24 * HOUR_US, datetime(2026, 11, 27))
    with pytest.raises(UsageError):
        moment_us("", "--until", 0)


@pytest.mark.parametrize(
    ("arguments", "opened"),
    [
        (["-n", "2"], 2),
        (["--until", "40h", "-n", "5"], 1),
        (["--since", "90m"], 1),
        (["--status", "succeeded", "-n", "1"], 1),
        (["--status", "failed"], 2),
        (["Hello", "--tag", "x", "-n", "1"], 1),
    ],
)
def test_no_more_runs_are_opened_than_are_needed(root, monkeypatch, arguments, opened):
    root_at(root)._open.handles.clear()
    read = []
    parse = RunRecord.from_json
    monkeypatch.setattr(RunRecord, "from_json", staticmethod(lambda form: read.append(form["run_id"]) or parse(form)))

    listed(root, *arguments)

    assert len(read) == opened


def test_a_damaged_run_is_shown_as_such_and_left_out_by_filters(root):
    with open(f"{root}/Hello/runs/{NOW - 2 * HOUR_US}/run.json", "wb") as file:
        file.write(b"?")

    assert listed(root, "-n", "2") == [1, 2]
    assert listed(root, "--param", "lr=0.1") == [1]
    assert listed(root, "--tag", "x") == [1, 30]


def test_the_client_answers_the_same(root):
    flow = Flow("Hello")

    def hours(**wanted):
        return [round((NOW - int(run.id)) / HOUR_US) for run in flow.runs(*wanted.pop("tags", ()), **wanted)]

    assert hours(state="succeeded") == [2, 30]
    assert hours(tags=["x"], since=datetime.now() - timedelta(hours=5)) == [1]
    assert hours(until=datetime.now().astimezone() - timedelta(hours=5)) == [30, 50]
    assert hours(parameters={"lr": 0.1}) == [1]
    assert hours(parameters={"name": "a b", "deep": {"n": [1]}}) == [1]
    assert flow.latest_successful_run is None  # none reached its end step
    with pytest.raises(UserError, match="There is no state 'done'"):
        flow.runs(state="done")


def test_the_latest_successful_run_is_found_among_others(root):
    store = open_root(root, create=False)
    hello(store, str(NOW - 20 * HOUR_US))

    assert Flow("Hello").latest_successful_run.id == str(NOW - 20 * HOUR_US)
