import os

import pytest

from rayflow.client import namespace

FLOW = """
import os
import sys
import time

from rayflow import FlowSpec, JSONType, Parameter, step


class TrainFlow(FlowSpec):
    alpha = Parameter("alpha", default=0.5)
    options = Parameter("some-options", type=JSONType, default="{}")
    count = Parameter("count", type=int, required=True)
    fails = Parameter("fails", type=bool, default=False)
    seconds = Parameter("seconds", default=0.0)

    @step
    def start(self):
        print("alpha is", self.alpha, flush=True)
        print("a complaint", file=sys.stderr)
        time.sleep(self.seconds)
        self.told = os.environ.get("TOLD")
        self.cwd = os.getcwd()
        self.next(self.end)

    @step
    def end(self):
        if self.fails:
            raise ValueError("boom")


if __name__ == "__main__":
    TrainFlow()
"""


@pytest.fixture
def flow_file(tmp_path, monkeypatch):
    """A flow in a directory of its own, which is the working directory; its tasks run in the process that is started."""
    for name in [name for name in os.environ if name.startswith("RAYFLOW_RUN")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    monkeypatch.setenv("RAYFLOW_EXECUTOR", "inline")
    monkeypatch.setenv("RAYFLOW_ROOT", str(tmp_path / ".rayflow"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.chdir(tmp_path)
    namespace("nobody's")
    (tmp_path / "train.py").write_text(FLOW)
    yield "train.py"
    namespace(None)
