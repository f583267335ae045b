"""The composition root: puts store, catalog, executors, engine and conductor together for one run."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog.index import note_end, note_start, runs_of
from rayflow.catalog.journal import JournalReader, JournalWriter
from rayflow.catalog.ownership import Heart, claim_continuation, is_alive, owner_of, take_epoch
from rayflow.catalog.reading import Ending, OpenedRun, drop_ending, open_run, write_ending
from rayflow.catalog.run import RunRecord, claim_run, read_run
from rayflow.catalog.view import RunView
from rayflow.engine.scheduler import Scheduler
from rayflow.flow import lint
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.graph_info import graph_info
from rayflow.flow.includefile import IncludedFile
from rayflow.flow.parameters import ParameterContext
from rayflow.flow.resolve import resolve
from rayflow.model.commands import Finish
from rayflow.model.errors import RayflowNotFound, RunOwnedElsewhere, StoreExists, UsageError
from rayflow.model.layout import safe_run_id
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, Outcome, Segment
from rayflow.runtime.assembly import assemble, source_of
from rayflow.runtime.conductor import Conductor
from rayflow.runtime.notices import Included, Reporter, RunEnded, RunStarted, Silent, TaskLabel, Warned
from rayflow.runtime.package import build_package, store_package
from rayflow.store import open_root
from rayflow.store.blobs import Blobs


@dataclass(frozen=True)
class Settings:
    """What a run needs to know that the flow does not say. Read once, by the entry point.

    `root` is a directory or any fsspec URL. `executor` is `auto`, `ray`, `process` or `inline`. `environ` is what parameters and
    callables may see of the environment. `is_strict`: a need beyond the machine is refused instead of cut (`--strict-resources`).
    """

    root: str = ".rayflow"
    executor: str = "auto"
    address: str | None = None
    max_workers: int | None = None
    max_num_splits: int | None = None
    max_log_mb: int = 10
    user: str = ""
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    run_id_file: str | None = None
    runner_attribute_file: str | None = None
    namespace: str | None = None
    is_strict: bool = False
    environ: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; `exit_code` as DESIGN 5: 0, 1, 130 (SIGINT) or 143 (SIGTERM)."""

    flow: str
    run_id: str
    outcome: Outcome
    exit_code: int


@dataclass(frozen=True)
class _Plan:
    """A run that is about to be driven: its record, what of it is committed, and what may be taken over."""

    record: RunRecord
    committed: tuple[Segment, ...] = ()
    reusable: tuple[Segment, ...] = ()
    rerun: frozenset[str] = frozenset()
    is_reattached: bool = False


def run_flow(definition: FlowDefinition, given: Mapping[str, Any], settings: Settings, reporter: Reporter | None = None) -> RunResult:
    """Runs the flow to its end; with `settings.run_id` of an existing unfinished run of the same code and parameters it re-attaches.

    `given` are parameter values by attribute name, as text or converted. Raises UserError for what is wrong before the run exists.
    """
    reporter = reporter or Silent()
    lint.check(definition.graph)
    context = ParameterContext(flow_name=definition.name, user_name=settings.user)
    values = resolve(definition, given, settings.environ, context)
    store = open_root(settings.root, create=True)
    run_id = safe_run_id(settings.run_id) if settings.run_id else str(time.time_ns() // 1000)
    for value in values.values():
        if isinstance(value, IncludedFile):
            reporter.tell(Included(value.path, value.nbytes))
    blobs = Blobs(store, definition.name, run_id)
    plain = {name: value.content if isinstance(value, IncludedFile) else value for name, value in values.items()}
    record = _new_record(definition, settings, store, run_id)
    record = _with(record, parameters=_stored(blobs, plain), constants=_stored(blobs, definition.constants))
    try:
        record = claim_run(store, record, is_id_given=settings.run_id is not None)
    except StoreExists:
        return _reattach(definition, settings, reporter, store, record)
    note_start(store, record)
    return _drive(definition, settings, reporter, store, _Plan(record))


def _stored(blobs: Blobs, values: Mapping[str, Any]) -> dict[str, Artifact]:
    return {name: blobs.put(name, value) for name, value in values.items()}


def _with(record: RunRecord, **changes: Any) -> RunRecord:
    from dataclasses import replace

    return replace(record, **changes)


def _new_record(definition: FlowDefinition, settings: Settings, store: Store, run_id: str) -> RunRecord:
    from rayflow import __version__

    code = None
    if definition.script_path and os.path.isfile(definition.script_path):
        code = store_package(store, definition.name, build_package(definition.script_path))
    facts = {
        "python_version": platform.python_version(),
        "rayflow_version": __version__,
        "platform": platform.platform(),
        "host": platform.node(),
        "argv": sys.argv,
        "executor": settings.executor,
    }
    return RunRecord(
        flow=definition.name,
        run_id=run_id,
        created_us=time.time_ns() // 1000,
        user=settings.user,
        graph=definition.graph,
        tags=settings.tags,
        system_tags=(
            f"user:{settings.user}",
            "runtime:dev",
            f"python_version:{platform.python_version()}",
            f"rayflow_version:{__version__}",
        ),
        graph_info=graph_info(definition),
        code=code,
        script=os.path.basename(definition.script_path),
        facts=facts,
    )


# -- re-attach: a new driver for the same run --------------------------------------------------------------------------


def _reattach(definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, wanted: RunRecord) -> RunResult:
    """Goes on with a run whose id was given again, as a scheduler's retry does."""
    record = read_run(store, definition.name, wanted.run_id)
    if record.code != wanted.code or _bytes_of(record.parameters) != _bytes_of(wanted.parameters):
        raise UsageError(
            f"Run id '{record.run_id}' exists with other code or parameters. Give another --run-id, or continue it with "
            f"`resume --origin-run-id {record.run_id}`."
        )
    return _continue(definition, settings, reporter, store, record)


def _bytes_of(artifacts: Mapping[str, Artifact]) -> dict[str, tuple[bytes | None, str | None]]:
    return {name: (artifact.inline, artifact.digest) for name, artifact in artifacts.items()}


def _continue(definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, record: RunRecord) -> RunResult:
    opened = open_run(store, record.flow, record.run_id)
    if opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED:
        reporter.tell(RunStarted(record, store.url, record.origin, is_reattached=True))
        reporter.tell(RunEnded(record.run_id, Outcome.SUCCEEDED, 0.0, ()))
        return RunResult(record.flow, record.run_id, Outcome.SUCCEEDED, 0)
    if opened.ending is None:
        _refuse_alive(store, record, reporter)
    origin: tuple[Segment, ...] = ()
    if record.origin is not None:
        origin = tuple(open_run(store, record.flow, record.origin).view.segments())
    rerun = frozenset({record.resumed_step}) if record.resumed_step else frozenset[str]()
    plan = _Plan(record, tuple(opened.view.segments()), origin, rerun, is_reattached=True)
    return _drive(definition, settings, reporter, store, plan)


def _refuse_alive(store: Store, record: RunRecord, reporter: Reporter) -> None:
    """RunOwnedElsewhere when somebody drives the run."""
    layout = record.layout

    def waiting(owner: object, seconds: float) -> None:
        reporter.tell(Warned(f"Run {record.run_id} was driven by {owner}: waiting up to {seconds:.0f} s for a sign of life."))

    if is_alive(store, layout, waiting):
        owner = owner_of(store, layout)
        raise RunOwnedElsewhere(
            f"Run {record.run_id} is in progress: {owner} drives it. Wait for it, stop that process, or start another run."
        )


# -- resume: a new run that goes on where another ended ----------------------------------------------------------------


def resume_flow(
    definition: FlowDefinition,
    settings: Settings,
    reporter: Reporter | None = None,
    *,
    origin_run_id: str | None = None,
    step: str | None = None,
    is_fork: bool = False,
) -> RunResult:
    """Continues `origin_run_id` (default: the newest run or resume of this flow by this user) in a new run.

    `step`: run it and what follows again. `is_fork`: free of the claim on an unfinished origin. RunOwnedElsewhere when another
    driver is running the origin or already continues it.
    """
    reporter = reporter or Silent()
    lint.check(definition.graph)
    if step is not None and step not in definition.graph:
        names = ", ".join(node.name for node in definition.graph)
        raise UsageError(f"Cannot resume from '{step}': invalid step name. Valid step names include: {names}.")
    store = open_root(settings.root, create=False)
    origin = read_run(store, definition.name, safe_run_id(origin_run_id or _newest(store, definition.name, settings.user)))
    run_id = safe_run_id(settings.run_id) if settings.run_id else str(time.time_ns() // 1000)
    if settings.run_id and settings.run_id.isdecimal():
        raise UsageError(f"The run-id '{settings.run_id}' cannot be an integer: those are given out by rayflow. Begin it with a letter.")
    opened, run_id = _claimed(store, origin, run_id, reporter, is_free=is_fork or step is not None)
    if opened.record.run_id == run_id:
        return _continue(definition, settings, reporter, store, opened.record)
    _warn_of_changed_code(definition, store, opened.record, reporter)
    record = _continuation(definition, settings, store, opened.record, run_id, step)
    try:
        record = claim_run(store, record, is_id_given=True)
    except StoreExists:
        raise RunOwnedElsewhere(
            f"Run {run_id} already continues run {opened.record.run_id}. Follow it with `rayflow show {run_id}`."
        ) from None
    note_start(store, record)
    rerun = frozenset({step}) if step else frozenset[str]()
    plan = _Plan(record, reusable=tuple(opened.view.segments()), rerun=rerun)
    return _drive(definition, settings, reporter, store, plan)


def _newest(store: Store, flow: str, user: str) -> str:
    for entry in runs_of(store, flow):
        with contextlib.suppress(RayflowNotFound):
            if read_run(store, flow, entry.run_id).user == user:
                return entry.run_id
    raise RayflowNotFound("A previous run id was not found. Specify --origin-run-id.")


def _claimed(store: Store, origin: RunRecord, run_id: str, reporter: Reporter, *, is_free: bool) -> tuple[OpenedRun, str]:
    """The run to continue, sealed, and the id to continue it under: of an unfinished run only one continuation goes on."""
    while True:
        opened = open_run(store, origin.flow, origin.run_id)
        if opened.ending is None:
            _refuse_alive(store, origin, reporter)
            opened = _seal(store, origin)
        if is_free or (opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED):
            return opened, run_id
        holder = claim_continuation(store, origin.layout, run_id)
        if holder == run_id:
            return opened, run_id
        try:
            continuation = read_run(store, origin.flow, holder)
        except RayflowNotFound:
            return opened, holder  # whoever claimed it died before its run existed: its id is free to be used
        following = open_run(store, origin.flow, holder)
        if following.ending is None:
            _refuse_continued(store, origin, continuation, reporter)
        reporter.tell(
            Warned(f"Run {origin.run_id} was continued by run {holder}: that one is resumed. `--fork` starts from {origin.run_id}.")
        )
        origin = continuation


def _refuse_continued(store: Store, origin: RunRecord, continuation: RunRecord, reporter: Reporter) -> None:
    try:
        _refuse_alive(store, continuation, reporter)
    except RunOwnedElsewhere as fault:
        raise RunOwnedElsewhere(f"Run {origin.run_id} is being continued already, by run {continuation.run_id}. {fault.message}") from None


def _seal(store: Store, record: RunRecord) -> OpenedRun:
    """Takes the run from a driver that died, so that nothing is acknowledged there any more, and records the interruption."""
    epoch = take_epoch(store, record.layout)
    reader = JournalReader(store, record.layout)
    reader.read()
    _writer(store, record, epoch, reader).commit([{"e": "sealed", "sizes": reader.sizes()}])
    opened = open_run(store, record.flow, record.run_id)
    ending = Ending(
        Outcome.INTERRUPTED,
        "its driver died",
        0,
        segments=tuple(opened.view.segments()),
        failed=tuple(failed for attempts in opened.view.failed.values() for failed in attempts),
    )
    with contextlib.suppress(StoreExists):
        write_ending(store, record.layout, ending)
    note_end(store, record, Outcome.INTERRUPTED)
    return OpenedRun(store, record, opened.view, ending)


def _writer(store: Store, record: RunRecord, epoch: int, reader: JournalReader) -> JournalWriter:
    return JournalWriter(store, record.layout, epoch, next_sequence=len(reader.sizes()))


def _continuation(
    definition: FlowDefinition, settings: Settings, store: Store, origin: RunRecord, run_id: str, step: str | None
) -> RunRecord:
    """The record of a resume: today's code, the origin's parameters and constants."""
    record = _new_record(definition, settings, store, run_id)
    return _with(
        record,
        parameters={name: artifact.owned_by(origin.run_id) for name, artifact in origin.parameters.items()},
        constants={name: artifact.owned_by(origin.run_id) for name, artifact in origin.constants.items()},
        origin=origin.run_id,
        resumed_step=step,
    )


def _warn_of_changed_code(definition: FlowDefinition, store: Store, origin: RunRecord, reporter: Reporter) -> None:
    if origin.code and definition.script_path and os.path.isfile(definition.script_path):
        from blake3 import blake3

        if blake3(build_package(definition.script_path)).hexdigest() != origin.code:
            reporter.tell(Warned(f"The code changed since run {origin.run_id}. What is done there is reused all the same."))


# -- driving -----------------------------------------------------------------------------------------------------------


def _drive(definition: FlowDefinition, settings: Settings, reporter: Reporter, store: Store, plan: _Plan) -> RunResult:
    """Performs the plan to its end, and records how it ended."""
    record, begun = plan.record, time.monotonic()
    layout = record.layout
    epoch = take_epoch(store, layout)
    reader = JournalReader(store, layout)
    if plan.is_reattached:
        reader.read()
        drop_ending(store, layout)
    journal = _writer(store, record, epoch, reader)
    if plan.is_reattached:
        journal.commit([{"e": "sealed", "sizes": reader.sizes()}])
        opened = open_run(store, record.flow, record.run_id)
        plan = _Plan(record, tuple(opened.view.segments()), plan.reusable, plan.rerun, is_reattached=True)
    view = RunView(record)
    for segment in plan.committed:
        view.add(segment)
    reporter.tell(RunStarted(record, store.url, record.origin, plan.is_reattached))
    _write_marker_files(settings, record, store)
    scheduler = Scheduler(
        definition.graph,
        definition.specs,
        reusable=plan.reusable,
        committed=plan.committed,
        rerun=plan.rerun,
        is_resume=record.origin is not None,
        max_workers=settings.max_workers,
    )
    with _beating(store, record, epoch), assemble(definition, settings, store, record, reporter, view) as parts:
        conductor = Conductor(
            scheduler=scheduler,
            crew=parts.crew,
            store=store,
            journal=journal,
            shared=parts.shared,
            view=view,
            narrator=parts.narrator,
            epoch=epoch,
            specs=dict(definition.specs),
        )
        finish = conductor.run()
        _record_end(store, record, view, finish)
        return _told(reporter, record, conductor, finish, time.monotonic() - begun)


@contextlib.contextmanager
def _beating(store: Store, record: RunRecord, epoch: int) -> Generator[None]:
    heart = Heart(store, record.layout, epoch)
    heart.start()
    try:
        yield
    finally:
        heart.stop()


def _record_end(store: Store, record: RunRecord, view: RunView, finish: Finish) -> None:
    ending = Ending(
        outcome=finish.outcome,
        why=finish.why,
        ended_us=time.time_ns() // 1000,
        failed_key=finish.failed,
        failure=finish.failure,
        segments=tuple(view.segments()),
        failed=tuple(failed for attempts in view.failed.values() for failed in attempts),
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


def _write_marker_files(settings: Settings, record: RunRecord, store: Store) -> None:
    """`--run-id-file` and `--runner-attribute-file`, before any task starts."""
    if settings.run_id_file:
        with open(settings.run_id_file, "w", encoding="utf-8") as file:
            file.write(record.run_id)
    if settings.runner_attribute_file:
        with open(settings.runner_attribute_file, "w", encoding="utf-8") as file:
            json.dump({"run_id": record.run_id, "flow_name": record.flow, "metadata": store.url}, file)


__all__ = ["RunResult", "Settings", "resume_flow", "run_flow", "source_of"]
