"""The ways in: a new run, the same run again, a run that goes on where another ended.

What each has to find out before a task may start is here; `continuing` knows whom a run belongs to, `driving` performs it.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rayflow.catalog.index import note_start
from rayflow.catalog.ownership import last_epoch, this_process
from rayflow.catalog.reading import OpenedRun, open_run
from rayflow.catalog.run import RunRecord, claim_run, read_run
from rayflow.client.tags import tag_list
from rayflow.flow import lint
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.flowdecorators import project_of
from rayflow.flow.graph_info import graph_info
from rayflow.flow.includefile import IncludedFile
from rayflow.flow.parameters import ParameterContext
from rayflow.flow.resolve import resolve
from rayflow.model.errors import StoreExists, UsageError
from rayflow.model.layout import FORMAT_FILE, safe_run_id
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, Outcome
from rayflow.runtime.assembly import source_of
from rayflow.runtime.continuing import (
    branch_of,
    claimed_origin,
    finished,
    in_progress,
    intact,
    newest_run,
    refuse_alive,
    refuse_continued,
    refuse_removed,
    reusable_of,
)
from rayflow.runtime.driving import Plan, drive
from rayflow.runtime.environments import Prepared, prepare, record_with
from rayflow.runtime.notices import Included, Reporter, RunEnded, RunStarted, Silent, Warned
from rayflow.runtime.packaging import Code, code_of
from rayflow.runtime.settings import RunResult, Settings
from rayflow.store import open_root
from rayflow.store.blobs import Blobs


@dataclass(frozen=True)
class Recorded:
    """A run whose record is on its root. `is_new` where that was written just now; `origin` is what it continues, opened."""

    store: Store
    record: RunRecord
    code: Code
    prepared: Prepared
    is_new: bool
    origin: OpenedRun | None = None

    @property
    def plan(self) -> Plan:
        """The run as a new one, that takes nothing over."""
        return Plan(self.record, code=self.code, interpreters=self.prepared.interpreters)


def run_flow(definition: FlowDefinition, given: Mapping[str, Any], settings: Settings, reporter: Reporter | None = None) -> RunResult:
    """Runs the flow to its end; with `settings.run_id` of an existing unfinished run of the same code and parameters it re-attaches.

    `given` are parameter values by attribute name, as text or converted. Raises UserError for what is wrong before the run exists.
    """
    reporter = reporter or Silent()
    recorded = record_run(definition, given, settings, reporter)
    if not recorded.is_new:
        return drive_recorded(definition, settings, reporter, recorded.store, recorded.record, recorded.code)
    return drive(recorded.prepared.definition, settings, reporter, recorded.store, recorded.plan)


def record_run(definition: FlowDefinition, given: Mapping[str, Any], settings: Settings, reporter: Reporter) -> Recorded:
    """The first half of `run_flow`: all that is known before the first task is written, and the run's id is claimed."""
    lint.check(definition.graph)
    context = ParameterContext(flow_name=definition.name, user_name=settings.user)
    values = resolve(definition, given, settings.environ, context)
    store = open_root(settings.root, create=True)
    _warn_of_races(store, reporter)
    for value in values.values():
        if isinstance(value, IncludedFile):
            reporter.tell(Included(value.path, value.nbytes))
    prepared = prepare(definition, settings, store, reporter)
    code = code_of(definition, settings, store, reporter)
    record = record_with(new_record(definition, settings, code, store), prepared)
    blobs = Blobs(store, definition.name, record.run_id)
    record = replace(record, parameters=_stored(blobs, values), constants=_stored(blobs, definition.constants))
    try:
        record = claim_run(store, record, is_id_given=settings.run_id is not None)
    except StoreExists:
        known = read_run(store, definition.name, record.run_id)
        _refuse_other(known, record)
        return Recorded(store, known, code, prepared, is_new=False)
    note_start(store, record)
    return Recorded(store, record, code, prepared, is_new=True)


def resume_flow(
    definition: FlowDefinition,
    settings: Settings,
    reporter: Reporter | None = None,
    *,
    origin_run_id: str | None = None,
    step: str | None = None,
    is_fork: bool = False,
    verifies: bool = False,
) -> RunResult:
    """Continues `origin_run_id` (default: the newest run or resume of this flow by this user) in a new run.

    `step`: run it and what follows again. `is_fork`: free of the claim on an unfinished origin. `verifies`: every value that could be taken
    over is read first, and what was changed since it was stored is computed again. RunOwnedElsewhere when another
    driver is running the origin or already continues it. With `settings.run_id` of a resume of that origin which died, re-attaches to that.
    """
    reporter = reporter or Silent()
    recorded = record_resume(definition, settings, reporter, origin_run_id=origin_run_id, step=step, is_fork=is_fork)
    store, record = recorded.store, recorded.record
    if not recorded.is_new or recorded.origin is None:
        return drive_recorded(definition, settings, reporter, store, record, recorded.code)
    plan = _continuing(recorded.plan, recorded.origin, reporter, verifies=verifies)
    return drive(recorded.prepared.definition, settings, reporter, store, plan)


def record_resume(
    definition: FlowDefinition, settings: Settings, reporter: Reporter, *, origin_run_id: str | None, step: str | None, is_fork: bool
) -> Recorded:
    """The first half of `resume_flow`: the origin is sealed and claimed, and the record of the run that continues it is written."""
    lint.check(definition.graph)
    if step is not None and step not in definition.graph:
        names = ", ".join(node.name for node in definition.graph)
        raise UsageError(f"Cannot resume from '{step}': invalid step name. Valid step names include: {names}.")
    if settings.run_id and settings.run_id.isdecimal():
        raise UsageError(f"The run-id '{settings.run_id}' cannot be an integer: those are given out by rayflow. Begin it with a letter.")
    store = open_root(settings.root, create=False)
    _warn_of_races(store, reporter)
    given = read_run(store, definition.name, safe_run_id(origin_run_id)) if origin_run_id else None
    code = code_of(definition, settings, store, reporter)
    draft = new_record(definition, settings, code, store)
    first = given or newest_run(store, definition.name, settings.user, reporter, branch_of(draft))
    prepared = prepare(definition, settings, store, reporter, first)
    origin, run_id = claimed_origin(store, first, draft.run_id, reporter, is_free=is_fork or step is not None)
    _warn_of_changed_code(draft, origin.record, reporter)
    if origin.record.run_id != first.run_id:
        prepared = prepare(definition, settings, store, reporter, origin.record)
    draft = record_with(replace(draft, run_id=run_id), prepared)
    record = continuation(definition, settings, store, draft, origin.record, step)
    try:
        record = claim_run(store, record, is_id_given=True)
    except StoreExists:
        known = read_run(store, definition.name, run_id)
        if run_id != settings.run_id or known.origin != record.origin or known.resumed_step != step:
            raise in_progress(store, known) from None
        return Recorded(store, known, code, prepared, is_new=False)
    refuse_removed(store, record, origin.record)
    note_start(store, record)
    return Recorded(store, record, code, prepared, is_new=True, origin=origin)


def _continuing(plan: Plan, origin: OpenedRun, reporter: Reporter, *, verifies: bool) -> Plan:
    """The plan of a run that takes over what it can of its origin."""
    segments, rerun = reusable_of(origin)
    segments, lost = intact(origin, segments, reporter, is_thorough=verifies)
    step = plan.record.resumed_step
    return replace(plan, reusable=segments, lost=lost, rerun=rerun | ({step} if step else set()))


# -- the same run again: what a scheduler's retry does -----------------------------------------------------------------


def _refuse_other(known: RunRecord, wanted: RunRecord) -> None:
    """UsageError when the run of that id is another one than was asked for."""
    if known.code != wanted.code or _bytes_of(known.parameters) != _bytes_of(wanted.parameters):
        raise UsageError(
            f"Run id '{known.run_id}' exists with other code or parameters. Give another --run-id, or continue it with "
            f"`resume --origin-run-id {known.run_id}`."
        )


def _bytes_of(artifacts: Mapping[str, Artifact]) -> dict[str, tuple[bytes | None, str | None]]:
    return {name: (artifact.inline, artifact.digest) for name, artifact in artifacts.items()}


def drive_recorded(
    definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, record: RunRecord, code: Code
) -> RunResult:
    """Goes on with a run that is recorded, and has no driver: none yet, or none any more. Nothing happens where it succeeded.
    RunOwnedElsewhere when somebody drives it, or continues it."""
    opened = open_run(store, record.flow, record.run_id)
    had_driver = record.launcher is not None or opened.ending is not None or last_epoch(store, record.layout) > 0
    if opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED:
        reporter.tell(RunStarted(record, store.url, record.origin, is_reattached=True))
        reporter.tell(RunEnded(record.run_id, Outcome.SUCCEEDED, 0.0, ()))
        return RunResult(record.flow, record.run_id, Outcome.SUCCEEDED, 0)
    if opened.ending is None:
        refuse_alive(store, record, reporter)
    refuse_continued(store, record)
    prepared = prepare(definition, settings, store, reporter, record)
    plan = Plan(record, is_taken_over=True, is_reattached=had_driver, code=code, interpreters=prepared.interpreters)
    if record.origin is not None:
        plan = _continuing(plan, open_run(store, record.flow, record.origin), reporter, verifies=False)
    return drive(prepared.definition, settings, reporter, store, plan)


# -- the record of a run -----------------------------------------------------------------------------------------------


def _stored(blobs: Blobs, values: Mapping[str, Any]) -> dict[str, Artifact]:
    return {name: blobs.put(name, value.content if isinstance(value, IncludedFile) else value) for name, value in values.items()}


def new_record(definition: FlowDefinition, settings: Settings, code: Code, store: Store) -> RunRecord:
    """What is known of a run before its parameters are."""
    from rayflow import __version__

    now_us = time.time_ns() // 1000
    project = project_of(definition.decorators, settings.user, settings.branch, settings.is_production)
    facts = {
        "current": project.facts(definition.name) if project else {},
        "namespace": f"user:{settings.user}" if settings.namespace is None else settings.namespace,
        "trigger": [finished(store, pathspec) for pathspec in settings.triggers],
        "python_version": platform.python_version(),
        "rayflow_version": __version__,
        "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",  # platform.platform() starts a process for more
        "host": platform.node(),
        "argv": sys.argv,
        "executor": settings.executor,
        **({"package": code.asked} if code.asked else {}),
        **({"compat": settings.compat} if settings.compat else {}),
        **({"submitted_to": dict(settings.platform), "launch": launch_facts(settings)} if settings.platform else {}),
    }
    return RunRecord(
        flow=definition.name,
        run_id=safe_run_id(settings.run_id) if settings.run_id else str(now_us),
        created_us=now_us,
        user=settings.user,
        graph=definition.graph,
        tags=tuple(tag_list(list(settings.tags))),
        system_tags=(
            f"user:{settings.user}",
            "runtime:dev",
            f"python_version:{platform.python_version()}",
            f"rayflow_version:{__version__}",
            *(project.tags if project else ()),
        ),
        graph_info=graph_info(definition),
        code=code.digest,
        script=os.path.basename(definition.script_path),
        facts=facts,
        decospecs=settings.decospecs,
        launcher=None if settings.platform else this_process(),
    )


_LAUNCH = ("max_workers", "max_num_splits", "max_log_mb", "tables", "is_strict", "namespace", "branch", "is_production")


def launch_facts(settings: Settings) -> dict[str, Any]:
    """What a driver that is started elsewhere is told of how the run was started."""
    return {name: getattr(settings, name) for name in _LAUNCH}


def launched_as(settings: Settings, record: RunRecord) -> Settings:
    """The settings, as those who started the run stated them. Inverse of `launch_facts`."""
    facts: Mapping[str, Any] = record.facts.get("launch", {})
    stated = {name: facts[name] for name in _LAUNCH if name in facts}
    return replace(settings, **stated, user=record.user, run_id=record.run_id, compat=record.facts.get("compat"))


def continuation(
    definition: FlowDefinition, settings: Settings, store: Store, draft: RunRecord, origin: RunRecord, step: str | None
) -> RunRecord:
    """The record of a resume: today's code, the origin's parameters and constants, and the defaults of parameters added since."""
    added = {
        name: parameter
        for name, parameter in definition.parameters.items()
        if name not in origin.parameters and (parameter.has_default or not parameter.required)
    }
    context = ParameterContext(flow_name=definition.name, user_name=settings.user)
    values = resolve(replace(definition, parameters=added), {}, settings.environ, context)
    blobs = Blobs(store, definition.name, draft.run_id)
    return replace(
        draft,
        parameters={
            **{name: artifact.owned_by(origin.run_id) for name, artifact in origin.parameters.items()},
            **_stored(blobs, values),
        },
        constants={
            **{name: artifact.owned_by(origin.run_id) for name, artifact in origin.constants.items()},
            **_stored(blobs, {name: value for name, value in definition.configs.items() if name not in origin.constants}),
        },
        origin=origin.run_id,
        resumed_step=step,
    )


def _warn_of_races(store: Store, reporter: Reporter) -> None:
    """Asked of each endpoint by each driver: two of the three requests are conditional writes, and a root may have been copied here."""
    if store.local_path(FORMAT_FILE) is not None:
        return
    from rayflow.store.remote import can_create_exclusively

    if not can_create_exclusively(store):
        reporter.tell(
            Warned(
                f"The server behind {store.url} ignores conditional writes (If-None-Match), so that nothing keeps two drivers of one run "
                "apart. See to it that a run is not resumed while it is in progress."
            )
        )


def _warn_of_changed_code(draft: RunRecord, origin: RunRecord, reporter: Reporter) -> None:
    if origin.code and draft.code and draft.code != origin.code:
        old = {node.name: node.source for node in origin.graph}
        changed = [node.name for node in draft.graph if node.source != old.get(node.name, node.source) and old[node.name]]
        which = f" in {', '.join(changed)}" if changed else ""
        again = f" `resume {changed[0]}` runs that step again, and what follows." if changed else ""
        reporter.tell(Warned(f"The code changed since run {origin.run_id}{which}. What is done there is reused all the same.{again}"))


__all__ = ["RunResult", "Settings", "resume_flow", "run_flow", "source_of"]
