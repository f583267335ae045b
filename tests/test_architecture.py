"""The shape of the code base: what may import what, how long things may get, and who may speak or look around."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rayflow
import rayflow.exception

REPO = Path(__file__).parent.parent
PACKAGE = REPO / "rayflow"
FILES = sorted(PACKAGE.rglob("*.py"))

MUTATORS = {"FlowMutator", "StepMutator", "MutableFlow", "MutableStep"}

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60

DEFERRED_CIRCLES = {
    ("client.data", "client.flows", "client.runs", "client.tasks"): "a run knows its flow, and a flow its runs",
    ("flow.options", "flow.resolve"): "what a click type makes of a text",
    ("store.codecs.culprit", "store.codecs.pickles"): "why pickling failed is found by pickling the parts",
}
"""Modules that need each other when they are used, though not when they are imported."""

UPWARD = ("rayflow.flow.flowspec", "rayflow.cli.main")
"""`MyFlow()` at the end of a script is its command line: the one import that points up."""

MAY_TOUCH_THE_ENVIRONMENT = {
    "rayflow/client/roots.py": "where values from buckets are kept: a notebook has no command line",
    "rayflow/s3/client.py": "credentials and the data root, where a step or a notebook makes an S3",
    "rayflow/store/codecs/shelf.py": "which serializers are switched off, in whatever process one is needed",
    "rayflow/client/session.py": "the root and the user that a notebook means when it names none",
    "rayflow/runtime/assembly.py": "the launcher's environment, sent to the workers of its own machine",
    "rayflow/runtime/environments.py": "programs of an environment are found first by what a step starts there",
    "rayflow/runtime/entering.py": "the program that a cluster's machine runs before a worker starts",
    "rayflow/runtime/session.py": "a worker takes on the launcher's environment",
    "rayflow/runtime/surroundings.py": "@environment around a task, and undoing what a task changed",
    "rayflow/flow/secrets.py": "what @secrets fetches goes there, for one step",
    "rayflow/executors/child.py": "the token by which what user code detached is found when a child ends",
    "rayflow/executors/process.py": "a child gets this process's environment, less PYTHONDONTWRITEBYTECODE",
    "rayflow/executors/ray_libraries.py": "Ray Data is told by the environment alone that nobody draws its progress",
    "rayflow/executors/connecting.py": "the same, while a cluster is joined",
    "rayflow/executors/local.py": "the environment of a cluster that is started here",
    "rayflow/submission/kuberay/api.py": "where the kubeconfig is, which the client of Kubernetes reads once",
    "rayflow/runner/runner.py": "a flow that a program runs gets the program's environment",
}

NAMES_THAT_SAY_IT = {
    "child_task_pathspecs",
    "has_default",
    "parent",
    "parent_task_pathspecs",
    "path_components",
    "pathspec",
    "system_tags",
    "user_tags",
}
"""Properties whose docstring would only repeat their name."""

MAY_PRINT = {
    "rayflow/runtime/worker.py": "into the task's own output: it failed, or @catch swallowed it",
    "rayflow/runtime/failures.py": "the traceback, into the task's own output",
    "rayflow/s3/bucket.py": "into the task's own stderr: a request is made again",
    "rayflow/executors/keeper.py": "into the log of the process that keeps the warm cluster",
    "rayflow/runner/relay.py": "what a flow that a program runs says, where the program asked to see it",
}


def name_of(path: Path) -> str:
    """`rayflow/model/graph.py` -> `rayflow.model.graph`."""
    parts = path.relative_to(REPO).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(tree: ast.AST, *, is_deferred: bool) -> Iterator[str]:
    """What is imported when the module is, and with `is_deferred` also what its functions import. Not what only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not is_deferred:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"imports are absolute: {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports_of(node, is_deferred=is_deferred)


def import_graph(*, is_deferred: bool) -> dict[str, set[str]]:
    """Module -> modules of rayflow that it imports. A name imported from a package counts for the module of that name, if it is one."""
    modules = {name_of(path): path for path in FILES}
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for imported in imports_of(tree_of(path), is_deferred=is_deferred):
            target = imported if imported in modules else imported.rpartition(".")[0]
            if target in modules and target != name and (name, target) != UPWARD:
                graph[name].add(target)
    return graph


def circles_of(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """The largest sets of modules that all lead to each other, sorted; a module by itself is none."""
    reached = {name: reachable(graph, name) for name in graph}
    members = (tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph if name in reached[name])
    return set(members)


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = [start]
    while pending:
        for name in graph[pending.pop()] - seen:
            seen.add(name)
            pending.append(name)
    return seen


def loaded_by(statement: str) -> set[str]:
    """The modules which that statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO, timeout=60)
    return set(result.stdout.split())


def test_the_import_contracts_of_pyproject_hold():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None, "import-linter is not installed: uv sync"

    result = subprocess.run([command, "--no-cache"], capture_output=True, text=True, check=False, cwd=REPO, timeout=100)

    assert result.returncode == 0, result.stdout


def test_no_modules_import_each_other_in_a_circle():
    graph = import_graph(is_deferred=False)

    assert len(graph) > 100
    assert circles_of(graph) == set()


def test_modules_that_need_each_other_later_are_few_and_each_has_a_reason():
    circles = circles_of(import_graph(is_deferred=True))

    assert circles == {tuple(f"rayflow.{name}" for name in circle) for circle in DEFERRED_CIRCLES}


def test_a_circle_of_imports_would_be_found():
    assert circles_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {("a", "b", "c")}


@pytest.mark.parametrize("statement", ["import rayflow", "from rayflow import FlowSpec, Parameter, current, resources, retry, step"])
def test_importing_rayflow_loads_nothing_heavy(statement: str):
    heavy = {"ray", "pyarrow", "fsspec", "s3fs", "click", "rich", "numpy", "pandas", "cloudpickle", "asyncio"}

    assert loaded_by(statement) & heavy == set()


def test_the_client_reads_without_anything_heavy():
    assert loaded_by("from rayflow import Flow, Run, namespace") & {"ray", "pyarrow", "fsspec", "numpy", "rich"} == set()


def test_files_and_functions_fit_a_head():
    too_long: list[str] = []
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            too_long.append(f"{path.relative_to(REPO)}: {lines} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    too_long.append(f"{path.relative_to(REPO)}: {node.name} has {length} lines")

    assert too_long == []


def test_only_the_command_line_prints():
    printing = {
        str(path.relative_to(REPO))
        for path in FILES
        if not path.is_relative_to(PACKAGE / "cli")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }

    assert printing == set(MAY_PRINT)


def test_below_the_command_line_the_environment_is_touched_only_where_a_reason_is_given():
    touching = {
        str(path.relative_to(REPO))
        for path in FILES
        if not path.is_relative_to(PACKAGE / "cli") and not path.is_relative_to(PACKAGE / "testing")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    }

    assert touching == set(MAY_TOUCH_THE_ENVIRONMENT)


def test_every_module_says_why_it_exists():
    assert [str(path.relative_to(REPO)) for path in FILES if not ast.get_docstring(tree_of(path))] == []


def test_every_public_name_is_documented():
    undocumented: list[str] = []
    for name in rayflow.__all__:
        value = getattr(rayflow, name)
        if not inspect.getdoc(value):
            undocumented.append(name)
        if inspect.isclass(value):
            members = inspect.getmembers(value, lambda each: inspect.isfunction(each) or isinstance(each, property))
            public = [member for member, _ in members if not member.startswith("_") and member not in NAMES_THAT_SAY_IT]
            undocumented += [f"{name}.{member}" for member in public if not inspect.getdoc(getattr(value, member))]

    assert undocumented == []


def test_the_exceptions_have_one_public_home():
    public = importlib.import_module("rayflow.exception")
    errors = importlib.import_module("rayflow.model.errors")
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__}

    assert defined - set(vars(public)) == set()


@pytest.mark.parametrize(
    ("facade", "theirs"),
    [
        ("rayflow.parameters", {"Parameter", "JSONType", "JSONTypeClass", "ParameterContext"}),
        ("rayflow.events", {"Trigger", "RayflowEvent"}),
        ("rayflow.decorators", {"step", "user_step_decorator", "UserStepDecorator", "USER_SKIP_STEP"} | MUTATORS),
    ],
)
def test_a_module_that_metaflow_users_import_from_has_what_they_import_and_nothing_of_its_own(facade: str, theirs: set[str]):
    module = importlib.import_module(facade)
    origins = {name: getattr(rayflow, name, None) or getattr(rayflow.exception, name, None) for name in module.__all__}

    assert theirs - set(module.__all__) == set()
    assert [name for name, origin in origins.items() if origin is not None and getattr(module, name) is not origin] == []
    assert [
        node for node in tree_of(REPO / f"{facade.replace('.', '/')}.py").body if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    ] == []
    assert loaded_by(f"import {facade}") & {"ray", "pyarrow", "fsspec", "click", "rich", "numpy"} == set()
