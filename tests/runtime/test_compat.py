"""What `import metaflow` finds in the mode, and that the mode leaves nothing behind."""

import importlib
import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest

import rayflow
from rayflow.model.errors import UsageError
from rayflow.runtime import compat
from rayflow.runtime.loading import load_flow
from rayflow.runtime.shared import FlowSource


@pytest.fixture(autouse=True)
def _mode(monkeypatch):
    """Every test begins in the mode, and ends out of it. The tests beside Metaflow are a package `metaflow` for pytest: it is hidden."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "metaflow"]:
        monkeypatch.delitem(sys.modules, name)
    compat.enter("metaflow")
    yield
    compat.enter(None)


def test_the_public_names_are_those_of_rayflow():
    import metaflow

    assert {
        name for name in rayflow.__all__ if getattr(metaflow, name.replace("Rayflow", "Metaflow")) is not getattr(rayflow, name)
    } == set()
    assert (metaflow.Metaflow is rayflow.Rayflow, metaflow.__version__) == (True, rayflow.__version__)
    assert {"FlowSpec", "Metaflow", "JSONTypeClass"} <= set(dir(metaflow)) and "Rayflow" not in dir(metaflow)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("from metaflow.exception import MetaflowException as x", "rayflow.exception.RayflowException"),
        ("from metaflow.exception import MetaflowNotFound as x", "rayflow.exception.RayflowNotFound"),
        ("from metaflow.exception import UnhandledInMergeArtifactsException as x", "rayflow.exception.UnhandledInMergeArtifactsException"),
        ("from metaflow.flowspec import InvalidNextException as x", "rayflow.exception.InvalidNextException"),
        ("from metaflow.client import Run as x", "rayflow.Run"),
        ("from metaflow.client.core import Metaflow as x", "rayflow.Rayflow"),
        ("from metaflow.parameters import JSONType as x", "rayflow.JSONType"),
        ("from metaflow.parameters import ParameterContext as x", "rayflow.parameters.ParameterContext"),
        ("from metaflow import JSONTypeClass as x", "rayflow.parameters.JSONTypeClass"),
        ("from metaflow.events import Trigger as x", "rayflow.events.Trigger"),
        ("from metaflow.events import MetaflowEvent as x", "rayflow.events.RayflowEvent"),
        ("from metaflow.runner.metaflow_runner import Runner as x", "rayflow.Runner"),
        ("from metaflow.decorators import step as x", "rayflow.step"),
        ("from metaflow.decorators import BadStepDecoratorException as x", "rayflow.exception.BadStepDecoratorException"),
        ("from metaflow.user_decorators.mutable_step import MutableStep as x", "rayflow.decorators.MutableStep"),
        ("from metaflow.user_decorators.user_step_decorator import USER_SKIP_STEP as x", "rayflow.USER_SKIP_STEP"),
        ("from metaflow.user_decorators.user_step_decorator import user_step_decorator as x", "rayflow.user_step_decorator"),
        ("from metaflow.user_decorators.user_flow_decorator import FlowMutator as x", "rayflow.FlowMutator"),
        ("from metaflow.plugins.timeout_decorator import TimeoutException as x", "rayflow.exception.TimeoutException"),
        ("from metaflow.plugins.datatools.s3 import MetaflowS3NotFound as x", "rayflow.exception.RayflowS3NotFound"),
        ("from metaflow.plugins.datatools.s3.s3 import S3GetObject as x", "rayflow.s3.S3GetObject"),
        ("from metaflow.datatools import S3 as x", "rayflow.S3"),
        ("from metaflow.datastore.artifacts import ArtifactSerializer as x", "rayflow.datastore.artifacts.ArtifactSerializer"),
        (
            "from metaflow.datastore.artifacts.diagnostic import list_serializer_status as x",
            "rayflow.store.codecs.shelf.list_serializer_status",
        ),
        ("import metaflow.metaflow_current\nx = metaflow.metaflow_current.current", "rayflow.current"),
        ("import metaflow\nx = metaflow.exception.MetaflowException", "rayflow.exception.RayflowException"),
        ("import metaflow as m\nx = m.client.Flow", "rayflow.Flow"),
    ],
)
def test_every_way_to_import_a_name_finds_ours(statement, value):
    found: dict = {}
    exec(statement, found)
    module, _, name = value.rpartition(".")

    assert found["x"] is getattr(importlib.import_module(module), name)


def test_a_star_is_the_public_names():
    found: dict = {}
    exec("from metaflow import *", found)

    assert (found["FlowSpec"], found["Metaflow"], "Rayflow" in found) == (rayflow.FlowSpec, rayflow.Rayflow, False)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "from metaflow import R",
            r"rayflow has no 'metaflow.R'\. Call R as .* `rayflow doctor FLOW.py`",
        ),
        ("from metaflow import Nonsense", r"rayflow has no 'metaflow.Nonsense'\. `rayflow doctor FLOW.py` lists"),
        ("from metaflow import flow", "rayflow has no 'metaflow.flow'"),
        ("import metaflow.plugins.aws", r"rayflow has no 'metaflow.plugins.aws'\. Import the public name"),
        ("from metaflow.plugins.aws.batch import Batch", "rayflow has no 'metaflow.plugins.aws'"),
        ("from metaflow.exception import Nonsense", "rayflow has no 'metaflow.exception.Nonsense'"),
        ("from metaflow.metaflow_config import DATATOOLS_S3ROOT", "rayflow has no 'metaflow.metaflow_config'. Read what you need"),
    ],
)
def test_what_is_not_there_is_an_import_error_that_says_what_to_do(statement, told):
    with pytest.raises(ImportError, match=told):
        exec(statement, {})


def test_a_flow_may_ask_what_there_is():
    import metaflow

    assert (hasattr(metaflow, "R"), getattr(metaflow, "Nonsense", 1), hasattr(metaflow, "step")) == (False, 1, True)
    assert (compat.served("metaflow", "R"), compat.served("metaflow", "step")) == (False, True)
    assert not compat.exists("metaflow.nothing")


def test_every_alias_leads_to_names_that_exist():
    empty = [module for module, targets in compat.ALIASES.items() if targets and not compat.exists(module)]

    assert set(empty) <= {"metaflow.cards", "metaflow.plugins.cards.exception", "metaflow.datatools", "metaflow.plugins.datatools"}
    for module in compat.ALIASES.keys() - set(empty):
        loaded = importlib.import_module(module)
        assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


def test_leaving_the_mode_leaves_nothing_behind():
    import metaflow

    assert metaflow.step
    compat.enter(None)

    assert ([name for name in sys.modules if name.partition(".")[0] == "metaflow"], compat.active()) == ([], None)


def test_a_real_metaflow_is_set_aside_and_put_back(tmp_path, monkeypatch):
    compat.enter(None)
    (tmp_path / "metaflow").mkdir()
    (tmp_path / "metaflow" / "__init__.py").write_text("real = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    real = importlib.import_module("metaflow")
    compat.enter("metaflow")
    served = importlib.import_module("metaflow")
    compat.enter(None)
    after = importlib.import_module("metaflow")
    sys.modules.pop("metaflow")

    assert (real.real, served.step is rayflow.step, hasattr(served, "real"), after is real) == (True, True, False, True)


def test_an_unknown_mode_is_refused():
    with pytest.raises(UsageError, match=r"There is no --compat airflow\. Give metaflow"):
        compat.enter("airflow")


def test_a_worker_is_in_the_mode_of_the_flow_that_it_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "moded_flow.py"
    path.write_text("from {} import FlowSpec, step\n".format("metaflow") + "class Moded(FlowSpec):\n    pass\n")
    plain = tmp_path / "plain_flow.py"
    plain.write_text("from rayflow import FlowSpec\nclass Plain(FlowSpec):\n    pass\n")
    compat.enter(None)

    def loaded(file, name, mode):
        load_flow(FlowSource(name, file.stem, str(file), compat=mode), lambda code: "")
        return compat.active()

    modes = [loaded(path, "Moded", "metaflow"), loaded(plain, "Plain", None), loaded(path, "Moded", "metaflow")]
    for module in ("moded_flow", "plain_flow"):
        sys.modules.pop(module)

    assert modes == ["metaflow", None, "metaflow"]


def test_the_mode_loads_nothing_that_a_flow_does_not_ask_for():
    code = (
        "import sys; from rayflow.runtime.compat import enter; enter('metaflow'); from metaflow import FlowSpec, step, current; "
        "print(sorted({'ray', 'pyarrow', 'fsspec', 'rayflow.client', 'rayflow.runner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "[]\n"


def test_modules_of_the_mode_are_modules():
    spec = importlib.util.find_spec("metaflow.client")

    assert spec is not None and isinstance(importlib.import_module("metaflow.client"), ModuleType)
