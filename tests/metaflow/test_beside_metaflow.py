"""The same flows under Metaflow and, with their import changed, under rayflow: equal artifacts, equal dumps, equal exit codes.

Runs where there is a Metaflow: `METAFLOW_PYTHON` names its interpreter, else the environment that `just bench --peers Metaflow` made is
taken. What differs by decision is left out: the sizes of encodings, the type of an included file, what the launcher says in a task's log.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FLOWS = Path(__file__).parent / "flows"
TOLD = """
import json, sys

def shown(value):
    return repr((value.exception, value.type)) if hasattr(value, "stacktrace") else repr(value)

def said(task):
    return task.stdout.partition("@catch")[0].replace("[KILLED BY ORCHESTRATOR]", "").strip()

from {library} import Flow, namespace
namespace(None)
run = next(iter(Flow(sys.argv[1])))
steps = {{}}
for step in run:
    tasks = [
        [-1 if task.index is None else task.index, task.successful, task.finished,
         {{artifact.id: shown(artifact.data) for artifact in task}}, said(task)]
        for task in step
    ]
    steps[step.id] = sorted(tasks, key=lambda told: json.dumps(told, sort_keys=True))
print(json.dumps({{
    "id": run.id, "successful": run.successful, "finished": run.finished, "steps": steps, "tags": sorted(run.user_tags),
    "project": sorted(tag for tag in run.system_tags if tag.startswith("project")),
}}))
"""
_SIZE = re.compile(r"size: \d+ ")
"""Of the encoding: each has its own."""
CASES = [
    ("movie_stats", ()),
    ("movie_stats", ("--quantile", "0.1")),
    ("playlist", ()),
    ("playlist", ("--genre", "Action", "--hint", "h", "--words", "a,b,c", "--weights", "[1]", "--verbose")),
    ("selection", ()),
    ("quality", ()),
    ("quality", ("--missing", "0")),
    ("quality", ("--missing", "6")),
    ("converge", ()),
    ("configured", ("--limit", "9")),
    ("branched", ("--tag", "a", "--tag", "b")),
    ("caught", ()),
    ("secretive", ()),
    ("inherited", ("--size", "7")),
    ("outer", ()),
    ("failing", ()),
    ("sharded", ()),
    ("sharded", ("--nodes", "1")),
    ("sharded", ("--stumbles", "True")),
]


@functools.cache
def metaflow_python() -> str | None:
    """The interpreter that has Metaflow."""
    stated = os.environ.get("METAFLOW_PYTHON")
    kept = sorted((Path.home() / ".cache" / "rayflow-benchmarks").glob("metaflow-*/bin/python"))
    for python in [stated] if stated else [str(path) for path in kept]:
        if subprocess.run([python, "-c", "import metaflow"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def play(python: str, library: str, place: Path, name: str, arguments: tuple[str, ...], *, is_changed: bool = True) -> dict[str, Any]:
    """Runs a flow, its import changed or (`--compat metaflow`) as it is, and tells what its client and its `dump` tell."""
    shutil.copytree(FLOWS, place)
    program = (f"{name}.py",) if is_changed else ("-m", "rayflow", "--compat", "metaflow", f"{name}.py")
    for file in place.glob("*.py") if is_changed else ():
        file.write_text(file.read_text().replace("from metaflow import", f"from {library} import"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAYFLOW_", "METAFLOW_", "PYTHONPATH"))}
    path = os.pathsep.join((os.path.dirname(python), os.environ["PATH"]))  # Metaflow starts the nodes of a gang by "python"
    whose = dict.fromkeys(("USER", "METAFLOW_USER", "RAYFLOW_USER"), "ada")
    environ = {**kept, **whose, "PATH": path, "TMPDIR": str(place.parent), "RAYFLOW_CACHE": "off"}

    def perform(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *words], cwd=place, env=environ, capture_output=True, text=True, timeout=110, check=False)

    result = perform(*program, "run", *arguments)
    flow = re.search(r"class (\w+Flow)\(", (FLOWS / f"{name}.py").read_text())
    assert flow is not None
    looked = perform("-c", TOLD.format(library=library), flow[1])
    assert looked.returncode == 0, looked.stderr + result.stdout + result.stderr
    told = json.loads(looked.stdout)
    dumped = perform(*program, "dump", f"{told['id']}/start")
    lines = dumped.stdout.replace(told["id"], "RUN").splitlines()
    return {
        **told,
        "id": "",
        "exit code": result.returncode,
        "dump": [_SIZE.sub("", line).replace("metaflow.includefile.IncludedFile", "str") for line in lines if line.strip()],
    }


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=[" ".join((name, *arguments)) for name, arguments in CASES])
def test_a_flow_does_the_same(tmp_path, name, arguments):
    python = metaflow_python()
    if python is None:
        pytest.skip("there is no Metaflow here: METAFLOW_PYTHON names no interpreter that has it")

    theirs = play(python, "metaflow", tmp_path / "metaflow", name, arguments)
    ours = play(sys.executable, "rayflow", tmp_path / "rayflow", name, arguments)

    assert ours == theirs


@pytest.mark.parametrize("name", ["movie_stats", "configured", "caught", "secretive", "inherited", "outer", "failing"])
def test_a_flow_that_is_not_changed_does_the_same_with_compat(tmp_path, name):
    changed = play(sys.executable, "rayflow", tmp_path / "changed", name, ())
    unchanged = play(sys.executable, "rayflow", tmp_path / "unchanged", name, (), is_changed=False)

    assert unchanged == changed
