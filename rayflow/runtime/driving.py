"""Performs a run that is ours: takes the right to write it, puts the parts together, and records how it ended."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rayflow.catalog.index import note_end
from rayflow.catalog.ownership import Heart
from rayflow.catalog.reading import Ending, drop_ending, open_run, write_ending
from rayflow.catalog.run import RunRecord
from rayflow.catalog.takeover import Tenure, begin, take_over
from rayflow.catalog.view import RunView
from rayflow.engine.scheduler import Scheduler
from rayflow.engine.single import OneTask
from rayflow.flow.definition import FlowDefinition
from rayflow.model.commands import Finish
from rayflow.model.errors import RayflowException, RunFenced, StoreFault, UserError
from rayflow.model.indexes import TaskKey
from rayflow.model.ports import Interpreter, Store
from rayflow.model.records import Outcome, Segment
from rayflow.runtime.assembly import assemble
from rayflow.runtime.conductor import Conductor
from rayflow.runtime.continuing import refuse_continued
from rayflow.runtime.hooks import call_exit_hooks
from rayflow.runtime.notices import Reporter, RunEnded, RunStarted, TaskLabel
from rayflow.runtime.packaging import Code
from rayflow.runtime.repairs import Repairs
from rayflow.runtime.settings import RunResult, Settings


@dataclass(frozen=True)
class Spun:
    """The one task of a run that has no other, the step that leads to it, and what is committed of what it starts from."""

    key: TaskKey
    parent: str | None
    given: tuple[Segment, ...]


@dataclass(frozen=True)
class Plan:
    """A run that is about to be driven: its record, what may be taken over from its origin, what is damaged there, and what is to run
    again all the same. `is_taken_over`: another process wrote it, or claimed its id; `is_reattached`: and drove it. `code` is the code that
    its tasks run, `interpreters` the Pythons of the steps that have one of their own."""

    record: RunRecord
    reusable: tuple[Segment, ...] = ()
    lost: tuple[Segment, ...] = ()
    rerun: frozenset[str] = frozenset()
    is_taken_over: bool = False
    is_reattached: bool = False
    spun: Spun | None = None
    code: Code = field(default_factory=Code)
    interpreters: Mapping[str, Interpreter] = field(default_factory=dict[str, Interpreter])


def drive(definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, plan: Plan) -> RunResult:
    """Performs the plan to its end, records how it ended, and calls the flow's hooks. What keeps it from an end is raised, and recorded as
    far as possible."""
    result = _driven(definition, settings, reporter, store, plan)
    if plan.spun is None:
        call_exit_hooks(definition, store.url, result.run_id, result.outcome, reporter)
    return result


def _driven(definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, plan: Plan) -> RunResult:
    begun = time.monotonic()
    record = plan.record
    if plan.is_taken_over:
        tenure, view = _taken_over(store, record)
    else:
        tenure, view = begin(store, record.layout), RunView(record)
    heart = Heart(store, record.layout, tenure.epoch)
    heart.start()
    has_ended = False
    try:
        reporter.tell(RunStarted(record, store.url, record.origin, plan.is_reattached))
        write_marker_files(settings, record, store.url)
        with assemble(definition, settings, store, record, reporter, view, plan.code.files) as parts:
            conductor = Conductor(
                scheduler=_scheduler(definition, settings, plan, view),
                crew=parts.crew,
                store=store,
                journal=tenure.journal,
                shared=parts.shared,
                view=view,
                narrator=parts.narrator,
                epoch=tenure.epoch,
                specs=dict(definition.specs),
                interpreters=plan.interpreters,
                repairs=Repairs(store, record.flow, record.run_id, plan.lost),
                is_fenced=lambda: heart.is_fenced,
            )
            finish = conductor.run()
            _record_end(store, record, tenure, view, finish)
            has_ended = True
            return _told(reporter, record, conductor, finish, time.monotonic() - begun)
    except RunFenced:
        raise
    except BaseException as fault:
        if not has_ended:
            with contextlib.suppress(StoreFault, RunFenced):
                _record_end(store, record, tenure, view, _cut_short(fault))
                has_ended = True
        raise
    finally:
        heart.stop(gave_up=not has_ended)


def _taken_over(store: Store, record: RunRecord) -> tuple[Tenure, RunView]:
    """The right to write a run that another process drove, or recorded, and what is committed there."""
    tenure = take_over(store, record.layout)
    refuse_continued(store, record)
    drop_ending(store, record.layout)
    return tenure, open_run(store, record.flow, record.run_id).view


def _scheduler(definition: FlowDefinition, settings: Settings, plan: Plan, view: RunView) -> Scheduler:
    if plan.spun is not None:
        return OneTask(definition.graph, definition.specs, plan.spun.key, plan.spun.parent, plan.spun.given)
    return Scheduler(
        definition.graph,
        definition.specs,
        reusable=plan.reusable,
        lost=plan.lost,
        committed=tuple(view.segments()),
        rerun=plan.rerun,
        is_resume=plan.record.origin is not None,
        max_workers=settings.max_workers,
    )


def _cut_short(fault: BaseException) -> Finish:
    """The end of a run that no task decided."""
    if isinstance(fault, KeyboardInterrupt):
        return Finish(Outcome.INTERRUPTED, "interrupted from the keyboard")
    why = str(fault) if isinstance(fault, RayflowException) else f"{type(fault).__name__}: {fault}"
    return Finish(Outcome.FAILED, why)


def _record_end(store: Store, record: RunRecord, tenure: Tenure, view: RunView, finish: Finish) -> None:
    tenure.journal.check_fence()
    ending = Ending(
        outcome=finish.outcome,
        why=finish.why,
        ended_us=time.time_ns() // 1000,
        failed_key=finish.failed,
        failure=finish.failure,
        segments=tuple(view.segments()),
        failed=tuple(failed for attempts in view.failed.values() for failed in attempts),
        epoch=tenure.epoch,
    )
    write_ending(store, record.layout, ending)
    note_end(store, record, finish.outcome)


def _told(reporter: Reporter, record: RunRecord, conductor: Conductor, finish: Finish, seconds: float) -> RunResult:
    label = None
    if finish.failed is not None:
        label = TaskLabel(record.run_id, finish.failed.step, conductor.view.task_id(finish.failed))
    steps = conductor.narrator.steps(conductor.scheduler.progress())
    reporter.tell(RunEnded(record.run_id, finish.outcome, seconds, steps, finish.failed, finish.failure, label))
    code = {Outcome.SUCCEEDED: 0, Outcome.FAILED: 1}.get(finish.outcome, 128 + (conductor.caught_signal or 2))
    return RunResult(record.flow, record.run_id, finish.outcome, code)


def write_marker_files(settings: Settings, record: RunRecord, url: str) -> None:
    """`--run-id-file` and `--runner-attribute-file`, before any task starts."""
    contents = {
        settings.run_id_file: record.run_id,
        settings.runner_attribute_file: json.dumps({"run_id": record.run_id, "flow_name": record.flow, "metadata": url}),
    }
    for path, content in contents.items():
        if path is None:
            continue
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
        except OSError as error:
            raise UserError(f"The file {path!r} for the run's id cannot be written: {error.strerror}. Give another path.") from error
