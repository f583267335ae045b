"""How commands name runs and artifacts: by as little text as is unambiguous. Finds, and says what was meant; prints nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rayflow.catalog.index import IndexEntry, flows_of, newest_first
from rayflow.client.attempts import PARAMETERS, PARAMETERS_TASK, Attempt, attempt_of, exists, keys_of
from rayflow.client.roots import RunHandle
from rayflow.model.errors import RayflowInvalidPathspec, RayflowNotFound
from rayflow.model.indexes import TaskKey
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Artifact, Outcome

LATEST, LATEST_FAILED = "latest", "latest-failed"
_MAX_NAMED = 5


class RunName(NamedTuple):
    """A run of a flow."""

    flow: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.flow}/{self.run_id}"


@dataclass(frozen=True, slots=True)
class Location:
    """Where an artifact lies. `url` is a path on a local root; of a dataset that of its directory. `row` is given where it is one row of a
    pack: its value is in the column of its name. In a record (`is_in_record`: run.json, end.json or a journal) it is a field of JSON."""

    name: str
    url: str
    artifact: Artifact
    row: int | None = None
    is_in_record: bool = False


def find_run(store: Store, text: str, flow: str | None = None) -> RunName:
    """The run that `text` names: its id, `Flow/id`, an unambiguous ending of the id, `latest` or `latest-failed`. `flow` limits the search
    to one flow. Raises `RayflowNotFound`, which says what else could have been meant."""
    named, _, wanted = text.rpartition("/")
    if named and flow is None:
        flow = named
    elif named and named != flow:
        raise RayflowNotFound(f"Run '{text}' is of flow {named}, not of {flow}.")
    flows = [flow] if flow is not None else flows_of(store)
    if named:
        _check_flow(store, named)
    entries = [(name, entry) for name in flows for entry in newest_first(store, name)]
    if not entries:
        where = f"flow {flow}" if flow is not None else "any flow"
        raise RayflowNotFound(f"There is no run of {where} under {store.url}. Give another root with --root, or start one.")
    if wanted in (LATEST, LATEST_FAILED):
        return _latest(entries, wanted, store)
    exact = [RunName(name, entry.run_id) for name, entry in entries if entry.run_id == wanted]
    found = exact or [RunName(name, entry.run_id) for name, entry in entries if wanted and entry.run_id.endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RayflowNotFound(f"'{text}' could be {len(found)} runs: {_listed(found)}. Give more of the id, or the flow too.")
    raise RayflowNotFound(f"There is no run '{text}' under {store.url}.{_hint(wanted, (entry.run_id for _, entry in entries))}")


def _latest(entries: list[tuple[str, IndexEntry]], wanted: str, store: Store) -> RunName:
    known = [each for each in entries if wanted == LATEST or each[1].outcome is Outcome.FAILED]
    if not known:
        raise RayflowNotFound(f"No run under {store.url} has failed.")
    flow, entry = max(known, key=lambda each: each[1].created_us)
    return RunName(flow, entry.run_id)


def _check_flow(store: Store, flow: str) -> None:
    known = flows_of(store)
    if flow not in known:
        raise RayflowNotFound(f"There is no flow '{flow}' under {store.url}.{_hint(flow, known)}")


def _listed(names: list[RunName]) -> str:
    text = ", ".join(str(name) for name in names[:_MAX_NAMED])
    return text if len(names) <= _MAX_NAMED else f"{text}, ..."


def _hint(wanted: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def locate(store: Store, text: str) -> Location:
    """Where the artifact `RUN/step[/task]/name` lies (RUN as in `find_run`, also with the flow before it). The task may be left out of a
    step that has one. Raises `RayflowNotFound`, `RayflowInvalidPathspec`."""
    run, step, task, name = _split(store, text)
    handle = RunHandle(store, run.flow, run.run_id)
    key = _task(handle, run, step, task)
    attempt = attempt_of(handle, key)
    place = attempt.find(name)
    if place is None:
        raise RayflowNotFound(
            f"Task {run}/{step}/{_id_of(handle, key)} has no artifact '{name}'.{_hint(name, attempt.names()) or _known(attempt.names())}"
        )
    artifact = handle.lineage.artifact(place)
    if artifact.codec == "dataset":
        from rayflow.store.blobs import Blobs
        from rayflow.store.datasets import Manifest

        content = Blobs(store, run.flow, artifact.run or run.run_id).read(artifact)
        return Location(name, _url(store, Manifest.from_bytes(memoryview(content)).directory), artifact)
    if artifact.blob is not None:
        key_of_blob = RunLayout(run.flow, artifact.run or run.run_id).blob(artifact.blob)
        return Location(name, _url(store, key_of_blob), artifact)
    segment = place.segment
    if segment is not None and segment.pack is not None:
        reader = handle.reader
        return Location(name, _url(store, reader.pack_key(segment)), artifact, reader.pack_position(segment, place.index))
    return Location(name, _url(store, _record_key(handle, attempt, name)), artifact, is_in_record=True)


def _split(store: Store, text: str) -> tuple[RunName, str, str | None, str]:
    parts = text.split("/")
    if len(parts) >= 3 and parts[0] in flows_of(store):
        parts = ["/".join(parts[:2]), *parts[2:]]
    if len(parts) not in (3, 4) or not all(parts):
        raise RayflowInvalidPathspec(f"Expects RUN/step/name or RUN/step/task/name; got '{text}'.")
    return find_run(store, parts[0]), parts[1], parts[2] if len(parts) == 4 else None, parts[-1]


def _task(handle: RunHandle, run: RunName, step: str, task: str | None) -> TaskKey:
    if step == PARAMETERS:
        return TaskKey(PARAMETERS, 0)
    opened = handle.opened
    if step not in opened.record.graph:
        steps = opened.record.graph.nodes
        raise RayflowNotFound(f"Run {run} has no step '{step}'.{_hint(step, steps) or _known(steps)}")
    keys = keys_of(opened, step)
    if task is None:
        if len(keys) == 1:
            return keys[0]
        if not keys:
            raise RayflowNotFound(f"Step {run}/{step} has no task: the run did not get there.")
        ids = ", ".join(_id_of(handle, key) for key in keys[:_MAX_NAMED])
        raise RayflowInvalidPathspec(f"Step {run}/{step} has {len(keys)} tasks ({ids}, ...). Name one: RUN/{step}/<task>/<name>.")
    key = opened.view.task_key(step, task)
    if key is None or not exists(opened, key):
        raise RayflowNotFound(f"Step {run}/{step} has no task '{task}'.{_hint(task, _ids(handle, keys))}")
    return key


def _ids(handle: RunHandle, keys: list[TaskKey]) -> Iterator[str]:
    return (_id_of(handle, key) for key in keys[:1000])


def _id_of(handle: RunHandle, key: TaskKey) -> str:
    return PARAMETERS_TASK if key.step == PARAMETERS else handle.view.task_id(key)


def _known(names: Iterable[str]) -> str:
    shown = [name for name in names if not name.startswith("_")]
    return f" There are: {', '.join(shown)}." if shown else ""


def _record_key(handle: RunHandle, attempt: Attempt, name: str) -> str:
    record = handle.record
    if attempt.is_parameters or name in record.parameters or name in record.constants:
        return handle.layout.record
    if handle.opened.ending is not None:
        return handle.layout.end
    return handle.layout.journal


def _url(store: Store, key: str) -> str:
    return store.local_path(key) or f"{store.url}/{key}"
