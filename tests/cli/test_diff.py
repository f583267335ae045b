"""`rayflow diff`: what differs between two runs, and that nothing is unpickled unless it is asked for."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest

from rayflow.cli.commands.call import Call
from rayflow.cli.main import run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.model.indexes import IndexSet
from rayflow.store import open_root
from tests.client.building import T0, RunBuilder, hello
from tests.client.flows import Hello, Sweep

FIRST, SECOND = str(T0), str(T0 + 1)


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / ".rayflow"), create=True)


def typed(store, *arguments):
    call = Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": store.url}, "/"), io.StringIO(), io.StringIO())
    code = run_program(call, ["diff", *arguments])
    return code, call.out.getvalue(), call.err.getvalue()


def section(out, title):
    """The lines of a section."""
    lines = out.split(f"\n{title}\n")[1].split("\n\n")[0] if f"\n{title}\n" in out else ""
    return [line.strip() for line in lines.splitlines()]


def stored(store, run_id, end=True, **artifacts):
    run = RunBuilder(store, Hello, run_id, parameters=artifacts.pop("parameters", {}))
    run.lone("start", **artifacts)
    if end:
        run.lone("end", "start")
        run.end()
    return run


class Unpickled:
    """Says so when it is."""

    times = 0

    def __init__(self, number):
        self.number = number
        self.stamp = os.urandom(8)  # so that no two are stored in the same bytes

    def __repr__(self):
        return f"Unpickled({self.number})"

    def __eq__(self, other):
        return self.number == other.number

    __hash__ = None

    def __setstate__(self, state):
        Unpickled.times += 1
        self.__dict__.update(state)


def test_runs_that_are_the_same_exit_with_0(store):
    hello(store, FIRST)
    hello(store, SECOND)

    code, out, err = typed(store, FIRST, SECOND)

    assert (code, err) == (0, "")
    assert out.startswith(f"--- Hello/{FIRST}\n+++ Hello/{SECOND}\n\nparameters, code and artifacts are the same\n\nstep ")
    assert typed(store, "--quiet", FIRST, SECOND) == (0, "", "")


def test_parameters_and_artifacts_are_told_by_what_was_noted(store):
    stored(store, FIRST, x=1, same=(1, 2), gone="g", w=np.zeros(3), big=np.zeros(30_000), parameters={"lr": 0.5, "old": 1})
    stored(store, SECOND, x=3, same=(1, 2), new=["n"], w=np.ones(3), big=np.zeros(40_000), parameters={"lr": 0.25, "kind": "tree"})

    code, out, _ = typed(store, FIRST, SECOND)

    assert code == 1
    assert section(out, "parameters") == ["lr: 0.5 -> 0.25 (-0.25, -50.000%)", "old: removed, was int 1", "kind: added: str 'tree'"]
    assert section(out, "artifacts") == [
        "start/x: 1 -> 3 (+2, +200.000%)",
        "start/gone: removed, was str 'g'",
        "start/w: ndarray float64 array, shape (3,), 152 B, other content",
        "start/big: ndarray float64 array, shape (30000,) -> ndarray float64 array, shape (40000,)",
        "start/new: added: list ['n']",
    ]


def test_values_are_loaded_when_that_is_asked_for_and_equal_ones_left_out(store):
    stored(store, FIRST, w=np.zeros(3), odd=Unpickled(1), same=Unpickled(7), table={"a": (1, 2)})
    stored(store, SECOND, w=np.array([0, 0, 2.5]), odd=Unpickled(2), same=Unpickled(7), table={"a": (1, 5)})
    Unpickled.times = 0

    code, out, _ = typed(store, FIRST, SECOND)
    assert (code, Unpickled.times) == (1, 0)
    assert [line.split(":")[0] for line in section(out, "artifacts")] == ["start/w", "start/odd", "start/same", "start/table"]

    code, out, _ = typed(store, "--values", FIRST, SECOND)
    assert (code, Unpickled.times) == (1, 4)
    assert section(out, "artifacts") == [
        "start/w: 1 of 3 elements differ, by at most 2.5",
        "start/odd: Unpickled(1) -> Unpickled(2)",
        "start/table: ['a'][1]: 2 -> 5 (+3, +150.000%)",
    ]


def test_with_values_equal_ones_that_were_stored_in_other_bytes_are_no_difference(store):
    stored(store, FIRST, odd=Unpickled(1))
    stored(store, SECOND, odd=Unpickled(1))

    assert (typed(store, FIRST, SECOND)[0], typed(store, "--values", FIRST, SECOND)[0]) == (1, 0)


def test_json_is_for_programs_and_unpickles_nothing_either(store):
    stored(store, FIRST, odd=Unpickled(1))
    stored(store, SECOND, odd=Unpickled(2))
    Unpickled.times = 0

    form = json.loads(typed(store, "--json", FIRST, SECOND)[1])

    assert (form["is_equal"], form["runs"], Unpickled.times) == (False, [f"Hello/{FIRST}", f"Hello/{SECOND}"], 0)
    (artifact,) = form["artifacts"]
    assert (artifact["step"], artifact["name"], artifact["a"]["type"].rpartition(".")[2]) == ("start", "odd", "Unpickled")
    assert [(step["step"], step["tasks"]) for step in form["steps"]] == [("start", [1, 1]), ("end", [1, 1])]


def fan(store, run_id, scores, count=4):
    run = RunBuilder(store, Sweep, run_id)
    run.foreach("start", [count], _foreach_items=list(range(count)))
    run.packed("train", "start", IndexSet.span(0, count), [{"score": score} for score in scores])
    run.end()


def test_of_a_fan_out_it_is_said_how_many_tasks_differ(store):
    fan(store, FIRST, [0, 1, 2, 3])
    fan(store, SECOND, [0, 1, 5, 7])

    code, out, _ = typed(store, FIRST, SECOND)

    assert (code, section(out, "artifacts")) == (1, ["train/score[2]: 2 -> 5 (+3, +150.000%) (2 of 4 tasks differ)"])


def test_the_number_of_tasks_counts(store):
    fan(store, FIRST, [0, 1, 2, 3])
    fan(store, SECOND, [0, 1, 2, 3, 4], 5)

    code, out, _ = typed(store, FIRST, SECOND)

    assert (code, section(out, "artifacts")) == (1, [])
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("train")] == [["train", "4", "->"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([FIRST, "123"], "There is no run '123'"),
        ([FIRST], "takes 2 values"),
        ([FIRST, f"{FIRST}/start"], "Runs are compared"),
    ],
)
def test_what_cannot_be_compared_exits_with_2(store, arguments, message):
    hello(store, FIRST)

    code, out, err = typed(store, *arguments)

    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err


def test_a_damaged_run_exits_with_2(store):
    hello(store, FIRST)
    run = hello(store, SECOND)
    with open(store.local_path(run.layout.end), "r+b") as file:
        file.seek(40)
        file.write(b"####")

    code, out, err = typed(store, FIRST, SECOND)

    assert (code, out) == (2, "") and "damaged" in err
