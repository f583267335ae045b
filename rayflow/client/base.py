"""What all objects of the client have in common: a pathspec, a root, a namespace, and that they are made of objects below them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, TypeVar

from rayflow.client.html import card
from rayflow.client.roots import Root, RunHandle, root_at
from rayflow.client.session import current_root, get_namespace
from rayflow.client.tags import Tags
from rayflow.model.errors import RayflowInvalidPathspec, RayflowNamespaceMismatch, RayflowNotFound, StoreFault, UnsafeName

_MAX_ATTEMPTS = 6

ObjectT = TypeVar("ObjectT", bound="RayflowObject")
ChildT = TypeVar("ChildT", bound="RayflowObject")


class RayflowObject:
    """A reference: a pathspec under a root, with the namespace that it was made in. Reads when asked; compares and pickles by reference."""

    _form: ClassVar[str]
    """The pathspec's form, whose number of components is this class's level."""
    _has_attempts: ClassVar[bool] = False

    def __init__(self, pathspec: str, attempt: int | None = None) -> None:
        _check_attempt(attempt, self._has_attempts)
        parts = pathspec.split("/") if isinstance(pathspec, str) else []
        if len(parts) != self._form.count("/") + 1 or not all(parts):
            raise RayflowInvalidPathspec(f"Expects {type(self).__name__}('{self._form}'); got {pathspec!r}.")
        self._set(current_root(), tuple(parts), attempt, get_namespace())
        try:
            self._look()
        except UnsafeName as error:
            raise self._not_found() from error
        self._check_namespace()

    def _set(self, root: Root, parts: tuple[str, ...], attempt: int | None, namespace: str | None) -> None:
        self._root = root
        self._parts = parts
        self._attempt = attempt
        self._namespace = namespace

    def _to(self, cls: type[ObjectT], *parts: str) -> ObjectT:
        """Another object of the same root and namespace, without any check."""
        return reference(cls, self._root, parts, self._namespace)

    def _checked(self, cls: type[ObjectT], *parts: str) -> ObjectT:
        """The same, of something that exists and is in the namespace."""
        made = self._to(cls, *parts)
        made._look()
        made._check_namespace()
        return made

    def _check_namespace(self) -> None:
        if not self.is_in_namespace():
            raise RayflowNamespaceMismatch(
                f"Object not in namespace '{self._namespace}': {self}. Show it with namespace(None), or with a tag of its run."
            )

    @abstractmethod
    def _look(self) -> None:
        """Reads anew whether this exists; `RayflowNotFound` where it does not."""

    def _not_found(self) -> RayflowNotFound:
        return RayflowNotFound(f"{self} does not exist under {self._root.url}.")

    @property
    def _handle(self) -> RunHandle:
        return self._root.run(self._parts[0], self._parts[1])

    @property
    def _tags(self) -> Tags:
        handle = self._handle
        return handle.tags.of(handle.record)

    @property
    def id(self) -> str:
        """The last component of the pathspec."""
        return self._parts[-1]

    @property
    def pathspec(self) -> str:
        return "/".join(self._parts)

    @property
    def path_components(self) -> list[str]:
        return list(self._parts)

    @property
    def tags(self) -> frozenset[str]:
        """User and system tags of the run that this belongs to."""
        return self._tags.all

    @property
    def user_tags(self) -> frozenset[str]:
        return self._tags.user

    @property
    def system_tags(self) -> frozenset[str]:
        return self._tags.system

    @property
    def origin_pathspec(self) -> str | None:
        """Where a resumed run took this over from; None for what it computed itself, and in runs that are no resumes."""
        return None

    def is_in_namespace(self) -> bool:
        """Whether the run that this belongs to has the tag that is the namespace."""
        handle = self._handle
        record = handle.record  # read in any case, so that a run which cannot be read is noticed
        return self._namespace is None or handle.tags.have(record, self._namespace)

    def __str__(self) -> str:
        attempt = "" if self._attempt is None else f", attempt={self._attempt}"
        return f"{type(self).__name__}('{self.pathspec}'{attempt})"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: from what was noted when values were stored, none of which is loaded."""
        try:
            return self._html()
        except (RayflowNotFound, StoreFault, UnsafeName) as error:
            return card(str(self), [("error", str(error))])

    @abstractmethod
    def _html(self) -> str:
        """The same, of something that can be read."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RayflowObject):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return type(self), self._parts, self._attempt, self._root.url

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._root.url, self._parts, self._namespace, self._attempt)


class Container(RayflowObject, Generic[ChildT]):
    """An object that is made of others: iterated newest first, indexed by id."""

    @abstractmethod
    def __iter__(self) -> Iterator[ChildT]: ...

    @abstractmethod
    def _child(self, name: str) -> ChildT:
        """The object of that id; `RayflowNotFound` or `UnsafeName` where there is none."""

    def __getitem__(self, name: str) -> ChildT:
        try:
            return self._child(name)
        except (RayflowNotFound, UnsafeName):
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        try:
            self._child(str(name))
        except (RayflowNotFound, RayflowNamespaceMismatch, UnsafeName):
            return False
        return True

    def _having(self, tags: tuple[str, ...]) -> Iterator[ChildT]:
        """The objects that have all of `tags`."""
        return (child for child in self if child.tags.issuperset(tags)) if tags else iter(self)

    def _ipython_key_completions_(self) -> list[str]:
        return [child.id for child in self]


def _check_attempt(attempt: object, is_taken: bool) -> None:
    if attempt is None:
        return
    if not is_taken:
        raise RayflowNotFound("Attempts can only be specified for Task and DataArtifact.")
    if not isinstance(attempt, int) or isinstance(attempt, bool):
        raise RayflowNotFound(f"Attempt can only be an integer; got {attempt!r}.")
    if attempt < 0:
        raise RayflowNotFound(f"Attempt can only be non-negative; got {attempt}.")
    if attempt >= _MAX_ATTEMPTS:
        raise RayflowNotFound(f"Attempt can only be smaller than {_MAX_ATTEMPTS}; got {attempt}.")


def reference(cls: type[ObjectT], root: Root, parts: tuple[str, ...], namespace: str | None, attempt: int | None = None) -> ObjectT:
    """An object without any check: of something known to exist, or to be looked for when it is used."""
    made = object.__new__(cls)
    made._set(root, parts, attempt, namespace)  # pyright: ignore[reportPrivateUsage] - this is its second constructor
    return made


def _unpickled(cls: type[ObjectT], url: str, parts: tuple[str, ...], namespace: str | None, attempt: int | None) -> ObjectT:
    return reference(cls, root_at(url), parts, namespace, attempt)


def utc_time(microseconds: int) -> datetime:
    """Microseconds since 1970 as naive UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, timezone.utc).replace(tzinfo=None)


def local_time(microseconds: int) -> datetime | None:
    """Microseconds since 1970 as naive local time; None for 0, which stands for an unknown time."""
    return datetime.fromtimestamp(microseconds / 1e6) if microseconds else None
