"""`DataArtifact`, and the artifacts of a task as attributes."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rayflow.client.attempts import Attempt
from rayflow.client.base import RayflowObject, reference
from rayflow.client.bookkeeping import compute, is_computed
from rayflow.client.html import card
from rayflow.client.lineage import Place
from rayflow.model.errors import RayflowNotFound
from rayflow.model.records import Artifact
from rayflow.store.blobs import digest_of

if TYPE_CHECKING:
    from rayflow.client.tasks import Task


class DataArtifact(RayflowObject):
    """One artifact that a task stored or inherited, `DataArtifact('MyFlow/1234/train/5/model')`."""

    _form = "FlowName/RunID/StepName/TaskID/ArtifactName"
    _has_attempts = True

    _owner: Task | None = None

    def _look(self) -> None:
        try:
            self.parent.look()
        except RayflowNotFound:
            raise self._not_found() from None
        self.check()

    def check(self) -> None:
        """Raises `RayflowNotFound` where the task has no such artifact."""
        self._stored()

    def belongs_to(self, task: Task) -> None:
        """Says which task this is of, so that what that one has read is not read again."""
        self._owner = task

    @property
    def parent(self) -> Task:
        from rayflow.client.tasks import Task

        if self._owner is None:
            self._owner = reference(Task, self._root, self._parts[:4], self._namespace, self._attempt)
        return self._owner

    def _stored(self) -> tuple[Attempt, Place | None]:
        """Where it lies; None where it is computed."""
        attempt = self.parent.record
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

    def noted(self) -> tuple[str, str, str]:
        """Type, bytes and preview as they were noted when it was stored, as texts; of one that is computed, that it is."""
        attempt, place = self._stored()
        if place is None:
            return "", "", "(computed when it is read)"
        artifact = attempt.handle.lineage.artifact(place)
        return artifact.type, f"{artifact.nbytes:,}", artifact.preview

    def _html(self) -> str:
        return card(str(self), zip(("type", "bytes", "value"), self.noted(), strict=True))

    @property
    def data(self) -> Any:
        """The value, loaded anew each time. Raises `StoreMissing` and `StoreCorrupt`, which name the path."""
        attempt, place = self._stored()
        return compute(attempt, self.id) if place is None else attempt.handle.lineage.value(place)

    @property
    def sha(self) -> str:
        """The hex BLAKE3 of its stored bytes: equal values of one codec have equal ones."""
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
    def encoding(self) -> str:
        """The form of its bytes: "json", "text", "npy", "arrow", "pickle" ..., or "custom:" and what a serializer of a user's says."""
        return self._described().codec.partition("#")[0]

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

    def __init__(self, task: Task) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._task.artifact(name).data
        except RayflowNotFound:
            raise AttributeError(f"{self._task} has no artifact '{name}'.") from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.startswith("_") and name in self._task

    def __dir__(self) -> list[str]:
        return [artifact.id for artifact in self._task]

    def __str__(self) -> str:
        return f"<RayflowData: {', '.join(self.__dir__())}>"

    __repr__ = __str__
