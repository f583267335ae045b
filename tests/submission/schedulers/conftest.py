from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rayflow.catalog.deployments import store_deployment
from rayflow.cli.target import load_flow
from rayflow.flow.definition import define
from rayflow.model.ports import Store
from rayflow.runtime.notices import Silent
from rayflow.runtime.settings import Settings
from rayflow.store import open_root
from rayflow.submission.deploying import Order, prepare
from rayflow.submission.schedulers.shipment import Shipment

TRAIN = """
from rayflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, project, retry, schedule, step

ABOVE


class TrainFlow(FlowSpec):
    alpha = Parameter("alpha", default=0.1, help="how fast")
    n_trees = Parameter("n-trees", default=5)
    words = Parameter("words", default="a,b", separator=",")
    spec = Parameter("spec", type=JSONType, default='{"x": [1, 2]}')
    note = Parameter("note", type=str)
    deep = Parameter("deep", default=True)
    who = Parameter("who", default=lambda context: f"by {context.user_name}")
    notes = IncludeFile("notes", default="notes.txt")
    cfg = Config("cfg", default_value={"depth": 3})
    KINDS = ("x", "y")
    FIELDS

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrainFlow()
"""


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the flow into a file, with what is to stand above the class and in it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("some notes")

    def write(above: str = "", fields: str = "", source: str = TRAIN) -> Path:
        text = source.replace("\nABOVE\n\n\n", f"\n\n{above}\n" if above else "\n\n").replace("FIELDS", fields)
        path = tmp_path / f"code-{zlib.crc32(text.encode())}" / "train.py"  # Python remembers the lines of a file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        sys.modules.pop("train", None)
        return path

    return write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_root(str(tmp_path / "root"), create=True)


@pytest.fixture
def shipped(train: Callable[..., Path], store: Store) -> Callable[..., Shipment]:
    """Deploys the flow, as `create` does it, but for the name."""

    def ship(
        above: str = "", fields: str = "", source: str = TRAIN, scheduler: str = "cron", retries: int = 0, **settings: Any
    ) -> Shipment:
        definition = define(load_flow(str(train(above, fields, source))))
        order = Order(scheduler, Settings(root=store.url, user="ada", **settings), token="token-of-ada")
        deployment = prepare(definition, order, store, Silent())
        return Shipment(deployment, store_deployment(store, deployment), "s3://bucket/flows", definition.specs, retries)

    return ship


@pytest.fixture
def on_time(shipped: Callable[..., Shipment]) -> Callable[..., Shipment]:
    """The same of a flow with a schedule."""

    def ship(cron: str = "0 6 * * MON-FRI", zone: str | None = None, **keywords: Any) -> Shipment:
        return shipped(f"@schedule(cron={cron!r}, timezone={zone!r})", **keywords)

    return ship


def without_cron(shipment: Shipment) -> Shipment:
    return replace(shipment, deployment=replace(shipment.deployment, cron=None))
