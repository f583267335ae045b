"""`tag add | remove | replace | list`, as their user types them, on roots made in this process."""

from __future__ import annotations

import io
import json

import pytest

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.main import run_flow_command, run_program
from rayflow.cli.reporting.prompt import Prompt
from rayflow.cli.settings import Surroundings
from rayflow.client import Run, metadata, namespace
from rayflow.store import open_root
from tests.cli.telling import Terminal
from tests.client.building import T0, hello, sweep
from tests.client.flows import Hello

SYSTEM = ["python_version:3.11.7", "rayflow_version:0.1.0", "runtime:dev", "user:ada"]
FIRST, SECOND = str(T0), str(T0 + 1)
NAME = f"Hello/{FIRST}"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two runs of Hello, one of Sweep."""
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    store = open_root(str(tmp_path / ".rayflow"), create=True)
    hello(store, FIRST, tags=("old",))
    hello(store, SECOND, system_tags=("user:bob",))
    sweep(store)
    metadata(str(tmp_path))
    namespace(None)
    return store.url


def call_at(root, out=None):
    return Call(Prompt("rayflow"), Surroundings({"RAYFLOW_ROOT": root, "USER": "ada"}, "/"), out or io.StringIO(), io.StringIO())


def typed(root, *arguments):
    """Exit code, stdout and stderr of `rayflow tag ARGUMENTS`."""
    call = call_at(root)
    code = run_program(call, ["tag", *arguments])
    return code, call.out.getvalue(), call.err.getvalue()


def of_flow(root, *arguments):
    """The same of `python hello.py ARGUMENTS`."""
    call = call_at(root)
    code = run_flow_command(FlowCall(call, Hello), arguments)
    return code, call.out.getvalue(), call.err.getvalue()


def tags(run_id, flow="Hello"):
    return sorted(Run(f"{flow}/{run_id}").user_tags)


def test_tags_are_added_removed_and_replaced(root):
    code, out, err = typed(root, "add", SECOND, "good", "user:ann")

    assert (code, out, err) == (
        0,
        "Operation successful. New tags:\ntag       whose\ngood      user\nuser:ann  user\nuser:bob  system\n",
        "",
    )
    assert typed(root, "remove", f"Hello/{SECOND}", "user:ann", "never")[0] == 0
    assert typed(root, "replace", "--run-id", SECOND, "--remove", "good", "--add", "b", "--add", "a", "--quiet")[1] == (
        f"Hello/{SECOND} ; user:bob ; a,b\n"
    )
    assert tags(SECOND) == ["a", "b"]


def test_a_flow_names_its_run_with_an_option(root):
    code, _, err = of_flow(root, "tag", "add", "x")
    assert code == 1
    assert f"--run-id {SECOND}" in err and tags(SECOND) == []

    assert of_flow(root, "--quiet", "tag", "add", "--run-id", FIRST, "x", "y") == (
        0,
        f"Hello/{FIRST} ; {','.join(SYSTEM)} ; old,x,y\n",
        "",
    )
    assert of_flow(root, "tag", "remove", "--run-id", FIRST, "x")[2] == "rayflow 0.1.0 executing Hello for user:ada\n"


def test_users_tags_stand_out_on_a_terminal(root):
    call = call_at(root, Terminal())

    run_program(call, ["tag", "list", NAME])

    bold = [line for line in call.out.getvalue().splitlines() if line.startswith("\x1b[1m")]
    assert [line[4:].split()[0] for line in bold] == ["old"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", NAME], 1, "at least one tag"),
        (["add", NAME, ""], 1, "must not be empty"),
        (["remove", NAME, "user:ada"], 1, "Cannot remove 'user:ada'"),
        (["add", "123", "x"], 1, "There is no run '123'"),
        (["add", NAME, "x", "--namespace", "user:bob"], 1, "not in namespace 'user:bob'"),
        (["replace", NAME, "--add", "x"], 1, "use `tag add` or `tag remove`"),
        (["replace", NAME, "x", "--add", "x", "--remove", "y"], 2, "unexpected argument 'x'"),
        (["add", f"{NAME}/start", "x"], 2, "Tags belong to runs"),
        (["add"], 1, "must be named with --run-id"),
        (["list", "nope"], 1, "There is no run 'nope'"),
        (["list", "--namespace", "nobody"], 1, "There are no such runs"),
        (["list", "--all", "--my-runs"], 2, "exclude each other"),
        (["list", "--flat", "--group-by-tag"], 2, "exclude each other"),
    ],
)
def test_what_cannot_be_done_is_one_short_message_and_changes_nothing(root, arguments, code, message):
    found = typed(root, *arguments)

    assert (found[0], found[1]) == (code, "")
    assert message in found[2]
    assert tags(FIRST) == ["old"]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["list", "--hide-system-tags"], ["tag  runs", "new  2", "old  1"]),
        (["list", "Hello", "--hide-system-tags"], ["tag  runs", "new  1", "old  1"]),
        (["list", NAME, "--hide-system-tags"], ["tag  whose", "new  user", "old  user"]),
        (["list", "--run-id", NAME, "--flat"], ["new", "old", *SYSTEM]),
        (["list", "--flat", "--namespace", "user:bob"], ["user:bob"]),
        (["list", "Hello", "--my-runs", "--flat", "--hide-system-tags"], ["new", "old"]),
        (
            ["list", "--group-by-run", "--hide-system-tags"],
            ["run                     tags", f"Hello/{SECOND}", f"Hello/{FIRST}  new, old", f"Sweep/{FIRST}  new"],
        ),
        (["list", "--group-by-tag", "--hide-system-tags"], ["tag  runs", f"new  Hello/{FIRST}, Sweep/{FIRST}", f"old  Hello/{FIRST}"]),
        (["list", "Hello", "--quiet", "--hide-system-tags"], [f"Hello/{SECOND} ;  ; ", f"Hello/{FIRST} ;  ; new,old"]),
    ],
)  # fmt: skip
def test_lists(root, arguments, lines):
    for flow in ("Hello", "Sweep"):
        Run(f"{flow}/{FIRST}").add_tag("new")

    assert typed(root, *arguments) == (0, "\n".join(lines) + "\n", "")


def test_a_flow_lists_its_own_runs_and_json_is_for_programs(root):
    forms = json.loads(of_flow(root, "--quiet", "tag", "list", "--json")[1])

    assert forms == [
        {"run": f"Hello/{SECOND}", "system_tags": ["user:bob"], "tags": []},
        {"run": f"Hello/{FIRST}", "system_tags": SYSTEM, "tags": ["old"]},
    ]


def test_only_the_first_argument_can_be_a_flow(root, tmp_path):
    assert typed(root, "add", SECOND, "module:Class", "model.py")[0] == 0
    assert tags(SECOND) == ["model.py", "module:Class"]

    code, _, err = typed(root, "add", str(tmp_path / "no.py"), "x")
    assert code == 2 and "There is no file" in err
