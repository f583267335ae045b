"""A task's link between the user's `self` and what is stored: loading, transitions, joins, and what is to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple

from rayflow.client.lineage import Lineage
from rayflow.client.roots import ITEMS
from rayflow.flow.binding import instance_of
from rayflow.flow.current import Parallel
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.parameters import Parameter
from rayflow.flow.transition import Transition, decide
from rayflow.model.errors import MissingInMergeArtifactsException, UnhandledInMergeArtifactsException
from rayflow.model.graph import Node
from rayflow.model.indexes import ROOT_SPACE, Lane, TaskKey
from rayflow.model.records import Artifact
from rayflow.store.blobs import Blobs, digest_of

_NOT_ARTIFACTS = (FunctionType, MethodType, BuiltinFunctionType, Parameter)
_UNREAD = object()
_IMMUTABLE = frozenset({int, float, complex, str, bytes, bool, type(None), range})
_FLAT = _IMMUTABLE | {date, datetime, time, timedelta, Decimal}


class Before:
    """What tasks that the worker performed before, in the same go, hand to the next: all that they stored (`values`) and what the one
    just before did (`row`), as the rows keep it: plain scalars, and descriptions of everything else. So a task reads what it would
    read in a worker of its own."""

    __slots__ = ("row", "values")

    def __init__(self, values: Mapping[str, object], row: Mapping[str, object]) -> None:
        self.values = values
        self.row = row


@dataclass
class StepContext:
    """What the tasks of one lane of a batch share. `bound` is the flow class with its parameters' values. `entry` is the lane that the
    batch was launched with: what lies before it is committed."""

    node: Node
    bound: type[FlowSpec]
    lineage: Lineage
    blobs: Blobs
    lane: Lane
    entry: Lane
    _items: dict[tuple[str, int], Any] = field(default_factory=dict[tuple[str, int], Any])
    _siblings: tuple[str, int, range] | None = None
    _group: tuple[range, Any] = (range(0), None)
    _inherited: tuple[range, dict[str, _Inherited]] = (range(0), {})

    def own_element(self, index: int) -> Any:
        """`self.input` of a task of this step. Neighbours share their parent's sequence: each of a million tasks asks for it."""
        children, items = self._group
        if index not in children:
            place = self.innermost(self.node.name, index)
            if place is None or self._siblings is None or self.lineage.graph[place[0]].num_parallel:
                return self.element(self.node.name, index)
            children, items = self._group = (self._siblings[2], self.items(place[0], place[1]))
        return element_of(items, index - children.start)

    def inherited(self, name: str, index: int) -> _Inherited:
        """What a task sees of artifact `name` that none performed in this go stored; KeyError where there is none. The first tasks of a
        foreach body see what the task that split sees: it is looked up and decoded once for all of its children."""
        parent = self.entry.parent
        if parent is None or self.lineage.graph[self.entry.step].is_join:
            raise KeyError(name)
        if not self.lineage.graph[parent].is_foreach:
            return self._look_up(name, index, parent)
        siblings, known = self._inherited
        if index not in siblings:
            self.innermost(self.entry.step, index)
            assert self._siblings is not None, f"no task split into {self.entry.step}[{index}]"
            siblings, known = self._inherited = (self._siblings[2], {})
        found = known.get(name)
        if found is None:
            found = known[name] = self._look_up(name, index, parent)
        return found

    def _look_up(self, name: str, index: int, parent: str) -> _Inherited:
        place = self.lineage.find(TaskKey(self.entry.step, index, self.entry.lap), name, parent)
        if place is None or place.segment is None:
            raise KeyError(name)
        return _Inherited(self.lineage.artifact(place))

    def items(self, split: str, index: int) -> Any:
        """The sequence that task `index` of foreach step `split` fanned out over."""
        key = (split, index)
        if key not in self._items:
            if len(self._items) >= 64:
                self._items.clear()
            segment = self.lineage.view.find(split, index)
            self._items[key] = None if segment is None else self.lineage.reader.sequence(segment, index, ITEMS)
        return self._items[key]

    def innermost(self, step: str, index: int) -> tuple[str, int, int] | None:
        """(split step, flat index of the task that split, position) of the innermost foreach; None outside.

        Neighbours in a batch share a reservation and often a parent: asking again costs a comparison, since each of a million tasks asks.
        """
        space = self.lineage.graph[step].space
        if space == ROOT_SPACE:
            return None
        known = self._siblings
        if known is None or known[0] != space or index not in known[2]:
            fanout = self.lineage.view.fanout_of(space, index)
            at = fanout.position_of(index)
            known = self._siblings = (space, fanout.parents[at], fanout.children_at(at))
        return space, known[1], index - known[2].start

    def element(self, step: str, index: int) -> Any:
        """`self.input` of a task."""
        place = self.innermost(step, index)
        if place is None:
            return None
        split, parent, position = place
        if self.lineage.graph[split].num_parallel:
            return position
        return element_of(self.items(split, parent), position)

    def frames(self, step: str, index: int) -> list[tuple[int, int | None, Any]]:
        """(position, number of splits, element) per enclosing foreach of a task, outermost first."""
        frames: list[tuple[int, int | None, Any]] = []
        for split, parent, position, count in self.lineage.stack(step, index):
            if self.lineage.graph[split].num_parallel:
                frames.append((position, None, position))
            else:
                frames.append((position, count, element_of(self.items(split, parent), position)))
        return frames


def element_of(items: Any, position: int) -> Any:
    """Element `position` of the indexed sequence of a fan-out; the caller's own, since the sequence is kept for the tasks that follow."""
    element = items[position]
    kind = type(element)
    if kind in _IMMUTABLE:
        return element
    if kind is dict and _FLAT.issuperset(map(type, element.values())) and _FLAT.issuperset(map(type, element)):
        return dict(element)  # 0.7 us for three columns of a row, where deepcopy takes 2.5 us
    return deepcopy(element)


@dataclass(slots=True)
class _Inherited:
    """An inherited artifact, and its value once it is known to be one that tasks can share: nobody can change it."""

    artifact: Artifact
    value: Any = _UNREAD

    def load(self, blobs: Blobs, name: str) -> Any:
        if self.value is not _UNREAD:
            return self.value
        value = blobs.load(self.artifact, name)
        if type(value) in _IMMUTABLE:
            self.value = value
        return value


class _Loaded(NamedTuple):
    """An inherited artifact as it was given to the user: the value, and what it was decoded from."""

    value: Any
    artifact: Artifact
    is_merged: bool


class TaskBinding:
    """The link of the task that is being performed."""

    __slots__ = ("_element", "attempt", "before", "context", "handed", "index", "loaded", "merged", "taken")

    def __init__(self, context: StepContext, index: int, attempt: int, before: Before | None = None) -> None:
        self.context = context
        self.index = index
        self.attempt = attempt
        self.before = before
        self.taken: Transition | None = None
        self.handed: dict[str, Any] = {}  # the scalars that it took of `before`
        self.loaded: dict[str, _Loaded] = {}
        self.merged: dict[str, Artifact] = {}
        self._element: Any = _UNREAD

    @property
    def step_name(self) -> str:
        return self.context.node.name

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.context.node.name, self.index, self.context.lane.lap)

    def task_id(self) -> str:
        """The id of the task, as users see it."""
        return self.context.lineage.view.task_id(self.key)

    def gang_words(self, main_address: str) -> Mapping[str, Any]:
        """What `current` says of the gang that the task is a node of."""
        view, step = self.context.lineage.view, self.step_name
        _, _, position, count = self.context.lineage.stack(step, self.index)[-1]
        control = view.task_id(TaskKey(step, self.index - position))
        return {"is_parallel": True, "parallel": Parallel(main_address, count, position, control)}

    def load(self, name: str) -> Any:
        is_merged = name in self.merged
        if is_merged:
            found = _Inherited(self.merged[name])
        elif self.before is not None and name in self.before.values:
            kept = self.before.values[name]
            if not isinstance(kept, Artifact):
                self.handed[name] = kept
                return kept
            found = _Inherited(kept)
        else:
            found = self.context.inherited(name, self.index)
        value = found.load(self.context.blobs, name)
        self.loaded[name] = _Loaded(value, found.artifact, is_merged)
        return value

    def transition(self, flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        self.taken = decide(flow, targets, options, self.taken)

    def sequence(self, flow: FlowSpec, taken: Transition, stored: Mapping[str, Any]) -> object:
        """What the task is to store as the sequence of its fan-out, given what it is to store: the description of an artifact that it
        inherited and left alone; on a bucket the parts of a large one."""
        name = taken.foreach or ""
        loaded = self.loaded.get(name)
        whole: Artifact | None = None
        if loaded is not None and loaded.value is taken.items and flow.__dict__.get(name) is taken.items:
            is_as_it_was = name not in stored or isinstance(stored[name], Artifact)
            whole = loaded.artifact if is_as_it_was else None
        return self.context.blobs.in_parts(name, taken.items, whole)

    def frames(self) -> list[tuple[int, int | None, Any]]:
        return self.context.frames(self.context.node.name, self.index)

    def innermost_index(self) -> int | None:
        place = self.context.innermost(self.context.node.name, self.index)
        return None if place is None else place[2]

    def innermost_input(self) -> Any:
        if self._element is _UNREAD:
            self._element = self.context.own_element(self.index)
        return self._element

    def merge_artifacts(self, flow: Any, inputs: Any, exclude: Sequence[str], include: Sequence[str]) -> None:
        """Takes over what all inputs that have it agree on, by reference. Equality is that of the stored bytes."""
        candidates: dict[str, dict[str, Artifact]] = {}
        for each in inputs:
            binding: InputBinding = each.__dict__["_rayflow"]
            for name in binding.names():
                if name.startswith("__") or name == ITEMS or name in exclude or (include and name not in include):
                    continue
                if name not in flow.__dict__ and name not in self.merged and not hasattr(type(flow), name):
                    found = binding.artifact(name)
                    candidates.setdefault(name, {})[f"{found.codec}:{digest_of(found)}"] = found
        conflicts = [name for name, versions in candidates.items() if len(versions) > 1]
        if conflicts:
            raise UnhandledInMergeArtifactsException(
                f"Step '{self.step_name}' cannot merge {', '.join(sorted(conflicts))}: the branches have different values. Assign "
                "each before merge_artifacts, or name it in exclude=[...].",
                [name for name in conflicts for _ in range(len(candidates[name]))],
            )
        missing = [name for name in include if name not in candidates and not hasattr(flow, name)]
        if missing:
            raise MissingInMergeArtifactsException(
                f"Step '{self.step_name}' cannot merge {', '.join(missing)}: no branch has it. Check include=[...].", missing
            )
        self.merged.update({name: next(iter(versions.values())) for name, versions in candidates.items()})

    def stored(self, flow: FlowSpec, read_only: frozenset[str]) -> dict[str, Any]:
        """What the task is to store: its own values, changed inherited ones, and what it merged, as `Artifact`s where unchanged.
        `read_only` are the attributes that are no artifacts: parameters, constants, and `_rayflow`."""
        found: dict[str, Any] = {}
        inherited, handed = self.loaded, self.handed
        for name, value in flow.__dict__.items():
            if name in read_only or name[:2] == "__":
                continue
            if type(value) not in _IMMUTABLE and isinstance(value, _NOT_ARTIFACTS):
                continue
            if name in handed and handed[name] is value:
                continue
            if name in inherited:
                loaded = inherited[name]
                if loaded.value is value and is_unchanged(self.context.blobs, value, loaded.artifact, name):
                    if loaded.is_merged:
                        found[name] = loaded.artifact
                    continue
            found[name] = value
        if self.merged:
            for name, artifact in self.merged.items():
                if name not in self.loaded and name not in found:
                    found[name] = artifact
        return found


def is_unchanged(blobs: Blobs, value: Any, artifact: Artifact, name: str) -> bool:
    """Whether a loaded value, perhaps changed in place, would still be stored as the same bytes."""
    if type(value) in _IMMUTABLE or type(value).__module__.startswith("pyarrow"):
        return True
    return blobs.is_same(artifact, name, value)


class InputBinding:
    """The read-only link of one input of a join."""

    __slots__ = ("context", "key")

    def __init__(self, context: StepContext, key: TaskKey) -> None:
        self.context = context
        self.key = key

    @property
    def step_name(self) -> str:
        return self.key.step

    def names(self) -> list[str]:
        """The artifacts that the input sees, parameters and constants excluded."""
        record = self.context.lineage.view.record
        return [name for name in self.context.lineage.names(self.key) if name not in record.parameters and name not in record.constants]

    def artifact(self, name: str) -> Artifact:
        place = self.context.lineage.find(self.key, name)
        if place is None:
            raise KeyError(name)
        return self.context.lineage.artifact(place)

    def load(self, name: str) -> Any:
        return self.context.blobs.load(self.artifact(name), name)

    def frames(self) -> list[tuple[int, int | None, Any]]:
        return self.context.frames(self.key.step, self.key.index)

    def innermost_index(self) -> int | None:
        place = self.context.innermost(self.key.step, self.key.index)
        return None if place is None else place[2]

    def innermost_input(self) -> Any:
        return self.context.element(self.key.step, self.key.index)

    def transition(self, flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        raise AttributeError("An element of inputs is a finished task: it has no next().")

    def merge_artifacts(self, flow: Any, inputs: Any, exclude: Sequence[str], include: Sequence[str]) -> None:
        raise AttributeError("Call self.merge_artifacts(inputs), not that of an element of inputs.")


class Inputs:
    """The second argument of a join: iterate over it, index it, or name a branch (`inputs.a`). Elements are made when asked for, so
    that a join over a million splits holds one at a time. `table` gives columns instead of elements."""

    def __init__(self, context: StepContext, index: int) -> None:
        self._context = context
        self._index = index

    @cached_property
    def _keys(self) -> list[TaskKey]:
        return self._context.lineage.inputs_of(self._context.node.name, self._index)

    @cached_property
    def _by_step(self) -> dict[str, FlowSpec]:
        last = {key.step: key for key in self._keys}
        return {step: self._element(key) for step, key in last.items()}

    def _element(self, key: TaskKey) -> FlowSpec:
        return instance_of(self._context.bound, InputBinding(self._context, key))

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[FlowSpec]:
        return (self._element(key) for key in self._keys)

    def __getitem__(self, position: int | slice) -> FlowSpec | list[FlowSpec]:
        if isinstance(position, slice):
            return [self._element(key) for key in self._keys[position]]
        return self._element(self._keys[position])

    def __getattr__(self, step: str) -> FlowSpec:
        if not step.startswith("_") and step in self._by_step:
            return self._by_step[step]
        steps = ", ".join(dict.fromkeys(key.step for key in self._keys)) or "none: the foreach was empty"
        raise AttributeError(f"inputs has no branch '{step}'. The steps that lead here are: {steps}.")

    def table(self, *names: str) -> Any:
        """The artifacts `names` of all inputs as a `pyarrow.Table`: one row per input, in their order, one column per name.

        Read straight from the packs; inherited artifacts are looked up too. KeyError for a name that no input has.
        """
        from rayflow.client.tables import table_of_join

        return table_of_join(self._context.lineage, self._context.node.name, self._index, names)
