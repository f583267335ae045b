"""The record of a run: what is known before its first task. Writing it claims the run id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.ownership import Owner
from rayflow.model.errors import RayflowNotFound, StoreCorrupt, StoreExists, StoreMissing
from rayflow.model.graph import Graph
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says. Created once, never changed.

    `parameters` are the stored parameters and configs, `constants` the class constants (attribute name -> artifact).
    `origin` is the run that this one continues (None for `run`), `resumed_step` the step that was asked for. `created_us` is
    microseconds since 1970, UTC, by the launcher's clock; `launcher` is the process that claimed the id. `code` is the digest of the
    code package, None when the flow has no file.
    """

    flow: str
    run_id: str
    created_us: int
    user: str
    graph: Graph
    tags: tuple[str, ...] = ()
    system_tags: tuple[str, ...] = ()
    parameters: Mapping[str, Artifact] = field(default_factory=dict[str, Artifact])
    constants: Mapping[str, Artifact] = field(default_factory=dict[str, Artifact])
    graph_info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    origin: str | None = None
    resumed_step: str | None = None
    code: str | None = None
    script: str = ""
    decospecs: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    launcher: Owner | None = None

    @property
    def layout(self) -> RunLayout:
        return RunLayout(self.flow, self.run_id)

    @property
    def locks(self) -> dict[str, str]:
        """The digest of the lock of each step that has an environment of its own."""
        steps: Mapping[str, Any] = self.facts.get("environments", {}).get("steps", {})
        return {step: entry["lock"] for step, entry in steps.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "flow": self.flow,
            "run_id": self.run_id,
            "created_us": self.created_us,
            "user": self.user,
            "tags": list(self.tags),
            "system_tags": list(self.system_tags),
            "parameters": wire.artifacts_to_json(self.parameters),
            "constants": wire.artifacts_to_json(self.constants),
            "graph": wire.graph_to_json(self.graph),
            "graph_info": self.graph_info,
            "origin": self.origin,
            "resumed_step": self.resumed_step,
            "code": self.code,
            "script": self.script,
            "decospecs": list(self.decospecs),
            "facts": self.facts,
            "launcher": self.launcher.to_json() if self.launcher else None,
        }

    @staticmethod
    def from_json(form: dict[str, Any]) -> RunRecord:
        return RunRecord(
            flow=form["flow"],
            run_id=form["run_id"],
            created_us=form["created_us"],
            user=form["user"],
            tags=tuple(form.get("tags", ())),
            system_tags=tuple(form.get("system_tags", ())),
            parameters=wire.artifacts_from_json(form.get("parameters", {})),
            constants=wire.artifacts_from_json(form.get("constants", {})),
            graph=wire.graph_from_json(form["graph"]),
            graph_info=form.get("graph_info", {}),
            origin=form.get("origin"),
            resumed_step=form.get("resumed_step"),
            code=form.get("code"),
            script=form.get("script", ""),
            decospecs=tuple(form.get("decospecs", ())),
            facts=form.get("facts", {}),
            launcher=Owner.from_json(form["launcher"]) if form.get("launcher") else None,
        )


def claim_run(store: Store, record: RunRecord, *, is_id_given: bool) -> RunRecord:
    """Creates run.json. A clash of generated ids takes the next number; StoreExists when the id was given from outside."""
    while True:
        try:
            store.write(record.layout.record, [wire.dumps_checked(record.to_json(), record.layout.record)], only_new=True)
        except StoreExists:
            if is_id_given:
                raise
            record = replace(record, run_id=str(int(record.run_id) + 1))
        else:
            return record


def read_run(store: Store, flow: str, run_id: str) -> RunRecord:
    """The record of a run; RayflowNotFound when there is none, StoreCorrupt when it cannot be understood."""
    layout = RunLayout(flow, run_id)
    try:
        text = store.read(layout.record)
    except StoreMissing:
        raise RayflowNotFound(f"Run('{flow}/{run_id}') does not exist under {store.url}.") from None
    try:
        return RunRecord.from_json(wire.loads_checked(text, layout.record))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"The record of run {run_id} is damaged ({store.url}/{layout.record}).", layout.record) from error
