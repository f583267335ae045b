"""Which task stored the artifact that a task sees, and its value. Used by the client and by running tasks alike.

The rule: a task's own row, else that of the task which led to it, back to the nearest join or the start; then parameters
and constants. Laps of a recursive step repeat in each row what earlier laps stored, so that a thousandth lap is no further from
its data than the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rayflow.catalog.view import RunView
from rayflow.model.graph import Graph
from rayflow.model.indexes import ROOT_SPACE, TaskKey
from rayflow.model.records import Artifact, Row, Segment


class RowReader(Protocol):
    """Reads rows and values from where segments say that they lie."""

    def row(self, segment: Segment, index: int) -> Row: ...

    def artifact(self, segment: Segment, index: int, name: str) -> Artifact | None:
        """What the row of `index` stored under `name`; None when it did not."""
        ...

    def names(self, segment: Segment, index: int) -> list[str]:
        """The names that the row stored."""
        ...

    def load(self, artifact: Artifact, run: str, name: str = "") -> Any:
        """The value. `run` is the owner of blobs that name none; `name` is the artifact's, for messages."""
        ...

    def value(self, segment: Segment, index: int, name: str) -> Any:
        """The value that the row stored under `name`; KeyError when it did not."""
        ...

    def sequence(self, segment: Segment, index: int, name: str) -> Sequence[Any]:
        """The elements of the sequence that the row stored under `name`: of a table its rows; read part by part where it lies in parts."""
        ...


class Place:
    """Where a value lies: a row of a segment, or the run's own record (`segment` None)."""

    __slots__ = ("artifact", "index", "name", "segment")

    def __init__(self, name: str, segment: Segment | None, index: int, artifact: Artifact | None = None) -> None:
        self.name = name
        self.segment = segment
        self.index = index
        self.artifact = artifact


class Lineage:
    """Answers for one run. Not promised: safety for use from several threads."""

    def __init__(self, view: RunView, reader: RowReader) -> None:
        self.view = view
        self.reader = reader

    @property
    def graph(self) -> Graph:
        return self.view.graph

    def chain(self, key: TaskKey, parent: str | None = None) -> Iterator[tuple[Segment, int]]:
        """The rows that a task sees, nearest first: its own, then its ancestors' back to a join or the start.

        `parent` names the step that led to a task which has no row yet; its own row is then not looked for.
        """
        segment = None if parent is not None else self.view.find(key.step, key.index, key.lap)
        if segment is None and parent is None:
            return
        step, index, lap = key.step, key.index, key.lap
        while True:
            if segment is not None:
                yield segment, index
                parent = segment.parent
            if self.graph[step].is_join and lap == 0:
                return
            if lap > 0:
                step_before: str | None = step
                if segment is not None:  # its row repeats what the laps before it stored
                    first = self.view.find(step, index, 0)
                    step_before = first.parent if first else None
                    lap = 0
                    if step_before is None:
                        return
                    index = self._index_before(step, index, step_before)
                    step, segment = step_before, self.view.find(step_before, index)
                else:
                    lap -= 1
                    segment = self.view.find(step, index, lap)
            else:
                if parent is None:
                    return
                index = self._index_before(step, index, parent)
                step, segment = parent, self.view.find(parent, index)
            if segment is None:
                return
            lap = segment.lap

    def _index_before(self, step: str, index: int, parent: str) -> int:
        space, before = self.graph[step].space, self.graph[parent].space
        return index if space == before else self.view.project(space, index, before)

    def find(self, key: TaskKey, name: str, parent: str | None = None) -> Place | None:
        """Where the artifact `name` that task `key` sees lies; None when it sees none."""
        record = self.view.record
        for stored in (record.parameters, record.constants):
            if name in stored:
                return Place(name, None, 0, stored[name])
        for segment, index in self.chain(key, parent):
            artifact = self.reader.artifact(segment, index, name)
            if artifact is not None:
                return Place(name, segment, index, artifact)
        return None

    def artifact(self, place: Place) -> Artifact:
        """The description of what lies there, naming its owner."""
        assert place.artifact is not None
        return place.artifact.owned_by(place.segment.run if place.segment else self.view.record.run_id)

    def value(self, place: Place) -> Any:
        """The value that lies there, decoded anew."""
        assert place.artifact is not None
        return self.reader.load(place.artifact, place.segment.run if place.segment else self.view.record.run_id, place.name)

    def names(self, key: TaskKey, parent: str | None = None) -> list[str]:
        """Every artifact name that a task sees, parameters and constants included, without duplicates."""
        record = self.view.record
        names = dict.fromkeys([*record.parameters, *record.constants])
        for segment, index in self.chain(key, parent):
            names.update(dict.fromkeys(self.reader.names(segment, index)))
        return list(names)

    def inputs_of(self, step: str, index: int) -> list[TaskKey]:
        """The tasks that the join `step` at `index` takes, in order: of a foreach by split index, of a static split by branch."""
        node = self.graph[step]
        split = node.joins
        if split is None:
            return []
        if self.graph[split].is_foreach:
            return [self._last_of(node.sources, child) for child in self.view.children(split, index)]
        by_branch: dict[int, list[str]] = {}
        for source in node.sources:
            by_branch.setdefault(self.graph[source].branch_of(split), []).append(source)
        return [self._last_of(tuple(by_branch[branch]), index) for branch in sorted(by_branch)]

    def _last_of(self, sources: tuple[str, ...], index: int) -> TaskKey:
        for source in sources:
            segment = self.view.find(source, index)
            if segment is not None:
                return TaskKey(source, index, segment.lap)
        raise KeyError(f"{'/'.join(sources)}[{index}]")

    def parents_of(self, key: TaskKey, parent: str | None = None) -> list[TaskKey]:
        """The tasks that led to this one. Empty for the start step."""
        if self.graph[key.step].is_join:
            return self.inputs_of(key.step, key.index)
        if parent is None:
            segment = self.view.find(key.step, key.index, key.lap)
            parent = segment.parent if segment else None
        if parent is None:
            return []
        if key.lap > 0:
            return [TaskKey(key.step, key.index, key.lap - 1)]
        before = self._index_before(key.step, key.index, parent)
        found = self.view.find(parent, before)
        return [TaskKey(parent, before, found.lap)] if found else []

    def stack(self, step: str, index: int) -> list[tuple[str, int, int, int]]:
        """(split step, flat index of the task that split, position, number of splits) per enclosing foreach, outermost first."""
        space = self.graph[step].space
        return list[tuple[str, int, int, int]](self.view.frames(space, index)) if space != ROOT_SPACE else []
