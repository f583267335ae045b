"""`Task`."""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rayflow.client.attempts import PARAMETERS, PARAMETERS_TASK, Attempt, attempt_of, exists, rows_of
from rayflow.client.base import Container, local_time, reference
from rayflow.client.bookkeeping import computed_names, exception_of, innermost_index
from rayflow.client.data import DataArtifact, TaskData
from rayflow.client.descent import children_of
from rayflow.client.facts import Metadata, facts_of
from rayflow.client.html import MOST_ROWS, card, left_out, table, told, when
from rayflow.client.logs import LogRange, log_of
from rayflow.client.package import RayflowCode
from rayflow.client.roots import RunHandle
from rayflow.client.surroundings import environment_info
from rayflow.flow.current import current
from rayflow.model.caught import CaughtException
from rayflow.model.indexes import TaskKey

if TYPE_CHECKING:
    from rayflow.client.runs import Step


class Task(Container[DataArtifact]):
    """One task, `Task('MyFlow/1234/train/5')`: its latest attempt that is over, or the one given."""

    _form = "FlowName/RunID/StepName/TaskID"
    _has_attempts = True
    _known: TaskKey | None = None
    _settled: Attempt | None = None

    def _look(self) -> None:
        self.look()

    def look(self) -> None:
        """Reads anew whether it exists; `RayflowNotFound` where it does not. The task that is being performed here does, also before the
        driver has noted so (of a batch it never does, and of nothing on a bucket)."""
        self._handle.look()
        if self.key is None and self.pathspec != current.pathspec:
            raise self._not_found()

    @property
    def handle(self) -> RunHandle:
        """The run, as far as it is read."""
        return self._handle

    def known_as(self, key: TaskKey) -> None:
        """Says which task the pathspec means, so that it need not be found."""
        self._known = key

    @property
    def key(self) -> TaskKey | None:
        """Which task of the run the pathspec means; None where there is no such task."""
        if self._known is None:
            step, task_id = self._parts[2:4]
            if step == PARAMETERS:
                self._handle.check()
                self._known = TaskKey(PARAMETERS, 0) if task_id == PARAMETERS_TASK else None
            else:
                key = self._handle.view.task_key(step, task_id)
                self._known = key if key is not None and exists(self._handle.opened, key) else None
        return self._known

    @property
    def record(self) -> Attempt:
        """The attempt that this shows."""
        if self._settled is not None:
            return self._settled
        if self.key is None:
            raise self._not_found()
        attempt = attempt_of(self._handle, self.key, self._attempt)
        if attempt.is_done:
            self._settled = attempt  # nothing changes it any more
        return attempt

    @property
    def parent(self) -> Step:
        from rayflow.client.runs import Step

        return self._to(Step, *self._parts[:3])

    @property
    def created_at(self) -> datetime | None:
        """When its first attempt started; naive local time. None while that is not recorded."""
        rows = rows_of(self._handle, self.record.key)
        return local_time(rows[0].started_us) if rows else None

    @property
    def finished_at(self) -> datetime | None:
        """When the attempt ended, in whatever way; naive local time. None while it runs."""
        row = self.record.row
        return local_time(row.started_us + int(row.seconds * 1e6)) if row is not None and row.started_us else None

    @property
    def successful(self) -> bool:
        """Whether it is done, without an exception that `@catch` swallowed."""
        return self.record.is_successful

    @property
    def finished(self) -> bool:
        """Whether it is done. False after a failure."""
        return self.record.is_done

    @property
    def exception(self) -> CaughtException | None:
        """The exception that the attempt failed with, as text; None for success, deaths, exits, and what `@catch` swallowed."""
        return exception_of(self.record)

    @property
    def index(self) -> int | None:
        """Its position in the innermost foreach; None outside."""
        return innermost_index(self.record)

    @property
    def current_attempt(self) -> int:
        """The number of the attempt: the one given, else that of the latest, also while it runs."""
        if self._attempt is not None:
            return self._attempt
        attempt = self.record
        number = attempt.row.attempt if attempt.row is not None else 0
        return number + 1 if attempt.underway is not None and attempt.failed is not None else number

    @property
    def runtime_name(self) -> str | None:
        """What ran it: the value of the run's tag `runtime:`."""
        found = [tag.partition(":")[2] for tag in self.system_tags if tag.startswith("runtime:")]
        return found[0] if found else None

    @property
    def origin_pathspec(self) -> str | None:
        record, attempt = self._handle.record, self.record
        if record.origin is None or attempt.run == record.run_id:
            return None
        # Indices keep their meaning in a lineage of runs, and so do the ids that are made of them.
        return "/".join((record.flow, record.origin, *self._parts[2:]))

    @property
    def code(self) -> RayflowCode | None:
        """The source that ran; None where no package was stored."""
        return RayflowCode.of(self._handle)

    @property
    def environment_info(self) -> dict[str, Any]:
        """What is recorded about where the run was started; and of a step with an environment of its own, what that is: `type`, `python`,
        `packages` (name and version of all), `lock` (where the requirements file is)."""
        return environment_info(self._handle, self._parts[2])

    # Artifacts

    @property
    def data(self) -> TaskData:
        """Its artifacts as attributes."""
        return TaskData(self)

    @property
    def artifacts(self) -> Any:
        """Its artifacts as a named tuple of `DataArtifact`s."""
        found = list(self)
        return namedtuple("RayflowArtifacts", [each.id for each in found])(*found)  # pyright: ignore[reportUntypedNamedTuple] - names are data

    def __iter__(self) -> Iterator[DataArtifact]:
        attempt = self.record
        names = dict.fromkeys([*attempt.names(), *computed_names(attempt)])
        return map(self.artifact, [name for name in names if not name.startswith("_")])

    def _child(self, name: str) -> DataArtifact:
        artifact = self.artifact(name)
        artifact.check()
        return artifact

    def artifact(self, name: str) -> DataArtifact:
        """The artifact of that name, without looking whether there is one."""
        artifact = reference(DataArtifact, self._root, (*self._parts, name), self._namespace, self._attempt)
        artifact.belongs_to(self)
        return artifact

    # What a notebook shows

    @property
    def stage(self) -> str:
        """`done`, `caught`, `failed`, or `running` where nothing is recorded yet."""
        attempt = self.record
        if attempt.is_done:
            return "done" if attempt.is_parameters or attempt.is_successful else "caught"
        return "failed" if attempt.is_recorded else "running"

    @property
    def took(self) -> str:
        """How long the attempt took, as text; empty while it runs."""
        row = self.record.row
        return f"{row.seconds:,.1f} s" if row is not None and not self.record.is_parameters else ""

    def _html(self) -> str:
        attempt = self.record
        names = [name for name in attempt.names() if not name.startswith("_")]
        facts = [
            ("state", self.stage),
            ("index", "" if self.index is None else str(self.index)),
            ("attempt", str(self.current_attempt) if self.current_attempt else ""),
            ("started", when(self.created_at)),
            ("took", self.took),
            ("failure", told(attempt.row.failure) if attempt.row is not None else ""),
        ]
        rows = [(name, *self.artifact(name).noted()) for name in names[:MOST_ROWS]]
        return card(str(self), facts, table(("artifact", "type", "bytes", "value"), rows, more=left_out(len(names), len(rows))))

    # Logs

    @property
    def stdout(self) -> str:
        """All that the attempt has printed so far."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """All that the attempt has written to its standard error so far."""
        return self._text("stderr")

    @property
    def stdout_size(self) -> int:
        """Bytes of `stdout`."""
        log = self._log("stdout")
        return log.nbytes if log is not None else 0

    @property
    def stderr_size(self) -> int:
        """Bytes of `stderr`."""
        log = self._log("stderr")
        return log.nbytes if log is not None else 0

    def loglines(self, stream: str, as_unicode: bool = True) -> Iterator[tuple[datetime, Any]]:
        """(time, line) of "stdout" or "stderr", in order; times are naive and in UTC, lines text or (not `as_unicode`) bytes."""
        log = self._log(stream)
        lines = log.lines() if log is not None else iter(())
        return ((moment, line.decode("utf-8", "replace") if as_unicode else line) for moment, line in lines)

    def _log(self, stream: str) -> LogRange | None:
        return log_of(self.record, stream, time.time_ns() // 1000)

    def _text(self, stream: str) -> str:
        log = self._log(stream)
        return log.text() if log is not None else ""

    # Facts and relations

    @property
    def metadata(self) -> list[Metadata]:
        """Named facts about the task and its attempts, oldest first."""
        attempt = self.record
        rows = rows_of(self._handle, attempt.key)
        return [Metadata(name, value, at_ms, name, self) for name, value, at_ms in facts_of(attempt, rows)]

    @property
    def metadata_dict(self) -> dict[str, Any]:
        """The latest value of each fact."""
        return {fact.name: fact.value for fact in self.metadata}

    @property
    def parent_tasks(self) -> Iterator[Task]:
        """The tasks that led to this one: all inputs of a join; none for the start step."""
        attempt = self.record
        if attempt.is_parameters:
            return iter(())
        return map(self._sibling, self._handle.lineage.parents_of(attempt.key, attempt.parent))

    @property
    def child_tasks(self) -> Iterator[Task]:
        """The tasks that this one led to: all splits of a foreach; none for the end step."""
        attempt = self.record
        return iter(()) if attempt.is_parameters else map(self._sibling, children_of(self._handle, attempt.key))

    @property
    def parent_task_pathspecs(self) -> Iterator[str]:
        return (task.pathspec for task in self.parent_tasks)

    @property
    def child_task_pathspecs(self) -> Iterator[str]:
        return (task.pathspec for task in self.child_tasks)

    def _sibling(self, key: TaskKey) -> Task:
        task = self._to(Task, *self._parts[:2], key.step, self._handle.view.task_id(key))
        task.known_as(key)
        return task
