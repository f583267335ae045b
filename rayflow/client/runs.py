"""`Run` and `Step`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from rayflow.client.attempts import PARAMETERS, PARAMETERS_TASK, exists, keys_of, newest_of, standing_of
from rayflow.client.base import Container, local_time
from rayflow.client.html import MOST_ROWS, card, left_out, stage, table, told, when
from rayflow.client.package import RayflowCode
from rayflow.client.roots import RunHandle
from rayflow.client.surroundings import environment_info
from rayflow.client.tags import tag_list
from rayflow.client.tasks import Task
from rayflow.client.trigger import Trigger
from rayflow.model.errors import RayflowNotFound
from rayflow.model.indexes import TaskKey

if TYPE_CHECKING:
    from rayflow.client.data import TaskData
    from rayflow.client.flows import Flow


class Step(Container[Task]):
    """The tasks of one step of a run, `Step('MyFlow/1234/train')`."""

    _form = "FlowName/RunID/StepName"

    def _look(self) -> None:
        self._handle.look()
        if not self._exists():
            raise self._not_found()

    def _exists(self) -> bool:
        if self.id == PARAMETERS:
            self._handle.check()
            return True
        opened = self._handle.opened
        return self.id in opened.view.steps or any(key.step == self.id for key in (*opened.view.failed, *opened.underway))

    @property
    def parent(self) -> Run:
        return self._to(Run, *self._parts[:2])

    @property
    def created_at(self) -> datetime | None:
        """When the first of its tasks that was committed started; naive local time."""
        return next((task.created_at for task in self._in_order()), None)

    @property
    def finished_at(self) -> datetime | None:
        """When its last task ended; None where none has."""
        if self.id != PARAMETERS and self._handle.record.graph[self.id].space:
            from rayflow.client.tables import last_end_us

            ended = [local_time(last_end_us(self._handle.lineage, self.id))]
        else:
            ended = [task.finished_at for task in self]
        return max((moment for moment in ended if moment is not None), default=None)

    @property
    def origin_pathspec(self) -> str | None:
        record = self._handle.record
        is_taken_over = any(segment.run not in ("", record.run_id) for segment in self._segments())
        return f"{record.flow}/{record.origin}/{self.id}" if record.origin is not None and is_taken_over else None

    def _segments(self) -> list[Any]:
        known = self._handle.view.steps.get(self.id)
        return known.all if known is not None else []

    @property
    def task(self) -> Task | None:
        """The newest task; None where there is none yet."""
        if self.id == PARAMETERS or not self._exists():
            return next(iter(self), None)
        key = newest_of(self._handle.opened, self.id)
        return self._task_at(key) if key is not None else None

    def tasks(self, *tags: str) -> Iterator[Task]:
        """Its tasks, the newest first, if the run has all of `tags`."""
        return self._having(tags)

    @property
    def control_task(self) -> Task | None:
        """The first node of a gang; None for other steps."""
        return next(self.control_tasks(), None)

    def control_tasks(self, *tags: str) -> Iterator[Task]:
        """The first node of every gang."""
        return (task for task in self._having(tags) if task.metadata_dict.get("internal_task_type") == "control_task")

    def __iter__(self) -> Iterator[Task]:
        if not self._exists():
            raise self._not_found()
        if self.id == PARAMETERS:
            return iter([self._to(Task, *self._parts, PARAMETERS_TASK)])
        return map(self._task_at, reversed(keys_of(self._handle.opened, self.id)))

    def _in_order(self) -> Iterator[Task]:
        view = self._handle.view
        if self.id == PARAMETERS:
            return iter(self)
        return map(self._task_at, view.keys(self.id))

    def _task_at(self, key: TaskKey) -> Task:
        task = self._to(Task, *self._parts, self._handle.view.task_id(key))
        task.known_as(key)
        return task

    def _child(self, name: str) -> Task:
        return self._checked(Task, *self._parts, name)

    def _html(self) -> str:
        if not self._exists():
            raise self._not_found()
        if self.id == PARAMETERS:
            return card(str(self), [], "<div>what is known before the first step</div>")
        standing = standing_of(self._handle.opened, self.id)
        committed = islice(self._handle.view.keys(self.id), MOST_ROWS)
        tasks = [self._task_at(key) for key in [*standing.failed, *standing.running, *committed][:MOST_ROWS]]
        rows = [(task.id, "" if task.index is None else str(task.index), task.stage, task.took) for task in tasks]
        total = standing.done + len(standing.failed) + len(standing.running)
        return card(str(self), standing.counts, table(("task", "index", "state", "took"), rows, more=left_out(total, len(rows))))

    def table(self, *names: str) -> Any:
        """The step's done tasks as a `pyarrow.Table`: one row per task in index order, its position in each foreach around it, and the
        artifacts `names` (without names: all small ones that the step stored). Read from the packs, column by column.

        Columns: `index` is the position in the innermost foreach, `<split step>.index` that in an outer one, `lap` counts the
        repetitions of a step that repeats itself. Raises `NoSuchColumnError` for what no task has, `NotAColumnError` for what
        cannot be a column.
        """
        from rayflow.client.tables import table_of_step

        if not self._exists():
            raise self._not_found()
        return table_of_step(self._handle.lineage, self.id, names)

    @property
    def environment_info(self) -> dict[str, Any]:
        """What is recorded about where the run was started; and of a step with an environment of its own, what that is: `type`, `python`,
        `packages` (name and version of all), `lock` (where the requirements file is)."""
        return environment_info(self._handle, self.id)

    @property
    def parent_steps(self) -> Iterator[Step]:
        """The steps that led here and ran. None for the start step."""
        graph = self._handle.record.graph
        sources = graph[self.id].sources if self.id in graph else ()
        return (step for step in (self._to(Step, *self._parts[:2], name) for name in sources) if step._exists())

    @property
    def child_steps(self) -> Iterator[Step]:
        """The steps that this one can lead to, by the source: using one that did not run raises `RayflowNotFound`."""
        graph = self._handle.record.graph
        targets = graph[self.id].targets if self.id in graph else ()
        return (self._to(Step, *self._parts[:2], name) for name in targets)


class Run(Container[Step]):
    """One run, `Run('MyFlow/1234')`. Follows a run that is still going on."""

    _form = "FlowName/RunID"

    def _look(self) -> None:
        try:
            self._handle.look()
            self._handle.check()
        except RayflowNotFound:
            self._root.forget(*self._parts)
            raise self._not_found() from None

    @property
    def parent(self) -> Flow:
        from rayflow.client.flows import Flow

        return self._to(Flow, self._parts[0])

    @property
    def handle(self) -> RunHandle:
        """The run, as far as it is read."""
        return self._handle

    @property
    def created_at(self) -> datetime | None:
        """When it was started; naive local time."""
        return local_time(self._handle.record.created_us)

    @property
    def state(self) -> str:
        """ "running", "succeeded", "failed" or "interrupted"; "pending" where it was submitted, and no driver began yet; "unknown" where
        nothing is recorded and no driver lives any more.

        Takes up to 3 s (a bucket: 25 s) where the driver is on another machine and only its heartbeat can tell.
        """
        ending = self._handle.opened.ending
        if ending is not None:
            return ending.outcome.value
        if self._handle.is_alive():
            return "running"
        self._handle.look()  # it may have ended since
        ending = self._handle.opened.ending
        if ending is not None:
            return ending.outcome.value
        return "pending" if self._handle.waits_for_driver else "unknown"

    status = state

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, in whatever way; naive local time. None while it runs, or where nobody could record it."""
        ending = self._handle.opened.ending
        return local_time(ending.ended_us) if ending is not None else None

    @property
    def successful(self) -> bool:
        """Whether the end step is done, without an exception that `@catch` swallowed."""
        task = self.end_task
        return task is not None and task.successful

    @property
    def finished(self) -> bool:
        """Whether the end step is done. False for failed and interrupted runs too: see `state`."""
        task = self.end_task
        return task is not None and task.finished

    @property
    def finished_at(self) -> datetime | None:
        """When the end step ended; naive local time. None where the run did not get there."""
        task = self.end_task
        return task.finished_at if task is not None else None

    @property
    def end_task(self) -> Task | None:
        """The task of the end step; None while it was not reached."""
        handle = self._handle
        key = TaskKey(handle.record.graph.end, 0)
        if not exists(handle.opened, key):
            return None
        return self._to(Task, *self._parts, key.step, handle.view.task_id(key))

    @property
    def data(self) -> TaskData | None:
        """The artifacts of the end step; None while it was not reached."""
        task = self.end_task
        return task.data if task is not None else None

    @property
    def code(self) -> RayflowCode | None:
        """The source that ran; None where no package was stored."""
        return RayflowCode.of(self._handle)

    @property
    def trigger(self) -> Trigger | None:
        """What started the run, where an event did."""
        events = self._handle.record.facts.get("trigger")
        return Trigger(events, lambda pathspec: self._to(Run, *pathspec.split("/"))) if events else None

    @property
    def origin_pathspec(self) -> str | None:
        record = self._handle.record
        return f"{record.flow}/{record.origin}" if record.origin is not None else None

    def steps(self, *tags: str) -> Iterator[Step]:
        """Its steps that were reached, the last first, if the run has all of `tags`."""
        return self._having(tags)

    def __iter__(self) -> Iterator[Step]:
        opened = self._handle.opened
        reached = {*opened.view.steps, *(key.step for key in (*opened.view.failed, *opened.underway))}
        names = [node.name for node in opened.record.graph if node.name in reached]
        return (self._to(Step, *self._parts, name) for name in reversed(names))

    def _html(self) -> str:
        opened, record = self._handle.opened, self._handle.record
        ending = opened.ending
        started, ended = self.created_at, self.ended_at
        facts = [
            ("state", stage(ending.outcome if ending is not None else None)),
            ("started", when(started)),
            ("took", f"{(ended - started).total_seconds():,.1f} s" if started is not None and ended is not None else ""),
            ("resumes", record.origin or ""),
            ("tags", ", ".join(sorted(self.user_tags))),
            ("parameters", ", ".join(f"{name}={artifact.preview}" for name, artifact in record.parameters.items())),
            ("failure", told(ending.failure) if ending is not None else ""),
        ]
        rows = [(step.id, *(text for _, text in standing_of(opened, step.id).counts)) for step in list(self)[::-1]]
        return card(str(self), facts, table(("step", "done", "failed", "running"), rows))

    def _child(self, name: str) -> Step:
        return self._checked(Step, *self._parts, name)

    # Anyone may change the tags of a run, at any time, also its own tasks while it runs.

    def add_tag(self, tag: str | Iterable[str]) -> None:
        """Adds a tag: a text of at most 500 characters, as one of at most 50. One that is there already is passed over, also where it is
        a system tag. `RayflowTaggingError` where it cannot be added; then nothing is."""
        self._change_tags(add=tag_list(tag, takes_text=True))

    def add_tags(self, tags: str | Iterable[str]) -> None:
        """Adds several tags at once, or none."""
        self._change_tags(add=tag_list(tags, takes_text=True))

    def remove_tag(self, tag: str | Iterable[str]) -> None:
        """Removes a tag. One that is not there is passed over; `RayflowTaggingError` for a system tag."""
        self._change_tags(remove=tag_list(tag, takes_text=True))

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Removes several tags at once, or none."""
        self._change_tags(remove=tag_list(tags))

    def replace_tag(self, tag_to_remove: str | Iterable[str], tag_to_add: str | Iterable[str]) -> None:
        """Removes a tag and adds another in its place: nobody sees the run with neither, or both."""
        self._change_tags(remove=tag_list(tag_to_remove, takes_text=True), add=tag_list(tag_to_add, takes_text=True))

    def replace_tags(self, tags_to_remove: Iterable[str], tags_to_add: Iterable[str]) -> None:
        """Removes some tags and adds others, at once."""
        self._change_tags(remove=tag_list(tags_to_remove), add=tag_list(tags_to_add))

    def _change_tags(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        handle = self._handle
        handle.tags.change(handle.record, add=add, remove=remove)
