"""`spin`: one task of an earlier run, performed again by itself, with today's code and what it started from then.

It is a run of its own, of one task, in a root that lies over that of the origin (`store.layered`): so its inputs are neither copied nor
changed, and everything that reads runs reads it. Only what a step cannot do without goes around it: environment, secrets, timeout, a
process of its own. Attempts are not repeated and failures not caught: who spins a step wants to see what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.catalog.index import note_start
from rayflow.catalog.run import RunRecord, claim_run
from rayflow.catalog.scope import ancestors
from rayflow.client.attempts import Attempt
from rayflow.flow import lint
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.packages import MAKERS
from rayflow.model.errors import UsageError
from rayflow.model.indexes import IndexSet, TaskKey
from rayflow.model.records import Artifact, Segment
from rayflow.model.spec import StepSpec
from rayflow.runtime.continuing import reusable_of
from rayflow.runtime.driving import Plan, Spun, drive
from rayflow.runtime.environments import prepare, record_with
from rayflow.runtime.launch import continuation, new_record
from rayflow.runtime.notices import Reporter, Warned
from rayflow.runtime.packaging import code_of
from rayflow.runtime.settings import RunResult, Settings
from rayflow.store import open_root
from rayflow.store.blobs import Blobs
from rayflow.store.layered import lay_over

ACTING = frozenset({"environment", "secrets", "timeout", "isolated", "checkpoint", *MAKERS})
"""The decorators that act on a step that is spun."""


@dataclass(frozen=True)
class Spin:
    """What is to be spun: the task (`attempt`: its latest), and artifacts that it is to see instead of its own, or besides. For a join
    these are by the pathspec "run/step/task" of the input that they are of."""

    attempt: Attempt
    artifacts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    skips_decorators: bool = False


def spin_flow(definition: FlowDefinition, settings: Settings, reporter: Reporter, spin: Spin) -> RunResult:
    """Performs the task in a new run under `settings.root`, a local directory. UsageError for what cannot be spun."""
    lint.check(definition.graph)
    attempt, key = spin.attempt, spin.attempt.key
    _refuse(definition, attempt)
    below = attempt.handle.store
    lay_over(settings.root, below.url)
    store = open_root(settings.root, create=True)
    origin = attempt.handle.record
    spec = _spec(definition.specs[key.step], reporter, key.step, skips=spin.skips_decorators)
    wanted = replace(definition, specs={key.step: spec}, decorators=() if spin.skips_decorators else definition.decorators)
    prepared = prepare(wanted, settings, store, reporter, origin)
    code = code_of(definition, settings, store, reporter)
    draft = record_with(new_record(definition, settings, code, store), prepared)
    record = continuation(definition, settings, store, draft, origin, key.step)
    record, given = _with_artifacts(record, Blobs(store, definition.name, record.run_id), spin, _given(definition, attempt))
    record = claim_run(store, record, is_id_given=True)
    note_start(store, record)
    alone = replace(definition, specs={**definition.specs, **prepared.definition.specs})
    plan = Plan(record, spun=Spun(key, attempt.parent, given), code=code, interpreters=prepared.interpreters)
    return drive(alone, settings, reporter, store, plan)


def _refuse(definition: FlowDefinition, attempt: Attempt) -> None:
    step, graph = attempt.key.step, definition.graph
    if step not in graph:
        raise UsageError(f"The flow has no step '{step}' any more, so it cannot be spun. Steps are: {', '.join(graph.nodes)}.")
    if graph.is_gang(step):
        raise UsageError(f"Step '{step}' is a gang (@parallel), of which no task runs by itself. Spin another step, or run the flow.")
    if attempt.parent is None and step != graph.start:
        raise UsageError(f"It is not known what led to {step} in run {attempt.handle.layout.run}. Spin a task that began.")


def _spec(spec: StepSpec, reporter: Reporter, step: str, *, skips: bool) -> StepSpec:
    kept = tuple(each for each in spec.decorators if not skips and each.name in ACTING)
    ignored = dict.fromkeys(each.name for each in spec.decorators if each not in kept)
    if ignored:
        reporter.tell(Warned(f"Step '{step}' is spun without its decorators {', '.join(ignored)}."))
    if skips:
        return StepSpec()
    return StepSpec(
        timeout_s=spec.timeout_s,
        environment=spec.environment,
        is_isolated=spec.is_isolated,
        checkpoints_kept=spec.checkpoints_kept,
        secrets=spec.secrets,
        decorators=kept,
    )


def _given(definition: FlowDefinition, attempt: Attempt) -> tuple[Segment, ...]:
    """What is committed of the steps that the task can see; of its own step the laps before."""
    key = attempt.key
    wanted = ancestors(definition.graph, key.step)
    segments, _ = reusable_of(attempt.handle.opened)
    return tuple(each for each in segments if (each.step in wanted if each.step != key.step else each.lap < key.lap))


def _with_artifacts(record: RunRecord, blobs: Blobs, spin: Spin, given: tuple[Segment, ...]) -> tuple[RunRecord, tuple[Segment, ...]]:
    """The record and the segments, with the artifacts that were given: those of Parameters there, others in the rows of the tasks that led
    to this one. Of the start step, to which none leads, all are as if they were Parameters."""
    if not spin.artifacts:
        return record, given
    attempt = spin.attempt
    parents = attempt.handle.lineage.parents_of(attempt.key, attempt.parent)
    if attempt.handle.record.graph[attempt.key.step].is_join:
        by_parent = _by_input(spin, parents)
    else:
        own = {name: value for name, value in spin.artifacts.items() if not parents or name in record.parameters}
        record = replace(record, parameters={**record.parameters, **_stored(blobs, own, record.run_id)})
        others = {name: value for name, value in spin.artifacts.items() if name not in own}
        by_parent = dict.fromkeys(parents, others)
    return record, tuple(piece for segment in given for piece in _changed(segment, by_parent, spin, blobs, record.run_id))


def _by_input(spin: Spin, inputs: Sequence[TaskKey]) -> dict[TaskKey, Mapping[str, Any]]:
    """What the inputs of a join are to have. UsageError for what names none of them, or is no mapping."""
    handle = spin.attempt.handle
    known = {f"{handle.layout.run}/{key.step}/{handle.view.task_id(key)}": key for key in inputs}
    for pathspec, values in spin.artifacts.items():
        if pathspec not in known:
            example = f", such as {next(iter(known))}" if known else ""
            raise UsageError(f"ARTIFACTS has '{pathspec}', which is no input of the join. Name inputs as run/step/task{example}.")
        if not isinstance(values, Mapping):
            raise UsageError(f"ARTIFACTS['{pathspec}'] is no dict. Write the artifacts of that input: {{'x': 1}}.")
    return {known[pathspec]: values for pathspec, values in spin.artifacts.items()}


def _changed(segment: Segment, by_parent: Mapping[TaskKey, Mapping[str, Any]], spin: Spin, blobs: Blobs, run_id: str) -> Iterator[Segment]:
    """The segment, those of its tasks apart whose rows get other artifacts."""
    keys = [key for key in by_parent if (key.step, key.lap) == (segment.step, segment.lap) and key.index in segment.indices]
    left = segment.indices
    for key in keys:
        alone = IndexSet.single(key.index)
        left = left.difference(alone)
        row = spin.attempt.handle.reader.row(segment, key.index)
        before = {name: each.owned_by(segment.run) for name, each in row.artifacts.items()}
        row = replace(row, artifacts={**before, **_stored(blobs, by_parent[key], run_id)})
        yield replace(segment.part(alone), rows=(row,), pack=None, pack_row=0, pack_indices=None)
    if left:
        yield segment.part(left)


def _stored(blobs: Blobs, values: Mapping[str, Any], run_id: str) -> dict[str, Artifact]:
    return {name: blobs.put(name, value).owned_by(run_id) for name, value in values.items()}


__all__ = ["Spin", "spin_flow"]
