"""`DataArtifact`, and the artifacts of a task as attributes."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rayflow.client.attempts import Attempt
from rayflow.client.base import RayflowObject
from rayflow.client.bookkeeping import compute, is_computed
from rayflow.client.lineage import Place
from rayflow.model.records import Artifact

if TYPE_CHECKING:
    from rayflow.client.tasks import Task


class DataArtifact(RayflowObject):
    """One artifact that a task stored or inherited, `DataArtifact('MyFlow/1234/train/5/model')`."""

    _form = "FlowName/RunID/StepName/TaskID/ArtifactName"
    _has_attempts = True

    def _look(self) -> None:
        self.parent.look()
        if not self._exists():
            raise self._not_found()

    def _exists(self) -> bool:
        attempt = self._record
        return attempt.find(self.id) is not None or is_computed(attempt, self.id)

    @property
    def parent(self) -> Task:
        from rayflow.client.base import reference
        from rayflow.client.tasks import Task

        return reference(Task, self._root, self._parts[:4], self._namespace, self._attempt)

    @property
    def _record(self) -> Attempt:
        return self.parent.record

    def _stored(self) -> tuple[Attempt, Place | None]:
        """Where it lies; None where it is computed."""
        attempt = self._record
        place = attempt.find(self.id)
        if place is None and not is_computed(attempt, self.id):
            raise self._not_found()
        return attempt, place

    def _described(self) -> Artifact:
        """Its description: of a computed artifact, that of the value's pickle."""
        attempt, place = self._stored()
        if place is not None:
            return attempt.handle.lineage.artifact(place)
        value = compute(attempt, self.id)
        content = pickle.dumps(value, protocol=4)
        return Artifact("pickle", f"{type(value).__module__}.{type(value).__qualname__}", len(content), inline=content)

    @property
    def data(self) -> Any:
        """The value, loaded anew each time. Raises `StoreMissing` and `StoreCorrupt`, which name the path."""
        attempt, place = self._stored()
        return compute(attempt, self.id) if place is None else attempt.handle.lineage.value(place)

    @property
    def sha(self) -> str:
        """The hex BLAKE3 of its stored bytes: equal values of one codec have equal ones."""
        from rayflow.store.blobs import digest_of

        return digest_of(self._described())

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self._described().nbytes

    @property
    def type(self) -> str:
        """The qualified name of its Python type, as noted when it was stored: nothing is loaded."""
        return self._described().type

    @property
    def preview(self) -> str:
        """At most 80 characters of text, as noted when it was stored: nothing is loaded. Empty for what is computed."""
        return self._described().preview

    @property
    def created_at(self) -> datetime | None:
        """When the task that shows it ended; naive local time."""
        return self.parent.finished_at

    @property
    def finished_at(self) -> datetime | None:
        """The same."""
        return self.parent.finished_at


class TaskData:
    """The artifacts of a task as attributes, loaded when they are asked for. Hidden ones (`_x`) are reached by `task['_x']`."""

    def __init__(self, artifacts: Iterable[DataArtifact]) -> None:
        self._artifacts = {artifact.id: artifact for artifact in artifacts}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_artifacts" or name not in self._artifacts:
            raise AttributeError(name)
        return self._artifacts[name].data

    def __contains__(self, name: object) -> bool:
        return name in self._artifacts

    def __dir__(self) -> list[str]:
        return list(self._artifacts)

    def __str__(self) -> str:
        return f"<RayflowData: {', '.join(self._artifacts)}>"

    __repr__ = __str__
